"""A pair's row as one reading of it: what the protocol decides on, and nothing else.

Times are microseconds since 1970 UTC by the database's clock; 0 means "not", as a plain integer
compares in SQL without NULL's third truth value.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

SUSPENDED: Final = "suspended"
"""As the reason of a pending refusal: it waits for staff, not for another flight."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The protocol's columns of a `TokenPair`."""

    pk: UUID
    user_id: Any
    service: str
    generation: int = 0
    access_sealed: bytes = b""
    refresh_sealed: bytes = b""

    expires_at: int | None = None
    lifetime: int | None = None
    refresh_at: int | None = None
    refresh_expires_at: int | None = None
    refresh_lifetime: int | None = None
    learned_lifetime: int | None = None
    """The shortest life after which a token of unknown lifetime was met by a 401."""
    obtained_at: int = 0
    young_until: int = 0
    """Until then a 401 is an answer, not an expiry."""
    hold_until: int = 0
    """Until then no 401 starts a refresh: the last one did not help."""
    holds: int = 0
    used_generation: int = -1
    """The newest generation whose access token somebody has asked for."""
    parked: bool = False
    """It was due while nobody used it, and was left alone: its next use finds it due."""

    lease_id: int = 0
    """Only grows; whoever releases a lease clears only his own."""
    lease_until: int = 0
    """0: free. In the past: its holder never ended it."""

    presented_generation: int = -1
    """The journal: the generation whose refresh token was sent, -1 for none."""
    presented_at: int = 0
    presentations: int = 0
    unended: bool = False
    """A flight of this generation let its lease run out and may still come back."""

    cooldown_until: int = 0
    failures: int = 0

    pending_until: int = 0
    """A refusal waits until then for a flight that may still bring the new pair."""
    refused_at: int = 0
    reason: str = ""
    code: str = ""
    event_id: UUID | None = None
    announced_at: int = 0
    revoked_at: int = 0

    @property
    def presented(self) -> bool:
        """Whether the refresh token of this very generation was sent: the next is a replay."""
        return self.presented_generation == self.generation and bool(self.refresh_sealed)


@dataclass(frozen=True, kw_only=True)
class IssuerHealth:
    """What all hosts know of one service's issuer."""

    cooling_until: int = 0
    failures: int = 0
    """Unavailable answers in a row."""
    proven: bool = False
    """It has refreshed some pair before, so its URLs and its profile are right."""
    suspended: bool = False
    """Staff want nobody logged out because of it: refusals wait."""
    recovered_at: int = 0
    """When it last answered again after an outage that had cooled the whole service."""
    next_exchange_at: int = 0
    """With a budget of exchanges: before then none is sent."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One SELECT: the pair (None: no row), its issuer, and the two clocks at that moment."""

    pair: Pair | None
    issuer: IssuerHealth
    now: int
    """The database's clock."""
    at: int
    """The host's monotonic clock just before; `now` plus what passed since is the time."""
    took: int = 0
    """How long it took by that clock; at which moment of it `now` was read, nobody knows."""

    def time(self, monotonic: int) -> int:
        """The database's time, at the latest, when the host's clock shows `monotonic`."""
        return self.now + monotonic - self.at

    def earliest(self, monotonic: int) -> int:
        """The same, at the earliest: what lives from a moment on ends rather too soon."""
        return self.time(monotonic) - self.took
