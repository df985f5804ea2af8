"""Callers in event loops that do not stay to the end."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.core.asgi import get_asgi_application
from django.db import connections, transaction

from jwt_outbound.tokens import afetch_valid_access_token
from tests.concurrency.jobs.calls import Outcome, outcome_of
from tests.concurrency.jobs.transactions import BLOCKS
from tests.concurrency.worker import Stage


def cancelled_task(stage: Stage, service: str, user: int) -> str:
    """A task is cancelled while it waits, as by a time-out of the caller's own."""
    return asyncio.run(_cancel(stage, service, user))


async def _cancel(stage: Stage, service: str, user: int) -> str:
    task = asyncio.create_task(afetch_valid_access_token(service, user))
    await asyncio.to_thread(stage.wait, "cancel")
    task.cancel()
    (result,) = await asyncio.gather(task, return_exceptions=True)
    await sync_to_async(connections.close_all)()
    return type(result).__name__


def one_of_many_cancelled(stage: Stage, service: str, user: int, tasks: int) -> list[Any]:
    """The others wait for the same flight, and get what they wait for."""

    async def loop() -> list[Any]:
        waiting = [
            asyncio.create_task(afetch_valid_access_token(service, user)) for _ in range(tasks)
        ]
        await asyncio.to_thread(stage.wait, "cancel")
        waiting[0].cancel()
        stage.tell("cancelled")
        results = await asyncio.gather(*waiting, return_exceptions=True)
        await sync_to_async(connections.close_all)()
        return ["token" if isinstance(each, str) else type(each).__name__ for each in results]

    return asyncio.run(loop())


def loop_that_ends(stage: Stage, service: str, user: int) -> bool:
    """The loop is closed with the task still pending, as at the end of a crude script."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(afetch_valid_access_token(service, user))
    loop.run_until_complete(asyncio.to_thread(stage.wait, "leave"))
    pending = not task.done()
    loop.run_until_complete(sync_to_async(connections.close_all)())
    loop.close()
    return pending


def bridge_inside(stage: Stage, service: str, user: int, block: str) -> Outcome:
    """The async door by `async_to_sync`, in a transaction of the calling thread."""
    with BLOCKS[block](), transaction.atomic():
        return outcome_of(partial(async_to_sync(afetch_valid_access_token), service, user))


def disconnecting_client(stage: Stage, path: str) -> list[str]:
    """An ASGI request whose client goes away while the view waits; what was sent to it."""
    return asyncio.run(_disconnect(stage, path))


async def _disconnect(stage: Stage, path: str) -> list[str]:
    sent: list[str] = []
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.to_thread(stage.wait, "disconnect")
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
    }
    await get_asgi_application()(scope, receive, send)
    await sync_to_async(connections.close_all)()
    return sent
