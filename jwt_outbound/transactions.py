"""What the caller's connection is in the middle of."""

from enum import Enum, auto

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper


class Situation(Enum):
    """Where a refresh that this caller needs may run (design section 3.6)."""

    FREE = auto()
    """No transaction: in a flight."""
    INSIDE = auto()
    """In a transaction of a database with row locks: in a flight, which does not see its writes."""
    INLINE = auto()
    """In a `TestCase`, or a transaction of a database in memory: nobody else can see into it."""
    BARRED = auto()
    """In a transaction of the SQLite file that holds the token tables: it has one writer."""


def situation(alias: str) -> Situation:
    """The situation of this thread's connection `alias`."""
    connection = connections[alias]
    if _in_a_test_case(connection):
        return Situation.INLINE
    if not connection.in_atomic_block and connection.get_autocommit():
        return Situation.FREE
    if connection.vendor != "sqlite":
        return Situation.INSIDE
    in_memory = connection.is_in_memory_db()  # type: ignore[attr-defined]
    return Situation.INLINE if in_memory else Situation.BARRED


def only_a_test_case(alias: str) -> bool:
    """Whether the only transaction is the one that a `TestCase` rolls back in the end."""
    blocks = getattr(connections[alias], "atomic_blocks", [])
    return bool(blocks) and all(getattr(block, "_from_testcase", False) for block in blocks)


def _in_a_test_case(connection: BaseDatabaseWrapper) -> bool:
    blocks = getattr(connection, "atomic_blocks", [])
    return bool(blocks) and bool(getattr(blocks[0], "_from_testcase", False))
