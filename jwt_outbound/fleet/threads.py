"""A worker's threads, with database connections of their own: some for exchanges, one for claims.

Never on the connection of the thread that runs the loop, unless there are no threads.
"""

import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, TypeVar

from jwt_outbound.fleet.turnstile import Turnstile
from jwt_outbound.querysets import alias
from jwt_outbound.refresh import connections as own

Answer = TypeVar("Answer")


class Threads:
    """`inline`: there are none, and all is done by the caller, on his connection."""

    def __init__(self, count: int, *, inline: bool) -> None:
        self.are_none = inline
        self._pool = None if inline else ThreadPoolExecutor(count, "jwt_outbound_fleet")
        self._desk = None if inline else ThreadPoolExecutor(1, "jwt_outbound_fleet_desk")
        self._turnstile = Turnstile()

    def start(self, work: Callable[[], Answer]) -> Future[Answer]:
        """Begins an exchange, once it may be at the database."""
        return _submit(self._pool, partial(self._pass, work))

    def outside(self) -> AbstractContextManager[None]:
        """Where work that was started waits for something else than the database."""
        return nullcontext() if self.are_none else self._turnstile.outside()

    def _pass(self, work: Callable[[], Answer]) -> Answer:
        with self._turnstile.inside():
            return work()

    def at_desk(self, work: Callable[[], Answer]) -> Future[Answer]:
        """Begins what is not an exchange; one after the other."""
        return _submit(self._desk, work)

    def close(self) -> None:
        """Ends them once they have nothing to do."""
        for pool in (self._pool, self._desk):
            if pool is not None:
                pool.shutdown()
        own.close_idle()


def _submit(pool: ThreadPoolExecutor | None, work: Callable[[], Answer]) -> Future[Answer]:
    if pool is not None:
        context = contextvars.copy_context()
        return pool.submit(context.run, _with_own_connection, own.surroundings(), work)
    done: Future[Answer] = Future()
    try:
        done.set_result(work())
    except Exception as error:  # noqa: BLE001 - raised by `result()`
        done.set_exception(error)
    return done


def _with_own_connection(surroundings: Any, work: Callable[[], Answer]) -> Answer:
    with own.own_connection(alias(), surroundings):
        return work()
