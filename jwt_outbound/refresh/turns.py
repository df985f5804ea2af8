"""Whose turn it is: flights wait here until a thread is free for their service.

Those that somebody waits for go before those that refresh ahead. No service gets more than half
of the threads, so that an issuer that never answers leaves room for the others, and refreshes
ahead leave one thread of that half to callers who wait.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

MOST_AHEAD: Final = 100
"""Refreshes ahead of one service that may wait; what is dropped, the pair's next call starts."""

Line = dict[Any, None]
"""Flights in the order of their arrival; one can leave from the middle."""


class Turns:
    """Knows of a flight only its `service`, and `ahead`: nobody waits for it. Locks nothing."""

    def __init__(self, at_once: Callable[[str], int | None] = lambda service: None) -> None:
        """`at_once`: a service's own limit, if it has one."""
        self._at_once = at_once
        self._flying: dict[str, Line] = defaultdict(dict)
        self._foreground: dict[str, Line] = defaultdict(dict)
        self._ahead: dict[str, Line] = defaultdict(dict)

    def add(self, flight: Any) -> bool:
        """Lines it up; False where too many refreshes ahead of its service wait already."""
        line = (self._ahead if flight.ahead else self._foreground)[flight.service]
        if flight.ahead and len(line) >= MOST_AHEAD:
            return False
        line[flight] = None
        return True

    def promote(self, flight: Any) -> None:
        """Somebody waits for it from now on."""
        flight.ahead = False
        if self._ahead[flight.service].pop(flight, self) is not self:
            self._foreground[flight.service][flight] = None

    def take(self, threads: int) -> Any | None:
        """Who may begin now, on so many threads; it is under way until it has `landed`."""
        if sum(map(len, self._flying.values())) >= threads:
            return None
        half = max(1, threads // 2)
        line = self._first(self._foreground, half) or self._first(self._ahead, half)
        if not line:
            return None
        flight = next(iter(line))
        del line[flight]
        self._flying[flight.service][flight] = None
        return flight

    def landed(self, flight: Any) -> None:
        """Its thread is free."""
        self._flying[flight.service].pop(flight, None)

    def dismiss(self) -> list[Any]:
        """All who wait; from now on they don't."""
        lines = [*self._foreground.values(), *self._ahead.values()]
        waiting = [flight for line in lines for flight in line]
        for line in lines:
            line.clear()
        return waiting

    def _first(self, lines: dict[str, Line], half: int) -> Line | None:
        """The line of the service that has the fewest threads, of those that may have another."""
        free = [name for name, line in lines.items() if line and self._has_room(name, half, lines)]
        return lines[min(free, key=lambda name: len(self._flying[name]))] if free else None

    def _has_room(self, service: str, half: int, lines: dict[str, Line]) -> bool:
        flying, share = self._flying[service], min(half, self._at_once(service) or half)
        if lines is self._ahead and sum(each.ahead for each in flying) >= max(1, share - 1):
            return False
        return len(flying) < share
