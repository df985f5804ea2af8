"""A door that a test can hold shut, with a way to wait until so many requests stand at it."""

from __future__ import annotations

import threading


class Gate:
    def __init__(self, name: str) -> None:
        self.name = name
        self._changed = threading.Condition()
        self._shut = False
        self._inside = 0
        self._permits = 0
        self._until: int | None = None

    def hold(self, until: int | None = None) -> None:
        """Shut it; with `until` it opens by itself, for good, when so many are inside."""
        with self._changed:
            self._shut, self._permits, self._until = True, 0, until
            self._changed.notify_all()

    def release(self, count: int | None = None) -> None:
        """Open it, or let `count` through and keep holding the others."""
        with self._changed:
            if count is None:
                self._shut, self._permits = False, 0
            else:
                self._permits += count
            self._changed.notify_all()

    def enter(self) -> None:
        with self._changed:
            if not self._shut:
                return
            self._inside += 1
            if self._until is not None and self._inside >= self._until:
                self._shut = False
            self._changed.notify_all()
            self._changed.wait_for(self._may_pass)
            self._inside -= 1

    def _may_pass(self) -> bool:
        if not self._shut:
            return True
        if self._permits == 0:
            return False
        self._permits -= 1
        return True

    def wait_inside(self, count: int, timeout: float) -> int:
        with self._changed:
            if not self._changed.wait_for(lambda: self._inside >= count, timeout):
                raise TimeoutError(
                    f"{self._inside} of {count} requests stood at {self.name!r} after {timeout} s."
                )
            return self._inside
