"""The book's entries: leases, exchanges and ends of logins, as they really were."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jwt_outbound.issuers.answers import Answer
from jwt_outbound.rows import Pair

if TYPE_CHECKING:
    from tests.simulation.issuer import Issued
    from tests.simulation.world import Actor


@dataclass(slots=True, eq=False)
class Lease:
    """A lease as it was taken: over which row, by whom, for how long."""

    actor: Actor
    row: Pair
    lease_id: int
    at: int
    until: int


@dataclass(slots=True, eq=False)
class Attempt:
    """One exchange, from the check before its first byte to its end."""

    actor: Actor
    lease: Lease
    token: str
    """The refresh token that it presents; empty where it asks for a first pair."""
    rejected: bool
    """Its caller's access token was refused by the API."""
    checked_at: int
    sent_at: int = 0
    arrived_at: int = 0
    spent: bool = False
    """The issuer granted a pair for it."""
    issued: Issued | None = None
    answer: Answer | None = None
    lost: bool = False
    """The issuer granted, and its answer never reached us."""
    late: bool = False
    """The network delivered it after our deadline."""
    inline: bool = False
    """In its caller's own transaction."""
    saved_at: int = 0
    unsure: bool = False
    """The database did not say whether the save was committed."""
    saved_as: bytes = b""
    ended_at: int = 0

    @property
    def row(self) -> Pair:
        return self.lease.row

    @property
    def unspent(self) -> bool:
        """Whether what came back proves that the token was not used up."""
        answer = self.answer
        return answer is not None and not (answer.is_grant or answer.ambiguous)

    @property
    def may_bring_a_pair(self) -> bool:
        """Nobody here knows yet what came of it."""
        known = self.answer is not None and not self.answer.is_grant
        return bool(self.sent_at) and not self.ended_at and not known

    def outlived_its_lease(self, now: int) -> bool:
        return (self.ended_at or now) > self.lease.until


@dataclass(slots=True, eq=False)
class Refusal:
    """An end of a login that was committed."""

    row: Pair
    login: int
    announced_by: list[Actor] = field(default_factory=list)
    untidy: bool = False
    """Somebody announced it after his lease had run out."""
    counted: int = 0
    """How often it has ended the user's sessions."""
    counted_at: int = 0
