"""What the dashboard shows of one service or all, in a number of queries that does not grow."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncHour

from jwt_outbound.clock import SECOND
from jwt_outbound.conf import get_settings
from jwt_outbound.fields import DatabaseNow
from jwt_outbound.inspection import State, words_for
from jwt_outbound.models import IssuerState, TokenPair, TokenPairEvent
from jwt_outbound.pair_states import state_case
from jwt_outbound.querysets import database_now, shown

HOURS: Final = 24
MOST_DURATIONS: Final = 10_000
"""The newest exchanges that median and percentile are taken of."""
NEWEST_LOGOUTS: Final = 10
ALARM_SHOWN: Final = 600 * SECOND
"""For how long after an alarm the dashboard is red."""


@dataclass(frozen=True, kw_only=True)
class IssuerRow:
    """One service's issuer."""

    service: str
    suspended: bool = False
    alarmed: bool = False
    cooling_for: str = ""
    failures: int = 0


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """Everything on the page."""

    service: str
    services: list[str]
    states: list[tuple[State, int]]
    hours: list[tuple[str, dict[str, int]]]
    totals: list[tuple[str, int]]
    median_ms: int | None
    slowest_ms: int | None
    """95 of 100 exchanges are quicker."""
    durations: int
    logouts: list[tuple[str, int]]
    newest_logouts: list[Any] = field(default_factory=list)
    issuers: list[IssuerRow] = field(default_factory=list)
    cooling_pairs: int = 0


def dashboard_of(service: str) -> Dashboard:
    """`service=""` for all of them."""
    now = database_now()
    chosen = Q(service=service) if service else Q()
    since = shown(now) - timedelta(hours=HOURS)
    events = TokenPairEvent.objects.filter(chosen, at__gt=since)
    hours = _hours(events, shown(now))
    durations = sorted(
        TokenPairEvent.objects.filter(chosen, at__gt=since, duration_ms__isnull=False)
        .order_by("-at")
        .values_list("duration_ms", flat=True)[:MOST_DURATIONS]
    )
    issuers = _issuers(now, service)
    return Dashboard(
        service=service,
        services=configured_services(),
        states=_states(chosen),
        hours=hours,
        totals=_totals(hours),
        median_ms=_at(durations, 0.5),
        slowest_ms=_at(durations, 0.95),
        durations=len(durations),
        logouts=_logouts(events),
        newest_logouts=list(events.filter(kind="refused").order_by("-at")[:NEWEST_LOGOUTS]),
        issuers=issuers,
        cooling_pairs=TokenPair.objects.filter(chosen, cooldown_until__gt=DatabaseNow()).count(),
    )


def configured_services() -> list[str]:
    """The services' names; none where the settings can't be read."""
    try:
        return list(get_settings().services)
    except ImproperlyConfigured:
        return []


def _states(chosen: Q) -> list[tuple[State, int]]:
    counted = TokenPair.objects.filter(chosen).annotate(state=state_case()).values("state")
    counts = dict(counted.annotate(pairs=Count("pk")).values_list("state", "pairs"))
    return [(state, counts[state.value]) for state in State if counts.get(state.value)]


def _hours(events: QuerySet[Any], now: datetime) -> list[tuple[str, dict[str, int]]]:
    hour = TruncHour("at", tzinfo=UTC if settings.USE_TZ else None)
    counted = events.order_by().annotate(hour=hour).values_list("hour", "kind")
    counts: dict[str, dict[str, int]] = {}
    for at, kind, count in counted.annotate(lines=Count("pk")):
        counts.setdefault(_label(at), {})[kind] = count
    labels = [_label(now - timedelta(hours=back)) for back in range(HOURS - 1, -1, -1)]
    return [(label, counts.get(label, {})) for label in labels]


def _label(at: datetime) -> str:
    return f"{at:%m-%d %H:00}"


def _totals(hours: list[tuple[str, dict[str, int]]]) -> list[tuple[str, int]]:
    sums = {kind.value: sum(counts.get(kind, 0) for _, counts in hours) for kind in Kind}
    return [(str(Kind(kind).label), count) for kind, count in sums.items() if count]


Kind = TokenPairEvent.Kind


def _at(durations: list[int], share: float) -> int | None:
    return durations[min(int(len(durations) * share), len(durations) - 1)] if durations else None


def _logouts(events: QuerySet[Any]) -> list[tuple[str, int]]:
    reasons = events.filter(kind="refused").order_by().values_list("reason")
    return sorted(reasons.annotate(users=Count("pk")))


def _issuers(now: int, service: str) -> list[IssuerRow]:
    known = {state.service: state for state in IssuerState.objects.all()[:1000]}
    names = [service] if service else [*configured_services()]
    return [_issuer(name, known.get(name), now) for name in names]


def _issuer(name: str, known: Any, now: int) -> IssuerRow:
    if known is None:
        return IssuerRow(service=name)
    cooling = known.cooling_until - now
    return IssuerRow(
        service=name,
        suspended=known.suspended,
        alarmed=bool(known.alarmed_at) and now - known.alarmed_at < ALARM_SHOWN,
        cooling_for=words_for(cooling) if cooling > 0 else "",
        failures=known.failures,
    )
