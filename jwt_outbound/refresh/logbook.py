"""The log line of each outcome: who, where, what, and for the operator the cure. No token.

A receiver of `token_pair_event`; a project that writes lines of its own disconnects it.
"""

import logging
from typing import Any, Final

from jwt_outbound.refresh.cooldown import STUCK_AFTER

logger = logging.getLogger("jwt_outbound")

_LEVELS: Final = {
    "refreshed": logging.INFO,
    "misconfigured": logging.ERROR,
    "unavailable": logging.WARNING,
    "pending": logging.WARNING,
    "refused": logging.WARNING,
}


def log(
    *, service: str, user_id: Any, generation: int, kind: str, failures: int, **line: Any
) -> None:
    """Writes the line; a pair that keeps failing is an error."""
    stuck = kind == "unavailable" and failures + 1 >= STUCK_AFTER
    reason, code = line.get("reason", ""), line.get("code", "")
    logger.log(
        logging.ERROR if stuck else _LEVELS.get(kind, logging.INFO),
        "Token pair of user %s for service %r, generation %s: %s%s%s.",
        user_id,
        service,
        generation,
        "stuck, issuer unavailable" if stuck else kind,
        f", reason {reason}" if reason else "",
        f", code {code}" if code else "",
        extra={
            "service": service,
            "user_id": user_id,
            "generation": generation,
            "outcome": kind,
            "reason": reason,
            "code": code,
            "status": line.get("status"),
            "duration_ms": line.get("duration_ms"),
        },
    )
