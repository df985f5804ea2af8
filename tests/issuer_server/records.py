"""The ledger's nouns: accounts, logins, pairs, and what is known of each token."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    GRANTED = "granted"
    GRACE = "grace"
    REUSED = "reused"
    ENDED = "ended"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    WRONG_TYPE = "wrong_type"
    REFUSED = "refused"
    INACTIVE = "inactive"
    DELETED = "deleted"


@dataclass
class Account:
    id: str
    name: str
    password: str = field(repr=False)
    active: bool = True
    refused: bool = False
    deleted: bool = False


@dataclass
class Family:
    """One login: all pairs that grew out of it. `ended` says why it is over, or is empty."""

    id: int
    account: Account
    issued: int = 0
    ended: str = ""
    access: list[AccessRecord] = field(default_factory=list, repr=False)


@dataclass(frozen=True)
class Pair:
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    number: int
    lifetime: float


@dataclass
class AccessRecord:
    family: Family
    number: int
    expires_at: float
    dead: bool = False


@dataclass
class RefreshRecord:
    family: Family
    number: int
    expires_at: float
    spent_at: float | None = None
    successor: Pair | None = field(default=None, repr=False)


Record = AccessRecord | RefreshRecord


@dataclass(frozen=True)
class Spent:
    outcome: Outcome
    pair: Pair | None = None
