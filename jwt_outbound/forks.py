"""A process forks between the steps of the library's own threads, not in the midst of one.

A child has one thread, and what the others held at that moment is held in it for ever: the lock of
an import, or the process's own record of who writes to an SQLite file, after which each write of
the child's fails with "database is locked". gunicorn's `--preload` forks beside such threads.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

PATIENCE: Final = 2.0
"""Seconds that a fork waits at most. Then it happens all the same: the others may themselves wait
for the thread that forks."""


class Gate:
    """Which threads must not be forked beside, and which forks wait for them."""

    def __init__(self) -> None:
        self._begin(set())

    def _begin(self, inside: set[int]) -> None:
        self._inside = inside
        self._waiting = 0
        self._changed = threading.Condition()

    @contextmanager
    def shut(self) -> Iterator[None]:
        """No fork in here. Who comes while one waits lets it go first."""
        me = threading.get_ident()
        if me in self._inside:
            yield
            return
        self._enter(me, after_forks=True)
        try:
            yield
        finally:
            self._leave(me)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Forks may happen in here again: this thread only waits.

        It goes on before a fork that waits as well, since it may have an issuer's answer in hand.
        """
        me = threading.get_ident()
        if me not in self._inside:
            yield
            return
        self._leave(me)
        try:
            yield
        finally:
            self._enter(me, after_forks=False)

    @property
    def is_clear(self) -> bool:
        """No other thread than this one is in there."""
        return self._inside <= {threading.get_ident()}

    @property
    def is_awaited(self) -> bool:
        """By a fork."""
        return self._waiting > 0

    def _enter(self, me: int, *, after_forks: bool) -> None:
        with self._changed:
            if after_forks:
                self._changed.wait_for(lambda: not self._waiting)
            self._inside.add(me)

    def _leave(self, me: int) -> None:
        with self._changed:
            self._inside.discard(me)
            self._changed.notify_all()

    # A fork holds the lock, so that nobody comes in or goes out while it happens.

    def _before(self) -> None:
        self._changed.acquire()
        self._waiting += 1
        self._changed.wait_for(lambda: self.is_clear, PATIENCE)

    def _after(self) -> None:
        self._waiting -= 1
        self._changed.notify_all()
        self._changed.release()

    def _after_in_child(self) -> None:
        """The other threads are not there, nor those that waited; this one may be a flight's."""
        self._begin(self._inside & {threading.get_ident()})


gate = Gate()

os.register_at_fork(
    before=gate._before, after_in_parent=gate._after, after_in_child=gate._after_in_child
)
