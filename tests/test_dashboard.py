"""The dashboard: what it counts, what it costs, and whom it shows it to."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from jwt_outbound.charts import stacked_hours, timeline
from jwt_outbound.dashboard import dashboard_of
from jwt_outbound.inspection import State
from jwt_outbound.models import IssuerState, TokenPair, TokenPairEvent
from jwt_outbound.querysets import database_now, shown

pytestmark = [pytest.mark.database, pytest.mark.django_db]

URL = "/admin/jwt_outbound/tokenpair/dashboard/"
numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def two_services(settings: Settings) -> None:
    services = settings.JWT_OUTBOUND["SERVICES"]
    settings.JWT_OUTBOUND = {"SERVICES": {**services, "archive": services["billing"]}}


def store(service: str = "billing") -> TokenPair:
    user = User.objects.create_user(f"user-{next(numbers)}")
    tokens = {"access": "a", "refresh": "r", "expires_in": 300}
    return TokenPair.objects.store(user=user, service=service, **tokens)


def line(pair: TokenPair, kind: str, hours_ago: float = 0, **columns: Any) -> None:
    TokenPairEvent.objects.create(
        pair=pair,
        user_id=pair.user_id,
        service=pair.service,
        generation=1,
        at=shown(database_now()) - timedelta(hours=hours_ago),
        kind=kind,
        **columns,
    )


def test_pairs_by_state() -> None:
    store()
    old, archived = store(), store("archive")
    TokenPair.objects.filter(pk=old.pk).update(expires_at=1)
    assert archived
    assert dashboard_of("").states == [(State.FRESH, 2), (State.EXPIRED, 1)]
    assert dashboard_of("archive").states == [(State.FRESH, 1)]


def test_the_last_day_by_the_hour() -> None:
    pair = store()
    for hours_ago in (0, 2, 2, 30):
        line(pair, "refreshed", hours_ago)
    line(pair, "unavailable", 2)
    found = dashboard_of("billing")
    assert len(found.hours) == 24
    assert found.hours[-3][1] == {"refreshed": 2, "unavailable": 1}
    assert found.hours[-1][1] == {"stored": 1, "refreshed": 1}
    assert dict(found.totals) == {"stored": 1, "refreshed": 3, "issuer unavailable": 1}


def test_how_long_the_issuer_takes() -> None:
    pair = store()
    for milliseconds in range(1, 101):
        line(pair, "refreshed", duration_ms=milliseconds)
    line(pair, "refreshed", 30, duration_ms=9999)
    found = dashboard_of("")
    assert (found.median_ms, found.slowest_ms, found.durations) == (51, 96, 100)
    assert dashboard_of("archive").median_ms is None


def test_users_logged_out_with_reasons() -> None:
    pair = store()
    for reason in ("refused", "expired", "refused"):
        line(pair, "refused", reason=reason)
    found = dashboard_of("")
    assert found.logouts == [("expired", 1), ("refused", 2)]
    assert len(found.newest_logouts) == 3


def test_cool_downs_suspension_and_alarm(admin_client: Client) -> None:
    now = database_now()
    TokenPair.objects.filter(pk=store().pk).update(cooldown_until=now + 60_000_000)
    html = admin_client.get(URL).content.decode()
    assert "jwt-alarm" not in html
    assert "Pairs in a cool-down of their own: 1." in html
    IssuerState.objects.create(
        service="billing", cooling_until=now + 60_000_000, suspended=True, alarmed_at=now
    )
    html = admin_client.get(URL).content.decode()
    assert 'class="jwt-alarm" role="alert"' in html
    assert "suspended</span>" in html
    billing, archive = dashboard_of("").issuers
    assert (billing.cooling_for != "", billing.alarmed, archive.alarmed) == (True, True, False)
    IssuerState.objects.update(alarmed_at=now - 601_000_000)
    assert not dashboard_of("billing").issuers[0].alarmed


def test_an_empty_one(admin_client: Client) -> None:
    html = admin_client.get(URL).content.decode()
    assert "No token pairs yet." in html
    assert "The issuer was not asked." in html
    assert admin_client.get(URL, {"service": "archive"}).status_code == 200
    assert admin_client.get(URL, {"service": "gone"}).status_code == 404


def test_it_is_for_those_who_may_see_pairs(client: Client) -> None:
    assert "/admin/login/" in client.get(URL)["Location"]
    client.force_login(User.objects.create_user("staff", is_staff=True))
    assert client.get(URL).status_code == 403
    assert reverse("admin:jwt_outbound_dashboard") == URL


def test_it_takes_as_many_queries_for_many_pairs(admin_client: Client) -> None:
    def count() -> int:
        with CaptureQueriesContext(connections["default"]) as queries:
            assert admin_client.get(URL).status_code == 200
        return len(queries)

    line(store(), "refused", reason="refused")
    for_one = count()
    for _ in range(12):
        line(store(), "refused", reason="refused")
    assert count() == for_one
    assert for_one <= 16


def test_pictures_call_nobody_and_carry_no_script() -> None:
    pair = store()
    line(pair, "refreshed", 1)
    line(pair, "unavailable", 0.5)
    drawing = timeline(pair.events.all()) + stacked_hours(dashboard_of("").hours)
    assert drawing.count("<svg") == 2
    assert 'class="good"' in drawing
    assert 'class="soon"' in drawing
    assert not any(word in drawing for word in ("http", "script", "href", "style="))
    assert timeline([]) == ""
