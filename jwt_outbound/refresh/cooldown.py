"""How long an issuer is left alone after an answer that was of no use. Pure; microseconds."""

from random import Random
from typing import Any, Final

from jwt_outbound.clock import SECOND
from jwt_outbound.compare_and_swap import NEXT, NOW, Now
from jwt_outbound.issuers.answers import Answer, Meaning
from jwt_outbound.rows import IssuerHealth, Pair, Reading

UNAVAILABLE: Final = (2 * SECOND, 60 * SECOND)
MISCONFIGURED: Final = (15 * SECOND, 300 * SECOND)
SERVICE_AFTER: Final = 3
"""Unavailable answers in a row, of different pairs, that cool the whole service."""
STUCK_AFTER: Final = 5
"""Failures in a row of one pair after which somebody should look at it."""
LONGEST_AHEAD: Final = 3600 * SECOND
SHAKY_FOR: Final = 600 * SECOND
"""So long after an outage the next one is reckoned with."""


SHORTEST: Final = SECOND // 4


def cooldown(
    answer: Answer, pair: Pair, replay_window: int, now: int, chance: Random
) -> tuple[int, int]:
    """The cool-down after a failure at `now`, and how many in a row that makes: it doubles with
    each, with jitter.

    Where surely nothing was spent, at most a third of what the access token is still good for, so
    that an issuer that is back in time is found in time. Such hasty tries count as one, or they
    would soon keep a user waiting for long who has no good token any more. `Retry-After` is
    honoured. After an ambiguous answer it is at most a quarter of the issuer's replay window, or
    the one replay would come too late.
    """
    failures = pair.failures + 1
    first, longest = UNAVAILABLE if answer.meaning is Meaning.UNAVAILABLE else MISCONFIGURED
    length = min(first << min(pair.failures, 16), longest)
    left = pair.expires_at - now if pair.expires_at is not None and pair.access_sealed else 0
    in_time = max(left // 3, SHORTEST)
    is_unspent = answer.meaning is Meaning.UNAVAILABLE and not answer.ambiguous
    if is_unspent and left > 0 and in_time < length:
        length, failures = in_time, max(pair.failures, 1)
    length = int(length * chance.uniform(0.75, 1.0))
    if answer.retry_after is not None:
        length = max(length, int(answer.retry_after * SECOND))
    if answer.ambiguous and replay_window:
        length = min(length, replay_window // 4)
    return max(length, 1), failures


def due_after(pair: Pair, cooldown: int, now: int) -> int:
    """How long after a failure the pair is due again; 0: it was not, and is as before.

    A stuck pair's pauses go on growing beyond its cool-down, up to an hour: those who need a token
    may ask, but what runs in the background does not knock for ever.
    """
    if pair.refresh_at is None or pair.refresh_at > now + cooldown:
        return 0
    beyond = max(0, pair.failures + 1 - STUCK_AFTER)
    return max(cooldown, min(cooldown << min(beyond, 16), LONGEST_AHEAD))


def is_shaky(reading: Reading) -> bool:
    """Whether the issuer is away or has been lately: short-lived tokens, whose usual ahead window
    an outage of seconds outlasts, are then refreshed earlier."""
    issuer = reading.issuer
    return issuer.failures >= SERVICE_AFTER or reading.now < issuer.recovered_at + SHAKY_FOR


def service_changes(
    answer: Answer, pair: Pair, health: IssuerHealth, length: int
) -> dict[str, Any]:
    """What the answer changes in the issuer's health; nothing to write is an empty dict.

    Only a pair's first failure counts: one user whose refresh always fails (simplejwt answers
    500 for ever for a deleted one) must not cool the service for all others.
    """
    if answer.meaning is Meaning.GRANTED:
        if health.proven and not health.failures:
            return {}
        back = {"recovered_at": NOW} if health.failures >= SERVICE_AFTER else {}
        return {"failures": 0, "cooling_until": 0, "proven": True, **back}
    if answer.meaning is not Meaning.UNAVAILABLE or pair.failures:
        return {}
    cools = health.failures + 1 >= SERVICE_AFTER
    return {"failures": NEXT, **({"cooling_until": Now(length)} if cools else {})}
