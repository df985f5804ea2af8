"""The flights' own database connections: what a caller's rollback can't reach.

A flight borrows one for its length; idle ones are kept, and closed after half a minute.
"""

import copy
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Final

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import load_backend
from django.utils.module_loading import import_string

from jwt_outbound.conf import get_settings
from jwt_outbound.forks import gate

IDLE: Final = 30.0
LOCK_TIMEOUT: Final = {
    "postgresql": "SET lock_timeout = '2s'",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 2",
}
"""A lease never waits long for a row that its own caller may have locked."""

_NOTHING: Final = nullcontext()

Kept = tuple[float, str, BaseDatabaseWrapper]

_lock = threading.Lock()
_idle: list[Kept] = []
_janitor: threading.Timer | None = None
_forgotten: list[object] = []


class _Here(threading.local):
    """What the flight in this thread has entered around its connection."""

    surroundings: AbstractContextManager[object] = nullcontext()
    entered: ExitStack = ExitStack()
    ready: bool = True
    """Connection and surroundings are as they should be; else nothing may be written."""


_here = _Here()


@contextmanager
def own_connection(
    alias: str, surroundings: AbstractContextManager[object] = _NOTHING
) -> Iterator[None]:
    """`connections[alias]` of this thread is a connection of our own, in autocommit.

    `surroundings` is entered with it, and anew whenever it has to be opened again: state on a
    connection, such as a tenant's schema, dies with it.
    """
    with gate.shut():
        connection = _take(alias)
        connections[alias] = connection or _make(alias)
        _here.surroundings, _here.entered, _here.ready = surroundings, ExitStack(), True
        try:
            _settle_in(alias, fresh=connection is None)
            yield
        finally:
            with suppress(Error):
                _here.entered.close()
            _give_back(alias)


def surroundings() -> AbstractContextManager[object]:
    """What the caller's `FLIGHT_CONTEXT` wants to take along, such as a tenant's schema."""
    path = get_settings().flight_context
    if path is None:
        return nullcontext()
    made: AbstractContextManager[object] = import_string(path)()
    return made


def renew(alias: str) -> None:
    """Drops this thread's dead connection and opens another, in the same surroundings."""
    with suppress(Error):
        _here.entered.close()
    _here.ready = False
    connection = connections[alias]
    connection.close()
    _set_up(connection)
    _enter()
    _here.ready = True


def ensure_ready(alias: str) -> None:
    """Makes good for a `renew` that failed, before a query could go to the wrong schema."""
    if not _here.ready:
        renew(alias)


def _settle_in(alias: str, *, fresh: bool) -> None:
    try:
        _enter()
    except Error:
        if fresh:
            raise
        renew(alias)


def _enter() -> None:
    _here.entered = ExitStack()
    again = getattr(_here.surroundings, "_recreate_cm", None)
    _here.entered.enter_context(again() if again else _here.surroundings)


def _give_back(alias: str) -> None:
    connection = connections[alias]
    del connections[alias]
    _close_others()
    if connection.errors_occurred or _in_a_test_run():
        connection.close()
    else:
        _keep(alias, connection)


def close_idle(older_than: float = 0.0) -> None:
    """Closes the kept connections that nobody has used for `older_than` seconds."""
    global _idle, _janitor
    now = time.monotonic()
    with _lock:
        closing = [kept for kept in _idle if now - kept[0] >= older_than]
        _idle = [kept for kept in _idle if now - kept[0] < older_than]
        _janitor = None
        if _idle:
            _schedule()
    with gate.shut():
        for _, _, connection in closing:
            connection.close()


def forget() -> None:
    """In a forked child: the parent's connections are neither used nor closed.

    They are kept from the garbage collector, whose closing would say goodbye on the parent's
    sockets.
    """
    global _lock, _idle, _janitor
    _forgotten.append((_idle, _janitor))
    _lock, _idle, _janitor = threading.Lock(), [], None


def _take(alias: str) -> BaseDatabaseWrapper | None:
    with _lock:
        for index in range(len(_idle) - 1, -1, -1):
            if _idle[index][1] == alias:
                return _idle.pop(index)[2]
    return None


def _make(alias: str) -> BaseDatabaseWrapper:
    settings = copy.deepcopy(connections.settings[alias])
    # A pool of two would be used up by two callers inside atomic(), who wait for us.
    settings["OPTIONS"].pop("pool", None)
    settings.update(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=False, ATOMIC_REQUESTS=False)
    connection: BaseDatabaseWrapper = load_backend(settings["ENGINE"]).DatabaseWrapper(
        settings, alias
    )
    connection.inc_thread_sharing()
    _set_up(connection)
    return connection


def _set_up(connection: BaseDatabaseWrapper) -> None:
    limit = LOCK_TIMEOUT.get(connection.vendor)
    if limit is not None:
        with connection.cursor() as cursor:
            cursor.execute(limit)


def _keep(alias: str, connection: BaseDatabaseWrapper) -> None:
    with _lock:
        _idle.append((time.monotonic(), alias, connection))
        if _janitor is None:
            _schedule()


def _schedule() -> None:
    global _janitor
    janitor = threading.Timer(IDLE, close_idle, kwargs={"older_than": IDLE})
    janitor.daemon = True
    # No more threads: the interpreter is ending, and takes the connections along.
    with suppress(RuntimeError):
        janitor.start()
        _janitor = janitor


def _close_others() -> None:
    """What receivers and refresh functions have opened in this thread."""
    for connection in connections.all(initialized_only=True):
        connection.close()


def _in_a_test_run() -> bool:
    """A test database can't be dropped while a connection to it is kept."""
    state = getattr(sys.modules.get("django.test.utils"), "_TestState", None)
    return hasattr(state, "saved_data")


os.register_at_fork(after_in_child=forget)
