"""A host's monotonic clock, moved in one place by the tests.

The protocol's time is the database's (see `fields.DatabaseNow`); between two readings of it a
host counts on with this clock, whose steps no wall clock can disturb. Times are microseconds.
"""

import time

SECOND = 1_000_000

_shift = 0


def monotonic() -> int:
    """Microseconds of this host's monotonic clock; only differences mean anything."""
    return time.monotonic_ns() // 1000 + _shift


def shift() -> int:
    """How far the tests have moved time, in microseconds; 0 outside tests."""
    return _shift


def move(microseconds: int) -> None:
    """For `testing.shift_clock` alone: moves `monotonic()` and `DatabaseNow` together."""
    global _shift
    _shift += microseconds
