"""A process that forks while flights are under way, connections are kept, and sockets open."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import connection

from jwt_outbound import signals
from jwt_outbound.clients import ServiceClient
from jwt_outbound.refresh.driver import Driver
from jwt_outbound.tokens import fetch_valid_access_token
from tests.concurrency import fitting
from tests.concurrency.jobs.calls import Outcome, outcome_of
from tests.concurrency.worker import Stage

OWN_NUMBER = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}

_numbers: list[int] = []


def note_connections(stage: Stage) -> None:
    """From now on the server's number of each flight's connection is kept, here and in children."""
    signals.token_pair_refreshed.connect(_note_connection, weak=False)


def _note_connection(**_: Any) -> None:
    """Receivers run in the flight's thread, and on its connection."""
    with connection.cursor() as cursor:
        cursor.execute(OWN_NUMBER[connection.vendor])
        (number,) = cursor.fetchone()
        _numbers.append(number)


def connections_of_flights(stage: Stage) -> list[int]:
    return list(_numbers)


def call_in_child(stage: Stage, service: str, user: int) -> Outcome:
    """The child's call for a pair whose flight is the parent's; it tells when it has to wait.

    This thread has no connection of its own open: that a caller's connection must not cross a
    fork is Django's own rule.
    """
    outcome: Outcome = _in_child(stage, partial(_wait_in_child, service, user))
    return outcome


def numbers_in_child(stage: Stage, service: str, user: int) -> list[int]:
    """The connections that flights of the child's have used."""
    numbers: list[int] = _in_child(stage, partial(_numbers_in_child, service, user))
    return numbers


def get_in_child(stage: Stage, service: str, user: int) -> int:
    """The status of a request by the child."""
    return int(_in_child(stage, lambda _: get(stage, service, user)))


def get(stage: Stage, service: str, user: int) -> int:
    with ServiceClient(service, user) as client:
        return int(client.get("me/").status_code)


def _in_child(stage: Stage, work: Callable[[int], Any]) -> Any:
    """What `work` returns in a forked child; a line that it writes before is told to the test."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            fitting.be_silent()
            os.write(writer, json.dumps({"result": work(writer)}).encode() + b"\n")
        finally:
            os._exit(0)
    os.close(writer)
    told: dict[str, Any] = {}
    with os.fdopen(reader, "rb") as lines:
        for line in lines:
            told = json.loads(line)
            if "event" in told:
                stage.tell(told["event"])
    os.waitpid(child, 0)
    return told["result"]


def _wait_in_child(service: str, user: int, writer: int) -> Outcome:
    original: Callable[[Driver, Any], Any] = Driver._carry_out

    def carry_out(self: Driver, step: Any) -> Any:
        if type(step).__name__ == "Pause":
            os.write(writer, b'{"event": "child waits"}\n')
        return original(self, step)

    setattr(Driver, original.__name__, carry_out)
    return outcome_of(partial(fetch_valid_access_token, service, user))


def _numbers_in_child(service: str, user: int, writer: int) -> list[int]:
    _numbers.clear()
    fetch_valid_access_token(service, user)
    return _numbers
