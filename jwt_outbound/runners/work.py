"""What a worker does with one task: the same whatever queue it came by."""

import logging
from typing import Any

from jwt_outbound.exceptions import JWTOutboundError, ServiceNotConfigured
from jwt_outbound.refresh_ahead import refresh_if_due

logger = logging.getLogger("jwt_outbound")


def refresh(service: str, user_id: Any) -> None:
    """Refreshes the pair if it is still there and due; what else may have become of it is a line
    in the log, since no queue can cure it by trying again. Whatever is unexpected rises.

    `user_id`: as the queue gives it back; text will do for any kind of primary key.
    """
    try:
        failure = refresh_if_due(service, user_id).failure
    except (JWTOutboundError, ServiceNotConfigured) as error:
        _tell(service, user_id, f"{type(error).__name__}: {error}")
    else:
        if failure is not None:
            _tell(service, user_id, f"{failure.kind.__name__}: {failure.message}")


def _tell(service: str, user_id: Any, why: str) -> None:
    logger.warning("No refresh ahead of user %s's pair for %r: %s", user_id, service, why)
