"""The alarm for the day an issuer goes mad: it refuses many, and each refusal logs somebody out."""

import logging
from datetime import timedelta
from typing import Any, Final

from jwt_outbound.clock import SECOND
from jwt_outbound.conf import get_settings
from jwt_outbound.fields import DatabaseNow
from jwt_outbound.models import IssuerState, TokenPair, TokenPairEvent
from jwt_outbound.querysets import database_now, shown
from jwt_outbound.signals import refusals_alarm

logger = logging.getLogger("jwt_outbound")

MINUTE: Final = 60 * SECOND


def watch_refusals(*, service: str, kind: str, reason: str = "", **_: Any) -> None:
    """Raises the alarm at more than `REFUSALS_PER_MINUTE`, once a minute on one host of all."""
    if kind not in ("refused", "pending") or reason == "expired":
        return
    configured = get_settings().services.get(service)
    limit = configured.refusals_per_minute if configured else None
    if limit is None or not _is_exceeded(service, int(limit)) or not _is_mine(service):
        return
    suspended = IssuerState.objects.health(service).suspended
    logger.error(
        "The issuer of service %r has refused more than %s refreshes in a minute%s. If it is not "
        "to be believed, suspend the logouts of this service in the admin.",
        service,
        int(limit),
        "; logouts are suspended" if suspended else ", and each has logged a user out",
        extra={"service": service, "outcome": "alarm", "limit": int(limit)},
    )
    refusals_alarm.send_robust(
        sender=TokenPair, service=service, limit=int(limit), suspended=suspended
    )


def _is_exceeded(service: str, limit: int) -> bool:
    """Never more lines are looked at than it takes to know."""
    since = shown(database_now()) - timedelta(minutes=1)
    lines = TokenPairEvent.objects.filter(
        service=service, kind__in=("refused", "pending"), at__gt=since
    ).exclude(reason="expired")
    return len(lines.values_list("pk")[: limit + 1]) > limit


def _is_mine(service: str) -> bool:
    """Whether this process is the one to tell: there was no alarm in the last minute."""
    IssuerState.objects.get_or_create(service=service)
    quiet = IssuerState.objects.filter(pk=service, alarmed_at__lte=DatabaseNow() - MINUTE)
    return bool(quiet.update(alarmed_at=DatabaseNow()))
