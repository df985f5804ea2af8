"""OpenTelemetry: metrics and spans, where its API is installed (`jwt-outbound[opentelemetry]`).

Receivers of our own signals, so that nothing of the protocol waits for it or fails by it. Names and
units follow the semantic conventions where there are some (`http.response.status_code`,
`error.type`, durations in seconds); the rest begins with `jwt_outbound.`.
"""

import time
from typing import Any, Final

import opentelemetry.metrics as metrics
import opentelemetry.trace as trace

from jwt_outbound.clock import SECOND
from jwt_outbound.signals import token_pair_event, token_refresh_failed, token_waited_for

NAME: Final = "jwt_outbound"
SERVICE: Final = "jwt_outbound.service"
FAILED: Final = {"unavailable", "misconfigured", "refused", "pending"}
NANOSECONDS_PER_MS: Final = 1_000_000


class Instruments:
    """Made from the meter provider of the moment at which it is made."""

    def __init__(self) -> None:
        meter = metrics.get_meter(NAME)
        self.refreshes = meter.create_counter(
            "jwt_outbound.refreshes", "{refresh}", "Flights that came to something, by outcome"
        )
        self.durations = meter.create_histogram(
            "jwt_outbound.refresh.duration", "s", "How long the issuer took to answer"
        )
        self.waits = meter.create_histogram(
            "jwt_outbound.wait.duration", "s", "How long callers waited for a refresh"
        )
        self.takeovers = meter.create_counter(
            "jwt_outbound.lease.takeovers", "{lease}", "Leases whose holder never ended them"
        )
        self.ambiguous = meter.create_counter(
            "jwt_outbound.answers.ambiguous", "{answer}", "Answers that left open what happened"
        )
        self.skew = meter.create_gauge(
            "jwt_outbound.issuer.skew", "s", "The issuer's clock less the database's"
        )
        self.logouts = meter.create_counter(
            "jwt_outbound.logouts", "{login}", "Logins that are over, by reason"
        )


_made: Instruments | None = None


def connect() -> None:
    """Called once all apps are loaded; again, it changes nothing."""
    token_pair_event.connect(note_event)
    token_waited_for.connect(note_wait)
    token_refresh_failed.connect(note_logout)


def note_event(*, service: str, kind: str, **line: Any) -> None:
    """One flight's outcome, and the exchange as a span below the caller's own."""
    made, of_service = _instruments(), {SERVICE: service}
    outcome = {**of_service, "jwt_outbound.outcome": kind}
    if line.get("status"):
        outcome["http.response.status_code"] = line["status"]
    if kind in FAILED:
        outcome["error.type"] = line.get("code") or kind
    made.refreshes.add(1, outcome)
    if line.get("takeover"):
        made.takeovers.add(1, of_service)
    if line.get("ambiguous"):
        made.ambiguous.add(1, of_service)
    if line.get("skew") is not None:
        made.skew.set(line["skew"] / SECOND, of_service)
    if line.get("duration_ms") is not None:
        made.durations.record(line["duration_ms"] / 1000, outcome)
        _span(line["duration_ms"], outcome, failed=kind in FAILED)


def note_wait(*, service: str, seconds: float, **_: Any) -> None:
    """One caller's wait."""
    _instruments().waits.record(seconds, {SERVICE: service})


def note_logout(*, service: str, reason: str, **_: Any) -> None:
    """One login's end."""
    _instruments().logouts.add(1, {SERVICE: service, "jwt_outbound.reason": reason})


def _span(milliseconds: int, attributes: dict[str, Any], *, failed: bool) -> None:
    end = time.time_ns()
    span = trace.get_tracer(NAME).start_span(
        "jwt_outbound.refresh",
        kind=trace.SpanKind.CLIENT,
        attributes=attributes,
        start_time=end - milliseconds * NANOSECONDS_PER_MS,
    )
    if failed:
        span.set_status(trace.StatusCode.ERROR)
    span.end(end)


def _instruments() -> Instruments:
    global _made
    if _made is None:
        _made = Instruments()
    return _made
