"""What has become of a pair that a worker had in hand."""

from enum import StrEnum

from jwt_outbound.exceptions import (
    IssuerMisconfigured,
    LoginRequired,
    TokenPairUnreadable,
    TokenStoreUnavailable,
)
from jwt_outbound.fleet.due import Due
from jwt_outbound.refresh.steps import Outcome
from jwt_outbound.refresh.words import Crowded


class Result(StrEnum):
    """As the command counts them."""

    REFRESHED = "refreshed"
    ENDED = "ended by a refusal"
    LEFT = "left alone"
    """Not in use, or somebody else was at it."""
    PUT_OFF = "put off"
    """The budget was used up, or the issuer has just returned from an outage."""
    UNAVAILABLE = "failed: issuer unavailable"
    MISCONFIGURED = "failed: issuer misconfigured"
    UNREADABLE = "failed: unreadable"
    NOT_STORED = "failed: database"


FAILED = frozenset(result for result in Result if result.startswith("failed"))


def result_of(due: Due, outcome: Outcome) -> Result:
    """The one word for a flight's outcome."""
    pair, failure = outcome.reading.pair, outcome.failure
    if pair is not None and pair.generation > due.pair.generation:
        return Result.LEFT if pair.revoked_at else Result.REFRESHED
    if failure is None:
        return Result.LEFT
    if isinstance(failure, Crowded):
        return Result.PUT_OFF
    for kind, result in _BY_KIND:
        if issubclass(failure.kind, kind):
            return result
    return Result.UNAVAILABLE


_BY_KIND = (
    (LoginRequired, Result.ENDED),
    (IssuerMisconfigured, Result.MISCONFIGURED),
    (TokenPairUnreadable, Result.UNREADABLE),
    (TokenStoreUnavailable, Result.NOT_STORED),
)
