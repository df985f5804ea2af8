"""Calls on users' behalf, by threads and tasks that all begin at once."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections

from jwt_outbound.clients import ServiceClient
from jwt_outbound.exceptions import JWTOutboundError
from jwt_outbound.refresh import flights
from jwt_outbound.testing import drain, shift_clock
from jwt_outbound.tokens import afetch_valid_access_token, fetch_valid_access_token
from tests.concurrency import fitting
from tests.concurrency.ending import tell_when_ending
from tests.concurrency.worker import Stage
from tests.issuer_server.wire import fingerprint

Outcome = dict[str, Any]


def outcome_of(call: Callable[[], str]) -> Outcome:
    """The fingerprint of the token, or the error; tokens do not leave the process."""
    try:
        return {"token": fingerprint(call())}
    except JWTOutboundError as error:
        return failure(error)


def failure(error: JWTOutboundError) -> Outcome:
    about = {name: getattr(error, name, None) for name in ("reason", "code", "retry_after")}
    return {"token": None, "error": type(error).__name__, "message": str(error), **about}


def fetch_one(stage: Stage, service: str, user: int, later: float = 0) -> Outcome:
    """`later`: so many seconds after now, by this process's clock and the database's."""
    if later:
        shift_clock(later)
    return outcome_of(partial(fetch_valid_access_token, service, user))


def fetch(
    stage: Stage, service: str, users: list[int], threads: int, tasks: int = 0, shares: int = 1
) -> list[Outcome]:
    """Each caller, a thread or a task, calls for each of the users, in an order of his own.

    With `shares` a thread calls only for so small a part of them.
    """
    barrier = threading.Barrier(threads + bool(tasks))
    with ThreadPoolExecutor(threads + 1) as pool:
        jobs = [
            pool.submit(_by_thread, service, users[number % shares :: shares], barrier)
            for number in range(threads)
        ]
        if tasks:
            jobs.append(pool.submit(_by_tasks, service, users, tasks, barrier))
        return [outcome for job in jobs for outcome in job.result()]


def _by_thread(service: str, users: list[int], barrier: threading.Barrier) -> list[Outcome]:
    barrier.wait()
    try:
        return [
            outcome_of(partial(fetch_valid_access_token, service, user))
            for user in _shuffled(users)
        ]
    finally:
        connections.close_all()


def _by_tasks(
    service: str, users: list[int], tasks: int, barrier: threading.Barrier
) -> list[Outcome]:
    async def caller() -> list[Outcome]:
        return [await _outcome_of_task(service, user) for user in _shuffled(users)]

    async def loop() -> list[Outcome]:
        found = await asyncio.gather(*(caller() for _ in range(tasks)))
        await sync_to_async(connections.close_all)()
        return [outcome for outcomes in found for outcome in outcomes]

    barrier.wait()
    return asyncio.run(loop())


async def _outcome_of_task(service: str, user: int) -> Outcome:
    try:
        return {"token": fingerprint(await afetch_valid_access_token(service, user))}
    except JWTOutboundError as error:
        return failure(error)


def _shuffled(users: list[int]) -> list[int]:
    return random.sample(users, len(users))


def signals(stage: Stage) -> list[dict[str, Any]]:
    return list(fitting.seen_signals)


def wait_for_flights(stage: Stage) -> bool:
    return drain()


def close_flights(stage: Stage) -> bool:
    """Ends the flights' threads and connections, as at the end of a process."""
    return flights.flights.close()


def tell_of_the_end(stage: Stage) -> None:
    """Tells when the process has begun to end."""
    tell_when_ending(lambda: stage.tell("ending"))


def threads(stage: Stage) -> list[str]:
    """The names of the library's own threads that are alive."""
    return [each.name for each in threading.enumerate() if each.name.startswith("jwt_outbound")]


def get(stage: Stage, service: str, user: int, path: str, threads: int) -> list[int]:
    """The statuses that so many clients see; each has its token before all call at once."""
    barrier = threading.Barrier(threads)

    def caller() -> int:
        try:
            with ServiceClient(service, user) as client:
                client.fetch_valid_access_token()
                barrier.wait()
                stage.tell("ready")
                stage.wait("get")
                status: int = client.get(path).status_code
                return status
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        return [job.result() for job in [pool.submit(caller) for _ in range(threads)]]
