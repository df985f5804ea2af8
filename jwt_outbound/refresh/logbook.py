"""The log line of each outcome: who, where, what, and for the operator the cure. No token."""

import logging
from typing import Final

from jwt_outbound.refresh.steps import Record

logger = logging.getLogger("jwt_outbound")

STUCK_AFTER: Final = 5
"""Failures in a row of one pair after which somebody should look at it."""

_LEVELS: Final = {
    "refreshed": logging.INFO,
    "misconfigured": logging.ERROR,
    "unavailable": logging.WARNING,
    "pending": logging.WARNING,
    "refused": logging.WARNING,
}


def log(step: Record) -> None:
    """Writes the line; a pair that keeps failing is an error."""
    pair, line = step.pair, step.line
    kind = line["kind"]
    stuck = kind == "unavailable" and pair.failures + 1 >= STUCK_AFTER
    logger.log(
        logging.ERROR if stuck else _LEVELS.get(kind, logging.INFO),
        "Token pair of user %s for service %r, generation %s: %s%s%s.",
        pair.user_id,
        pair.service,
        pair.generation,
        "stuck, issuer unavailable" if stuck else kind,
        f", reason {line['reason']}" if line.get("reason") else "",
        f", code {line['code']}" if line.get("code") else "",
        extra={
            "service": pair.service,
            "user_id": pair.user_id,
            "generation": pair.generation,
            "outcome": kind,
            "reason": line.get("reason", ""),
            "code": line.get("code", ""),
            "status": line.get("status"),
            "duration_ms": line.get("duration_ms"),
        },
    )
