"""The pair's row as a database has it: committed state, one writer's lock, snapshots, faults.

What an UPDATE does is `holds` and `applied`, the package's own words.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from jwt_outbound.compare_and_swap import Next, Now, Swap, applied, holds
from jwt_outbound.rows import IssuerHealth, Pair
from tests.simulation.scenes import SERVICE, USER

if TYPE_CHECKING:
    from tests.simulation.world import Actor, World


class DatabaseFailed(Exception):
    """The statement failed: a lock that was not granted in time, or a lost connection."""


@dataclass(frozen=True, slots=True)
class Written:
    """One row version after another."""

    actor: Actor
    old: Pair | None
    new: Pair | None
    how: str
    at: int


@dataclass(eq=False)
class Transaction:
    """A caller's own transaction: what it writes is locked, and seen by itself alone."""

    table: Table
    actor: Actor
    snapshot: Pair | None
    writes: list[Written] = field(default_factory=list)

    @property
    def row(self) -> Pair | None:
        return self.writes[-1].new if self.writes else self.snapshot

    def commit(self) -> None:
        self.actor.transaction = None
        if self.table.writer is self:
            self.table.writer = None
        for written in self.writes:
            self.table.put(written)

    def roll_back(self) -> None:
        self.actor.transaction = None
        if self.table.writer is self:
            self.table.writer = None
        self.table.world.ledger.rolled_back(self.actor)


class Table:
    """The one row, and what stands beside it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.row: Pair | None = None
        self.health = IssuerHealth()
        self.epoch = 0
        self.last_event: UUID | None = None
        self.writer: object | None = None
        """Who has the row locked."""
        self.suspended_at = 0
        self.due: list[str] = []
        """Faults that the next statements meet."""

    def begin(self, actor: Actor) -> Transaction:
        actor.transaction = Transaction(self, actor, self.row)
        return actor.transaction

    def read(self, transaction: Transaction | None) -> Pair | None:
        return self.row if transaction is None else transaction.row

    def is_locked(self, transaction: Transaction | None) -> bool:
        return self.writer is not None and self.writer is not transaction

    def swap(
        self, actor: Actor, swap: Swap, how: str, transaction: Transaction | None = None,
        pk: UUID | None = None,
    ) -> bool:  # fmt: skip
        """One UPDATE; committed at once where there is no transaction."""
        now = self.world.now
        own = transaction is not None and transaction.writes
        row = transaction.row if transaction is not None and own else self.row
        if row is None or (pk is not None and row.pk != pk) or not holds(row, swap, now):
            return False
        self._write(Written(actor, row, applied(row, swap, now), how, now), transaction)
        return True

    def insert(self, actor: Actor, transaction: Transaction | None = None) -> bool:
        """An empty row, unless there is one."""
        if self.row is not None or self.is_locked(transaction):
            return False
        if transaction is not None and transaction.writes:
            return False
        pk = UUID(int=self.world.rng.getrandbits(128), version=4)
        row = Pair(pk=pk, user_id=USER, service=SERVICE)
        self._write(Written(actor, None, row, "insert", self.world.now), transaction)
        return True

    def delete(self, actor: Actor) -> None:
        self.put(Written(actor, self.row, None, "delete", self.world.now))

    def change_health(self, changes: dict[str, Any]) -> None:
        new: dict[str, Any] = {name: self._new(name, value) for name, value in changes.items()}
        self.health = replace(self.health, **new)

    def _new(self, column: str, value: Any) -> Any:
        match value:
            case Now(plus):
                return self.world.now + plus
            case Next():
                return getattr(self.health, column) + 1
            case _:
                return value

    def suspend(self, suspended: bool) -> None:
        """Whether staff let refusals log out."""
        self.health = replace(self.health, suspended=suspended)
        self.suspended_at = self.world.now if suspended else 0

    def put(self, written: Written) -> None:
        """Commits one write; the ledger looks at it."""
        self.row = written.new
        self.world.ledger.committed(written)

    def _write(self, written: Written, transaction: Transaction | None) -> None:
        self.world.ledger.wrote(written)
        if transaction is None:
            self.put(written)
            return
        self.writer = transaction
        transaction.writes.append(written)
