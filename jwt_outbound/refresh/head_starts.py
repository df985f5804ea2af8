"""Refreshes ahead begin a moment after the call that found its pair due, so as not to slow it."""

import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final

HEAD_START: Final = 0.05
"""Seconds by which the call is ahead of the refresh: beside it, in the same process, it would be
the slower for it."""


class HeadStarts:
    """The flights that are held back, in the order of their arrival. Locks nothing."""

    def __init__(self) -> None:
        self._until: dict[Any, float] = {}
        self._news: SimpleQueue[None] = SimpleQueue()

    def __bool__(self) -> bool:
        return bool(self._until)

    def grant(self, flight: Any) -> None:
        """`flight` is held back from now on."""
        self._until[flight] = time.monotonic() + HEAD_START

    def end(self, flight: Any) -> bool:
        """False if it was not held back."""
        return self._until.pop(flight, None) is not None

    def end_all(self) -> list[Any]:
        """The flights that were held back until now; `wait` ends."""
        ended = list(self._until)
        self._until.clear()
        self._news.put(None)
        return ended

    def first(self) -> tuple[Any, float]:
        """Whose head start ends first, and in how many seconds: 0 if there is none."""
        for flight, until in self._until.items():
            return flight, until - time.monotonic()
        return None, 0.0

    def wait(self, seconds: float) -> None:
        """So long, or until all have ended. The one thing here that needs no lock."""
        with suppress(Empty):
            self._news.get(timeout=seconds)
