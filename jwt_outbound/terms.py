"""How long a pair is good for, from what the tokens and the issuer say (design section 3.1).

Pure; microseconds. Lifetimes count from our own clock, never from the issuer's, so that neither
clock needs to be right; an absolute `exp` is believed only where nothing better is known.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from jwt_outbound.claims import Claims, numeric_date, read_claims
from jwt_outbound.clock import SECOND
from jwt_outbound.freshness import Windows, idle_at, young_for

LONGEST = 100 * 366 * 86_400 * SECOND
"""A century: a longer life is cut to it, so that every sum fits the column."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The time columns of a pair, and whose token it is by its own words."""

    expires_at: int | None
    lifetime: int | None
    refresh_at: int | None
    young_until: int
    refresh_expires_at: int | None
    refresh_lifetime: int | None
    skew: int | None = None
    """The issuer's clock less ours, as measured at this refresh."""
    sub: str = ""
    jti: str = ""

    def columns(self) -> dict[str, Any]:
        """As the columns of the row; a skew that was not measured leaves the last one."""
        columns = dict(vars(self))
        if self.skew is None:
            del columns["skew"]
        return columns


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the service and its issuer add to the tokens' own words."""

    windows: Windows
    ahead: bool = True
    """Whether the pair can be refreshed ahead at all."""
    default_lifetime: int | None = None
    jitter: float = 0.0

    def drawn(self, jitter: float, *, shaky: bool) -> "Rules":
        """For one pair. `shaky`: its issuer is away now and then."""
        windows = self.windows.widened() if shaky else self.windows
        return replace(self, jitter=jitter, windows=windows)


def of_stored(access: str, refresh: str, expires_in: float | None, now: int, rules: Rules) -> Terms:
    """The terms of a pair that the application hands in: it may be old already."""
    claims = read_claims(access)
    said = claims.exp
    ends = [_at(said)] if said is not None else []
    ends += [now + life for life in _lives(claims, expires_in)]
    if not access:
        ends = [now]
    elif not ends and rules.default_lifetime is not None:
        ends = [now + rules.default_lifetime]
    expires_at = min(ends, default=None)
    lives = _lives(claims, expires_in) or (
        [max(0, expires_at - now)] if expires_at is not None else []
    )
    lifetime = min(lives, default=None)
    # By a fast clock of the issuer's it may lie ahead, and would hold up a 401 until then.
    issued = min(_at(claims.iat), now) if claims.iat is not None else 0
    refresh_claims = read_claims(refresh)
    refresh_life = _life(refresh_claims.lifetime)
    refresh_ends = [_at(refresh_claims.exp)] if refresh_claims.exp is not None else []
    refresh_ends += [now + refresh_life] if refresh_life is not None else []
    refresh_end = min(refresh_ends, default=None)
    idle = idle_at(refresh_end, refresh_life, rules.jitter)
    return Terms(
        expires_at=expires_at,
        lifetime=lifetime,
        refresh_at=_due(expires_at, lifetime, None, rules, idle, now),
        young_until=issued + young_for(lifetime) if issued else 0,
        refresh_expires_at=refresh_end,
        refresh_lifetime=refresh_life,
        sub=claims.subject,
        jti=claims.token_id,
    )


def of_issued(
    access: str,
    refresh: str | None,
    *,
    sent_at: int,
    rules: Rules,
    expires_in: float | None = None,
    refresh_expires_in: float | None = None,
    refresh_in: float | None = None,
    issuer_time: float | None = None,
    learned_lifetime: int | None = None,
    previous: tuple[int | None, int | None] = (None, None),
) -> Terms:
    """The terms of a pair that the issuer just made; it lives from `sent_at`, our own time.

    `issuer_time`: the issuer's clock in seconds, from its `Date` header. `refresh=None`: the old
    refresh token stays, and so does its `previous` (end, lifetime).
    """
    claims = read_claims(access)
    issuer_time = numeric_date(issuer_time)
    lives = _lives(claims, expires_in)
    if claims.iat is None and claims.exp is not None:
        # Only the absolute end is known: measured against the issuer's own clock where it showed
        # it. A token that was just issued is not expired, whatever the clocks say.
        left = _at(claims.exp) - (_at(issuer_time) if issuer_time is not None else sent_at)
        lives += [min(left, LONGEST)] if left > 0 else []
    if not lives:
        lives = [life for life in (rules.default_lifetime or learned_lifetime,) if life]
    lifetime = min(lives, default=None)
    expires_at = None if lifetime is None else sent_at + lifetime
    issuer_now = claims.iat if claims.iat is not None else issuer_time
    refresh_expires_at, refresh_lifetime = previous
    if refresh is not None:
        # 0 is "never" here: Keycloak says so of its offline tokens.
        refresh_lives = _lives(read_claims(refresh), refresh_expires_in or None)
        refresh_lifetime = min(refresh_lives, default=None)
        refresh_expires_at = None if refresh_lifetime is None else sent_at + refresh_lifetime
    idle = idle_at(refresh_expires_at, refresh_lifetime, rules.jitter)
    earliest = idle_at(refresh_expires_at, refresh_lifetime, 0)
    if earliest is not None and earliest <= sent_at:
        idle = None  # just refreshed, and it lives no longer: another one would not help either
    return Terms(
        expires_at=expires_at,
        lifetime=lifetime,
        refresh_at=_due(expires_at, lifetime, refresh_in, rules, idle, sent_at),
        young_until=sent_at + young_for(lifetime),
        refresh_expires_at=refresh_expires_at,
        refresh_lifetime=refresh_lifetime,
        skew=None if issuer_now is None else _at(issuer_now) - sent_at,
        sub=claims.subject,
        jti=claims.token_id,
    )


def _lives(claims: Claims, expires_in: float | None) -> list[int]:
    candidates: Iterable[float | None] = (expires_in, claims.lifetime)
    return [life for life in map(_life, candidates) if life is not None]


def _life(seconds: float | None) -> int | None:
    """Seconds as a lifetime in microseconds: never negative, at most a century."""
    if seconds is None or seconds != seconds:
        return None
    return int(min(max(seconds, 0.0) * SECOND, LONGEST))


def _at(seconds: float) -> int:
    return int(seconds * SECOND)


def _due(
    expires_at: int | None,
    lifetime: int | None,
    refresh_in: float | None,
    rules: Rules,
    idle: int | None,
    now: int,
) -> int | None:
    """When the pair is due: for its access token's sake, or sooner for its refresh token's."""
    if rules.windows.ahead == 0:
        return None
    if expires_at is None or lifetime is None or not rules.ahead:
        return idle
    after = rules.windows.refresh_after(lifetime, rules.jitter, _life(refresh_in))
    due = expires_at - lifetime + after
    return due if idle is None or idle <= now else min(due, idle)
