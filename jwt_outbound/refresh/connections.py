"""The flights' own database connections: what a caller's rollback can't reach.

A flight borrows one for its length; idle ones are kept, and closed after half a minute.
"""

import copy
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import load_backend

IDLE: Final = 30.0
LOCK_TIMEOUT: Final = {
    "postgresql": "SET lock_timeout = '2s'",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 2",
}
"""A lease never waits long for a row that its own caller may have locked."""

Kept = tuple[float, str, BaseDatabaseWrapper]

_lock = threading.Lock()
_idle: list[Kept] = []
_janitor: threading.Timer | None = None
_forgotten: list[object] = []


@contextmanager
def own_connection(alias: str) -> Iterator[None]:
    """`connections[alias]` of this thread is a connection of our own, in autocommit."""
    connection = _take(alias) or _make(alias)
    connections[alias] = connection
    try:
        yield
    finally:
        del connections[alias]
        _close_others()
        if _in_a_test_run():
            connection.close()
        else:
            _keep(alias, connection)


def renew(alias: str) -> None:
    """Drops this thread's dead connection, so that the next query opens another."""
    connection = connections[alias]
    connection.close()
    _set_up(connection)


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
    _janitor = threading.Timer(IDLE, close_idle, kwargs={"older_than": IDLE})
    _janitor.daemon = True
    _janitor.start()


def _close_others() -> None:
    """What receivers and refresh functions have opened in this thread."""
    for connection in connections.all(initialized_only=True):
        connection.close()


def _in_a_test_run() -> bool:
    """A test database can't be dropped while a connection to it is kept."""
    state = getattr(sys.modules.get("django.test.utils"), "_TestState", None)
    return hasattr(state, "saved_data")


os.register_at_fork(after_in_child=forget)
