"""How long an issuer is left alone after an answer that was of no use. Pure; microseconds."""

from random import Random
from typing import Any, Final

from jwt_outbound.clock import SECOND
from jwt_outbound.issuers.answers import Answer, Meaning
from jwt_outbound.rows import IssuerHealth, Pair
from jwt_outbound.swaps import NEXT, Now

UNAVAILABLE: Final = (2 * SECOND, 60 * SECOND)
MISCONFIGURED: Final = (15 * SECOND, 300 * SECOND)
SERVICE_AFTER: Final = 3
"""Unavailable answers in a row, of different pairs, that cool the whole service."""


def cooldown(answer: Answer, failures: int, replay_window: int, chance: Random) -> int:
    """The cool-down after `failures` earlier ones in a row: doubling, with jitter.

    `Retry-After` is honoured. After an ambiguous answer it is at most a quarter of the issuer's
    replay window, or the one replay would come too late.
    """
    first, longest = UNAVAILABLE if answer.meaning is Meaning.UNAVAILABLE else MISCONFIGURED
    length = min(first << min(failures, 16), longest)
    length = int(length * chance.uniform(0.75, 1.0))
    if answer.retry_after is not None:
        length = max(length, int(answer.retry_after * SECOND))
    if answer.ambiguous and replay_window:
        length = min(length, replay_window // 4)
    return max(length, 1)


def service_changes(
    answer: Answer, pair: Pair, health: IssuerHealth, length: int
) -> dict[str, Any]:
    """What the answer changes in the issuer's health; nothing to write is an empty dict.

    Only a pair's first failure counts: one user whose refresh always fails (simplejwt answers
    500 for ever for a deleted one) must not cool the service for all others.
    """
    if answer.meaning is Meaning.GRANTED:
        healthy = health.proven and not health.failures
        return {} if healthy else {"failures": 0, "cooling_until": 0, "proven": True}
    if answer.meaning is not Meaning.UNAVAILABLE or pair.failures:
        return {}
    cools = health.failures + 1 >= SERVICE_AFTER
    return {"failures": NEXT, **({"cooling_until": Now(length)} if cools else {})}
