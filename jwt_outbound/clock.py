"""A host's monotonic clock, moved in one place by the tests.

The protocol's time is the database's (see `fields.DatabaseNow`); between two readings of it a
host counts on with this clock, whose steps no wall clock can disturb. Times are microseconds,
but for `seconds()`.
"""

import sys
import time

if sys.platform == "linux":

    def _nanoseconds() -> int:
        # Python's own monotonic clock stands still while the host is suspended. Leases don't.
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

else:
    _nanoseconds = time.monotonic_ns

SECOND = 1_000_000

_shift = 0


def monotonic() -> int:
    """Microseconds of this host's monotonic clock; only differences mean anything."""
    return _nanoseconds() // 1000 + _shift


def seconds() -> float:
    """The same in seconds, and never moved: for deadlines of real input and output."""
    return _nanoseconds() / 1e9


def shift() -> int:
    """How far the tests have moved time, in microseconds; 0 outside tests."""
    return _shift


def move(microseconds: int) -> None:
    """For `testing.shift_clock` alone: moves `monotonic()` and `DatabaseNow` together."""
    global _shift
    _shift += microseconds
