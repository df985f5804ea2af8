"""The row's columns for a pair that the issuer has just granted.

This runs between the answer and the commit, where nothing may raise: what can't be read of the
new tokens is left unknown, and the pair is saved all the same.
"""

from typing import Any

from jwt_outbound.ciphers import ACCESS, REFRESH
from jwt_outbound.freshness import MINUTE
from jwt_outbound.issuers.answers import Answer
from jwt_outbound.refresh.steps import Prepared
from jwt_outbound.refresh.words import Ask
from jwt_outbound.rows import Pair, Reading
from jwt_outbound.terms import Rules, Terms, of_issued


def new_columns(
    pair: Pair,
    answer: Answer,
    prepared: Prepared,
    *,
    sent_at: int,
    rules: Rules,
    learned: int | None = None,
    used: bool = True,
) -> dict[str, Any]:
    """Sealed tokens and times. An answer without a refresh token keeps the old one.

    `used`: somebody waits for the new access token.
    """
    columns: dict[str, Any] = {
        "access_sealed": prepared.seal(answer.access.reveal(), ACCESS),
        "obtained_at": sent_at,
        "learned_lifetime": learned,
        "used_generation": pair.generation + 1 if used else pair.used_generation,
        **_terms(pair, answer, sent_at, rules, learned).columns(),
    }
    if answer.refresh is not None:
        columns["refresh_sealed"] = prepared.seal(answer.refresh.reveal(), REFRESH)
    return columns


def learned_lifetime(ask: Ask, reading: Reading, pair: Pair) -> int | None:
    """The lifetime of a token that had none known, from the 401 that it was met by.

    A stored one may be old and a 401 may be a whim: less than a minute is not believed, or each
    call would refresh from then on.
    """
    if ask.rejected != pair.generation or pair.expires_at is not None:
        return pair.learned_lifetime
    lived = max(reading.now - pair.obtained_at, MINUTE)
    return min(lived, pair.learned_lifetime or lived)


def _terms(pair: Pair, answer: Answer, sent_at: int, rules: Rules, learned: int | None) -> Terms:
    try:
        return of_issued(
            answer.access.reveal(),
            answer.refresh.reveal() if answer.refresh is not None else None,
            sent_at=sent_at,
            rules=rules,
            learned_lifetime=learned,
            previous=(pair.refresh_expires_at, pair.refresh_lifetime),
            **answer.terms(),
        )
    except Exception:  # noqa: BLE001 - the pair matters more than its times
        return _UNKNOWN


_UNKNOWN = Terms(
    expires_at=None,
    lifetime=None,
    refresh_at=None,
    young_until=0,
    refresh_expires_at=None,
    refresh_lifetime=None,
)
