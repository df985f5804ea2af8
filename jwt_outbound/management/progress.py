"""Progress on long work: a bar on a terminal, plain lines elsewhere."""

import time
from typing import Any, Final

WIDTH: Final = 30
LINE_EVERY: Final = 10.0
"""Seconds between two plain lines."""


class Progress:
    """`advance(n)` as the work goes on; `done()` in the end. `total=None`: nobody knows."""

    def __init__(self, stream: Any, total: int | None, what: str) -> None:
        self._stream, self._total, self._what = stream, total, what
        self._is_terminal = bool(getattr(stream, "isatty", lambda: False)())
        self._count = 0
        self._shown_at = time.monotonic()

    def advance(self, count: int = 1) -> None:
        """So many more are done."""
        self._count += count
        if self._is_terminal:
            self._stream.write(f"\r{self._bar()}", ending="")
            self._stream.flush()
        elif time.monotonic() - self._shown_at >= LINE_EVERY:
            self._shown_at = time.monotonic()
            self._stream.write(self._numbers())

    def done(self) -> None:
        """Leaves the bar as it is and goes to the next line."""
        if self._is_terminal and self._count:
            self._stream.write("")

    def _bar(self) -> str:
        if self._total is None:
            return self._numbers()
        filled = WIDTH * min(self._count, self._total) // max(self._total, 1)
        return f"[{'#' * filled}{'.' * (WIDTH - filled)}] {self._numbers()}"

    def _numbers(self) -> str:
        of_all = "" if self._total is None else f"of {self._total} "
        return f"{self._count} {of_all}{self._what}"
