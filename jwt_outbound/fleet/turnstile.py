"""How many of a worker's threads are at the database at once.

Most of them wait for an issuer. Where all the others went on at the same moment they would only
contend: for the interpreter's lock, and for the one writer that an SQLite file has, whom SQLite
looks for again and again with sleeps in between.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

PLACES: Final = 3
"""Measured with 32 threads: with one, PostgreSQL waits for us; with four and more they contend."""
PATIENCE: Final = 0.1
"""Seconds for which an issuer's answer waits for a place at most. Then it is stored all the same:
those inside may be waiting for a row that somebody has locked."""


class _Mine(threading.local):
    place = False
    """Whether this thread has one."""


class Turnstile:
    """Some threads are inside, and leave while they wait elsewhere."""

    def __init__(self, places: int = PLACES) -> None:
        self._free = threading.Semaphore(places)
        self._mine = _Mine()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Waits for a place, and has it in here."""
        self._mine.place = self._free.acquire()
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def outside(self) -> Iterator[None]:
        """For a thread that is inside: its place is free in here."""
        self._leave()
        try:
            yield
        finally:
            self._mine.place = self._free.acquire(timeout=PATIENCE)

    def _leave(self) -> None:
        if self._mine.place:
            self._mine.place = False
            self._free.release()
