"""A strict issuer without HTTP, signatures or a clock of its own: it only decides.

A refresh token is spent once. Presented again, it is refused (outside of a grace window), and at
an issuer of the severe kind the whole family of its tokens is over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jwt_outbound.clock import SECOND

if TYPE_CHECKING:
    from tests.simulation.records import Attempt

BY_REUSE = "reuse"
BY_OPERATOR = "operator"
BY_CLIENT = "client"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How this issuer behaves."""

    rotates: bool = True
    grace: int = 0
    """Microseconds in which a spent token is answered again."""
    same_successor: bool = False
    """In the grace window the same refresh token comes again, not a sibling of it."""
    severe: bool = True
    """Reuse ends the family."""
    old_access_dies: bool = False
    makes_first_pairs: bool = False
    lifetime: int = 60 * SECOND
    tells_lifetime: bool = True
    refresh_lifetime: int = 86_400 * SECOND


@dataclass(slots=True, eq=False)
class Family:
    """One login and all pairs that grew out of it."""

    number: int
    ended: str = ""
    reuse: tuple[RefreshToken, Attempt] | None = None
    access: list[Access] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Access:
    text: str
    family: Family
    number: int
    parent: str
    """The refresh token that was exchanged for it; empty for a login's."""
    expires_at: int
    dead: bool = False


@dataclass(slots=True, eq=False)
class RefreshToken:
    text: str
    family: Family
    number: int
    expires_at: int
    spent_at: int = 0
    spent_by: Attempt | None = None
    successor: RefreshToken | None = None
    refused: bool = False
    """The issuer has said a definite no to it."""


@dataclass(slots=True, eq=False)
class Issued:
    access: Access
    refresh: RefreshToken | None


class Issuer:
    """The only one who knows the truth about tokens."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.access: dict[str, Access] = {}
        self.refresh: dict[str, RefreshToken] = {}
        self.first_pairs_refused = False
        self._families = self._issued = 0

    def log_in(self, now: int) -> Issued:
        """A new family's first pair."""
        self._families += 1
        return self._issue(Family(self._families), "", now)

    def exchange(self, text: str, now: int, by: Attempt) -> Issued | None:
        """The successor of a refresh token; None is a refusal."""
        token = self.refresh[text]
        if token.spent_at and not self._forgives(token, now):
            self._notice_reuse(token, by)
            token.refused = True
            return None
        if token.family.ended or token.expires_at <= now:
            token.refused = True
            return None
        if token.spent_at:
            return self._answer_again(token, now)
        return self._spend(token, now, by)

    def revoke(self, text: str) -> None:
        """The client gives a token back (RFC 7009)."""
        token = self.refresh.get(text)
        if token is not None and not token.spent_at:
            self.end(token.family, BY_CLIENT)

    def end(self, family: Family, why: str) -> None:
        family.ended = family.ended or why

    def reject_access(self, family: Family) -> None:
        """The API takes none of this family's access tokens any more."""
        for access in family.access:
            access.dead = True

    def accepts(self, text: str, now: int) -> bool:
        """Whether the API would take the access token."""
        access = self.access.get(text)
        return access is not None and not access.dead and access.expires_at > now

    def _forgives(self, token: RefreshToken, now: int) -> bool:
        after = token.successor
        if after is None or after.spent_at or token.family.ended:
            return False
        return now < token.spent_at + self.kind.grace

    def _notice_reuse(self, token: RefreshToken, by: Attempt) -> None:
        family = token.family
        if self.kind.severe and not family.ended:
            family.ended, family.reuse = BY_REUSE, (token, by)

    def _answer_again(self, token: RefreshToken, now: int) -> Issued:
        if self.kind.same_successor:
            return Issued(self._issue_access(token.family, token.text, now), token.successor)
        return self._issue(token.family, token.text, now)

    def _spend(self, token: RefreshToken, now: int, by: Attempt) -> Issued:
        if self.kind.old_access_dies:
            self.reject_access(token.family)
        if not self.kind.rotates:
            return Issued(self._issue_access(token.family, token.text, now), None)
        issued = self._issue(token.family, token.text, now)
        token.spent_at, token.spent_by, token.successor = now, by, issued.refresh
        return issued

    def _issue(self, family: Family, parent: str, now: int) -> Issued:
        access = self._issue_access(family, parent, now)
        end = now + self.kind.refresh_lifetime
        refresh = RefreshToken(f"r{access.number}", family, access.number, end)
        self.refresh[refresh.text] = refresh
        return Issued(access, refresh)

    def _issue_access(self, family: Family, parent: str, now: int) -> Access:
        self._issued += 1
        number = self._issued
        access = Access(f"a{number}", family, number, parent, now + self.kind.lifetime)
        self.access[access.text] = access
        family.access.append(access)
        return access
