"""The words of a decision: who asks, under which rules, and what can come of it. Pure."""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any
from uuid import UUID

from jwt_outbound.clock import SECOND
from jwt_outbound.exceptions import JWTOutboundError
from jwt_outbound.freshness import run_out_at
from jwt_outbound.rows import Pair
from jwt_outbound.terms import Rules


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What one caller needs."""

    service: str
    user_id: Any
    pk: UUID | None = None
    generation: int = -1
    """Of the row that the caller has read; -1 where it found none."""
    min_validity: int = 0
    """How much life the access token must have left; at most half of its lifetime counts."""
    rejected: int | None = None
    """The generation whose access token the other side has just refused with a 401."""
    renew: int | None = None
    """The generation that is to be replaced although it may still be good."""
    ahead: bool = False
    """Nobody waits: it is for later."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The service's settings and its issuer's profile, as the protocol needs them."""

    service: str
    rules: Rules
    lease: int = 12 * SECOND
    deadline: int = 8 * SECOND
    wait: int = 20 * SECOND
    replay_window: int = 0
    spacing: int = 0
    """Between two exchanges of all hosts with this issuer; 0: there is no budget."""
    makes_first_pair: bool = False
    exchanges: bool = True
    """Refresh tokens are of use at this issuer."""

    def needs_first_pair(self, pair: Pair, now: int) -> bool:
        """Whether there is no refresh token (any more) that could be exchanged."""
        return not self.exchanges or not pair.refresh_sealed or has_run_out(pair, now)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An exception to be: each of those who wait gets one of its own."""

    kind: type[JWTOutboundError]
    message: str
    attributes: dict[str, Any] = field(default_factory=dict)

    def error(self, ask: Ask) -> JWTOutboundError:
        """The exception for the caller behind `ask`."""
        return self.kind(self.message, service=ask.service, user_id=ask.user_id, **self.attributes)


@dataclass(frozen=True, kw_only=True)
class Crowded(Failure):
    """The service's budget of exchanges is used up for now: nothing was tried."""

    ahead: bool
    """It was a flight that nobody should wait for; who does wait tries for himself."""


class Act(Enum):
    """What a flight has to do."""

    INSERT = auto()
    """No row yet: make an empty one, for a first pair."""
    PRESENT = auto()
    """Take the lease and ask the issuer."""
    EXPIRE = auto()
    """The refresh token has run out: end the login."""
    FINALIZE = auto()
    """Nobody brought the new pair while a refusal was pending: end the login."""
    ANNOUNCE = auto()
    """A refusal was stored but, after a crash, never announced."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Exactly one of four: serve the token, fail, wait for another's flight, or act.

    `serve` beside an `act` means: serve it, and let a flight do the act in the background.
    """

    serve: bool = False
    failure: Failure | None = None
    act: Act | None = None

    @property
    def wait(self) -> bool:
        """Somebody else is at it: look again shortly."""
        return not self.serve and self.failure is None and self.act is None


SERVE, WAIT = Verdict(serve=True), Verdict()


def has_run_out(pair: Pair, now: int) -> bool:
    """Whether the refresh token's own lifetime is over, past all doubt about clocks."""
    if pair.refresh_expires_at is None or not pair.refresh_sealed:
        return False
    return now > run_out_at(pair.refresh_expires_at, pair.refresh_lifetime)


def may_send(start_by: int, monotonic: int) -> bool:
    """Whether a request that begins now ends within its lease; else nothing may be sent.

    A holder that was paused finds out here, right before the first byte: by then another may
    have taken over.
    """
    return monotonic <= start_by
