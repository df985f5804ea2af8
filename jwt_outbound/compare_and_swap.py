"""The words of a compare-and-swap of one row, and what it means without a database.

A `Swap` says which values the row must still have and what it then becomes. Who carries it out
(one UPDATE, or the simulation's model of one) adds nothing of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from jwt_outbound.rows import Pair


@dataclass(frozen=True)
class Now:
    """The database's time at the write, plus so many microseconds."""

    plus: int = 0


@dataclass(frozen=True)
class Next:
    """The column's own value plus one, counted by the database."""


@dataclass(frozen=True)
class Over:
    """As a condition: the time in the column is not in the future."""


@dataclass(frozen=True)
class Set:
    """As a condition: the time in the column is there, whatever it is."""


NOW: Final = Now()
NEXT: Final = Next()
OVER: Final = Over()
SET: Final = Set()


@dataclass(frozen=True, kw_only=True)
class Swap:
    """`UPDATE ... SET changes WHERE pk AND where`; it holds if it matched the row."""

    where: Mapping[str, Any]
    changes: Mapping[str, Any]


def holds(pair: Pair, swap: Swap, now: int) -> bool:
    """Whether `swap` would match `pair` at the database's time `now`."""
    return matches(pair, swap.where, now)


def matches(pair: Pair, where: Mapping[str, Any], now: int) -> bool:
    """Whether `pair` is as `where` says, at the database's time `now`."""
    return all(_is(getattr(pair, column), value, now) for column, value in where.items())


def _is(found: Any, value: Any, now: int) -> bool:
    if isinstance(value, Over):
        return bool(found <= now)
    return found > 0 if isinstance(value, Set) else bool(found == value)


def applied(pair: Pair, swap: Swap, now: int) -> Pair:
    """`pair` as `swap` leaves it: what the one UPDATE does, without the database."""
    changes: dict[str, Any] = {}
    for column, value in swap.changes.items():
        if not hasattr(pair, column):
            continue
        match value:
            case Now(plus):
                changes[column] = now + plus
            case Next():
                changes[column] = getattr(pair, column) + 1
            case _:
                changes[column] = value
    return replace(pair, **changes)
