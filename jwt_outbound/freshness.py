"""How good a stored access token still is: pure arithmetic, all times in microseconds.

Two windows before the token's end (design section 3.2): inside the *ahead window* it is still
served while it is refreshed; inside the *late leeway* it is not sent any more, since it would run
out on its way.
"""

from dataclasses import dataclass, replace
from enum import Enum, auto

from jwt_outbound.clock import SECOND

MINUTE = 60 * SECOND
WIDEST = 5 * MINUTE
"""Of the ahead windows that nobody has configured."""


class Freshness(Enum):
    """What may be done with an access token now."""

    FRESH = auto()
    """Send it."""
    STALE = auto()
    """Send it, and refresh ahead."""
    EXPIRED = auto()
    """Do not send it: refresh first."""
    UNKNOWN = auto()
    """It has no known lifetime: send it, a 401 will tell."""


@dataclass(frozen=True, kw_only=True)
class Windows:
    """The two windows as configured, in microseconds; None means the default."""

    leeway: int | None = None
    ahead: int | None = None

    def late(self, lifetime: int) -> int:
        """The late leeway of a token: min(30 s, 10%), at least 1 s, never above a third of it."""
        wished = min(30 * SECOND, lifetime // 10) if self.leeway is None else self.leeway
        return min(max(wished, SECOND), lifetime // 3)

    def early(self, lifetime: int) -> int:
        """The ahead window: min(5 min, 25%); one that does not fit is scaled to half the life.

        One that the late leeway would swallow is twice that: else each refresh would be waited for.
        By default that befalls tokens of four seconds and less alone, which are left as they are.
        """
        wished = min(WIDEST, lifetime // 4) if self.ahead is None else self.ahead
        is_configured = self.ahead is not None or self.leeway is not None
        if is_configured and 0 < wished <= self.late(lifetime):
            wished = 2 * self.late(lifetime)
        return min(wished, lifetime // 2)

    def widened(self) -> "Windows":
        """With an ahead window of min(5 min, 50%), where it is not configured."""
        return replace(self, ahead=WIDEST) if self.ahead is None else self

    def refresh_after(self, lifetime: int, jitter: float, refresh_in: int | None = None) -> int:
        """How long after its issue a token is due for a refresh ahead.

        `jitter` from 0 to 1 narrows the window by up to half of what exceeds the leeway, so that
        pairs issued together do not come due together. The issuer's own `refresh_in` wins, unless
        the token is not sent any more by then.
        """
        if refresh_in is not None and 0 < refresh_in < lifetime - self.late(lifetime):
            return refresh_in
        early, late = self.early(lifetime), self.late(lifetime)
        if early <= late:
            return lifetime - early
        return lifetime - early + int((early - late) * 0.5 * jitter)


def assess(
    *,
    expires_at: int | None,
    lifetime: int | None,
    refresh_at: int | None,
    now: int,
    windows: Windows,
    to_the_end: bool = False,
) -> Freshness:
    """The freshness of a token at `now`; `to_the_end` drops the leeway (in trouble)."""
    if expires_at is None:
        return Freshness.UNKNOWN
    leeway = 0 if to_the_end or lifetime is None else windows.late(lifetime)
    if now >= expires_at - leeway:
        return Freshness.EXPIRED
    if refresh_at is not None and now >= refresh_at:
        return Freshness.STALE
    return Freshness.FRESH


def run_out_at(expires_at: int, lifetime: int | None) -> int:
    """When a refresh token counts as run out: its end plus max(1 h, 10% of its lifetime).

    Nearer than that the issuer is asked: its clock and ours may differ by an hour.
    """
    return expires_at + max(60 * MINUTE, (lifetime or 0) // 10)


def idle_at(expires_at: int | None, lifetime: int | None, jitter: float) -> int | None:
    """When a pair that nobody uses is refreshed, lest its refresh token idle out; None: never.

    min(1 day, 25% of the refresh token's lifetime) before its end. `jitter` from 0 to 1 takes up
    to half of that away, so that logins made together do not come due together.
    """
    if expires_at is None:
        return None
    window = min(24 * 60 * MINUTE, (lifetime or 4 * 60 * MINUTE) // 4)
    return expires_at - window + int(window * 0.5 * jitter)


def young_for(lifetime: int | None) -> int:
    """How long a 401 to a just-issued token is an answer and no expiry: min(5 s, 10%)."""
    return 5 * SECOND if lifetime is None else min(5 * SECOND, lifetime // 10)
