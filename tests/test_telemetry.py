"""What OpenTelemetry is told, read from its SDK's own exporters in memory."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from jwt_outbound import telemetry
from jwt_outbound.exceptions import IssuerUnavailable, RefreshTokenRefused
from jwt_outbound.signals import token_pair_event, token_waited_for
from jwt_outbound.testing import FakeIssuer, drain
from jwt_outbound.tokens import fetch_valid_access_token

pytestmark = pytest.mark.django_db(transaction=True)


class Exported:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._reader, self._spans = InMemoryMetricReader(), InMemorySpanExporter()
        meters, tracers = MeterProvider([self._reader]), TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.tracer = tracers.get_tracer("the caller's own")
        # A process has one provider for good, and so each test would see the others' numbers.
        monkeypatch.setattr(metrics, "get_meter", meters.get_meter)
        monkeypatch.setattr(trace, "get_tracer", tracers.get_tracer)
        monkeypatch.setattr(telemetry, "_made", None)

    def points(self, name: str) -> list[Any]:
        data = self._reader.get_metrics_data()
        scopes = [scope for r in data.resource_metrics for scope in r.scope_metrics] if data else []
        found = [m for scope in scopes for m in scope.metrics if m.name == f"jwt_outbound.{name}"]
        return [point for metric in found for point in metric.data.data_points]

    def spans(self, name: str = "jwt_outbound.refresh") -> list[Any]:
        return [span for span in self._spans.get_finished_spans() if span.name == name]


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Exported:
    return Exported(monkeypatch)


@pytest.fixture
def fake(user: User) -> Iterator[FakeIssuer]:
    with FakeIssuer().serving("billing") as issuer:
        issuer.pair_for(user)
        issuer.expire(user)
        yield issuer


def test_a_refresh(exported: Exported, fake: FakeIssuer, user: User) -> None:
    with exported.tracer.start_as_current_span("request") as request:
        fetch_valid_access_token("billing", user)
        assert drain()
    (refreshed,) = exported.points("refreshes")
    assert refreshed.value == 1
    assert dict(refreshed.attributes) == {
        "jwt_outbound.service": "billing",
        "jwt_outbound.outcome": "refreshed",
        "http.response.status_code": 200,
    }
    assert exported.points("refresh.duration")[0].count == 1
    assert abs(exported.points("issuer.skew")[0].value) < 5
    (waited,) = exported.points("wait.duration")
    assert (waited.count, dict(waited.attributes)) == (1, {"jwt_outbound.service": "billing"})
    (span,) = exported.spans()
    assert span.kind is trace.SpanKind.CLIENT
    assert span.parent.span_id == request.get_span_context().span_id
    assert span.status.is_ok or span.status.status_code is trace.StatusCode.UNSET


def test_a_fresh_token_tells_nothing(exported: Exported, fake: FakeIssuer, user: User) -> None:
    fake.pair_for(user)
    fetch_valid_access_token("billing", user)
    assert exported.points("wait.duration") == exported.points("refreshes") == []


def test_an_ambiguous_answer(exported: Exported, fake: FakeIssuer, user: User) -> None:
    fake.fail(status=503)
    with pytest.raises(IssuerUnavailable):
        fetch_valid_access_token("billing", user)
    assert exported.points("answers.ambiguous")[0].value == 1
    attributes = dict(exported.points("refreshes")[0].attributes)
    assert attributes["jwt_outbound.outcome"] == "unavailable"
    assert attributes["http.response.status_code"] == 503
    assert attributes["error.type"]
    assert exported.spans()[0].status.status_code is trace.StatusCode.ERROR


def test_a_logout(exported: Exported, fake: FakeIssuer, user: User) -> None:
    fake.refuse(user)
    with pytest.raises(RefreshTokenRefused):
        fetch_valid_access_token("billing", user)
    (point,) = exported.points("logouts")
    assert point.value == 1
    assert point.attributes["jwt_outbound.reason"] == "refused"


def test_a_takeover(exported: Exported) -> None:
    line = {"service": "billing", "kind": "refreshed", "user_id": 1, "generation": 2}
    token_pair_event.send(sender=None, failures=0, takeover=True, skew=-2_000_000, **line)
    assert exported.points("lease.takeovers")[0].value == 1
    assert exported.points("issuer.skew")[0].value == -2


def test_no_token_reaches_it(exported: Exported, fake: FakeIssuer, user: User) -> None:
    fetch_valid_access_token("billing", user)
    assert drain()
    told = str([vars(span) for span in exported.spans()]) + str(exported.points("refreshes"))
    assert [token for token in fake._families if token in told] == []


def test_a_wait_is_signalled(fake: FakeIssuer, user: User) -> None:
    waits: list[float] = []

    def note(*, seconds: float, **_: Any) -> None:
        waits.append(seconds)

    token_waited_for.connect(note)
    try:
        fetch_valid_access_token("billing", user)
    finally:
        token_waited_for.disconnect(note)
    assert len(waits) == 1
    assert waits[0] > 0
