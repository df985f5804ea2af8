"""What a flight or a caller fails with, in words that say the cure. Never a token."""

from typing import Any, Final

from jwt_outbound.clock import SECOND
from jwt_outbound.exceptions import (
    IssuerMisconfigured,
    IssuerUnavailable,
    LoginRequired,
    RefreshInProgress,
    TemporarilyUnavailable,
    TokenPairNotFound,
    TokenStoreUnavailable,
)
from jwt_outbound.issuers.answers import Answer, Meaning, misconfigured_message, said
from jwt_outbound.refresh.words import Crowded, Failure, Policy

SUSPENDED_PAUSE: Final = 30 * SECOND
"""For callers to come back after, while staff have suspended logouts."""


def not_found(policy: Policy) -> Failure:
    """Nothing is stored, and nothing could be made."""
    return Failure(
        kind=TokenPairNotFound,
        message=f"No usable token pair is stored for this user and service {policy.service!r}: "
        "the user has to log in there.",
    )


def login_required(kind: type[LoginRequired], policy: Policy, reason: str, code: str) -> Failure:
    """The login at the issuer is over."""
    why = {
        "expired": "has run out",
        "revoked": "was revoked here",
        "rotation_lost": "was replaced by the issuer, but the answer was lost",
    }.get(reason, "was refused by the issuer")
    return Failure(
        kind=kind,
        message=f"The login at service {policy.service!r} is over: its refresh token {why}.",
        attributes={"reason": reason, "code": code},
    )


def unavailable(
    message: str,
    wait: float,
    kind: type[TemporarilyUnavailable] = IssuerUnavailable,
    **attributes: Any,
) -> Failure:
    """A failure that passes; `wait` in microseconds."""
    return Failure(
        kind=kind,
        message=message,
        attributes={"retry_after": max(0.0, wait / SECOND), **attributes},
    )


def logouts_suspended(policy: Policy) -> Failure:
    """The login may be over, but staff have said that nobody is to be logged out now."""
    message = (
        f"Logouts of service {policy.service!r} are suspended by this site's staff, "
        "and the end of this login waits for them."
    )
    return unavailable(message, SUSPENDED_PAUSE)


def of_answer(answer: Answer, policy: Policy, length: int) -> Failure:
    """The issuer gave no pair and no refusal; `length` microseconds of cool-down follow."""
    if answer.meaning is Meaning.MISCONFIGURED:
        message = misconfigured_message(policy.service, answer)
        return unavailable(message, length, IssuerMisconfigured)
    message = f"The issuer of service {policy.service!r} gave no usable answer{said(answer)}."
    return unavailable(message, length, ambiguous=answer.ambiguous)


def store_unavailable(policy: Policy, error: Exception) -> Failure:
    """The database is away or did not take a write; its message may hold what was to be stored."""
    message = (
        f"The token tables' database did not do its part ({type(error).__name__}): "
        f"the pair for service {policy.service!r} was neither read nor refreshed."
    )
    return unavailable(message, SECOND, TokenStoreUnavailable)


def barred(service: str) -> Failure:
    """The caller is in a transaction of the SQLite file that holds the token tables."""
    return Failure(
        kind=TokenStoreUnavailable,
        message=f"The pair for service {service!r} must be refreshed, but this code is in a "
        "transaction of the SQLite file that holds the token tables, which has one writer: nothing "
        "was sent. Give the token tables a file of their own (JWT_OUTBOUND['DATABASE'] and "
        "jwt_outbound.routers.TokenRouter), or call outside of the transaction.",
    )


def crowded(policy: Policy, wait: int, *, ahead: bool) -> Crowded:
    """The budget is used up for the next `wait` microseconds."""
    message = (
        f"More refreshes are due at the issuer of service {policy.service!r} than its "
        "EXCHANGES_PER_SECOND allows: nothing was sent."
    )
    attributes = {"retry_after": wait / SECOND}
    return Crowded(kind=IssuerUnavailable, message=message, attributes=attributes, ahead=ahead)


def in_progress(policy: Policy) -> Failure:
    """The wait budget is used up."""
    message = (
        f"Another process is refreshing the pair for service {policy.service!r} "
        f"and did not finish within {policy.wait / SECOND:g} s."
    )
    return unavailable(message, policy.lease, RefreshInProgress)
