"""What the flow asks of whoever drives it: one class for each step, and what is sent back."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from jwt_outbound.compare_and_swap import Swap
from jwt_outbound.issuers.answers import Answer
from jwt_outbound.refresh.words import Ask, Failure
from jwt_outbound.rows import IssuerHealth, Pair, Reading
from jwt_outbound.secret import Secret


@dataclass(frozen=True)
class Read:
    """Read row and clocks, in autocommit. Sent back: a `Reading`."""

    ask: Ask


@dataclass(frozen=True)
class Insert:
    """Make an empty row, unless there is one."""

    ask: Ask


@dataclass(frozen=True)
class Prepare:
    """All that could fail before it is too late: keys, issuer, the old token. Sent back:
    `Prepared`; raises `TokenPairUnreadable`."""

    pair: Pair


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The opened refresh token and the way to seal its successor."""

    refresh: Secret
    seal: Callable[[str, str], bytes]


@dataclass(frozen=True)
class Change:
    """Carry out a swap and commit it. Sent back: whether it held."""

    pair: Pair
    swap: Swap


@dataclass(frozen=True)
class Save:
    """As `Change`, for the issuer's new pair: never raises. Sent back: whether it held, or None
    where the database did not answer and the swap may or may not have been committed."""

    pair: Pair
    swap: Swap


@dataclass(frozen=True)
class Settle:
    """Read the row after a save that did not hold: never raises. Sent back: a `Reading`, or None
    where the database did not answer."""

    pair: Pair


@dataclass(frozen=True, kw_only=True)
class Admit:
    """Take the next place in the issuer's budget of exchanges, unless it is more than `patience`
    away. Sent back: how long to wait for it in microseconds, or None."""

    spacing: int
    patience: int


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Ask the issuer, unless the lease is too old by now. Sent back: a `Reply`; never raises."""

    pair: Pair
    prepared: Prepared
    first: bool
    """Ask for a first pair instead of presenting a refresh token."""
    start_by: int
    """The monotonic time after which nothing may be sent."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the exchange came to. `answer=None`: nothing was sent."""

    answer: Answer | None
    started: int
    """The monotonic time at which the issuer was asked."""
    ended: int

    def facts(self, pair: Pair) -> dict[str, Any]:
        """What the history says of the issuer's answer; `pair` as it was before the lease."""
        if self.answer is None:
            return {}
        return {
            "code": self.answer.code,
            "status": self.answer.status,
            "ambiguous": self.answer.ambiguous,
            "replay": pair.presented,
            "takeover": pair.lease_until > 0,
            "duration_ms": (self.ended - self.started) // 1000,
        }


@dataclass(frozen=True)
class Revoke:
    """Revoke a pair at the issuer that nobody here wants any more."""

    answer: Answer


@dataclass(frozen=True)
class Health:
    """Change what all hosts know of the issuer."""

    changes: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Record:
    """Write a line of history."""

    pair: Pair
    line: dict[str, Any]
    now: int


@dataclass(frozen=True)
class Committed:
    """The outcome is safe: wake those who wait in a second, even if a receiver still works."""

    outcome: "Outcome"


@dataclass(frozen=True, kw_only=True)
class Announce:
    """Send the signal: of a refusal, or of a refresh. Sent back: whether all was done that must
    be."""

    pair: Pair
    failed: bool
    reason: str
    code: str
    event_id: UUID


@dataclass(frozen=True)
class Pause:
    """Wait so many microseconds."""

    length: int


Step = (
    Read | Insert | Prepare | Admit | Change | Save | Settle | Exchange | Revoke | Health | Record
    | Committed | Announce | Pause
)  # fmt: skip

Result = TypeVar("Result")
Flow = Generator[Step, Any, Result]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a flight ended: the row as it is now, and what to raise for those it does not serve."""

    reading: Reading
    failure: Failure | None = None
    yours: bool = False
    """The row that the caller has read is in its own transaction: only it can go on."""


def undone(failure: Failure) -> Outcome:
    """The outcome of a flight that has no reading to show."""
    return Outcome(reading=Reading(pair=None, issuer=IssuerHealth(), now=0, at=0), failure=failure)
