"""The alarm at more refusals than an issuer in its right mind gives."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User

from jwt_outbound.exceptions import IssuerUnavailable, LoginRequired
from jwt_outbound.models import IssuerState
from jwt_outbound.querysets import database_now
from jwt_outbound.signals import refusals_alarm
from jwt_outbound.testing import FakeIssuer, shift_clock
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import Configure

pytestmark = [pytest.mark.database, pytest.mark.django_db]


@pytest.fixture
def alarms() -> Iterator[list[dict[str, Any]]]:
    heard: list[dict[str, Any]] = []

    def note(**said: Any) -> None:
        heard.append({name: said[name] for name in ("service", "limit", "suspended")})

    refusals_alarm.connect(note)
    yield heard
    refusals_alarm.disconnect(note)


@pytest.fixture(autouse=True)
def fake(configure: Configure) -> Iterator[FakeIssuer]:
    configure(REFUSALS_PER_MINUTE=2)
    with FakeIssuer().serving("billing") as issuer:
        yield issuer


def refuse(fake: FakeIssuer, *numbers: int) -> list[User]:
    users = [get_user_model().objects.create_user(f"user-{number}") for number in numbers]
    for user in users:
        fake.pair_for(user)
        fake.expire(user)
        fake.refuse(user)
        with pytest.raises((LoginRequired, IssuerUnavailable)):
            fetch_valid_access_token("billing", user)
    return users


def test_as_many_as_allowed_are_no_alarm(fake: FakeIssuer, alarms: list[Any]) -> None:
    refuse(fake, 1, 2)
    assert alarms == []
    assert not IssuerState.objects.filter(alarmed_at__gt=0).exists()


def test_one_more_is_signalled_logged_and_kept(
    fake: FakeIssuer, alarms: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    before = database_now()
    refuse(fake, 1, 2, 3)
    assert alarms == [{"service": "billing", "limit": 2, "suspended": False}]
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "more than 2 refreshes in a minute" in errors[0]
    assert "suspend the logouts" in errors[0]
    assert IssuerState.objects.get(pk="billing").alarmed_at >= before


def test_it_is_told_once_a_minute_while_it_goes_on(fake: FakeIssuer, alarms: list[Any]) -> None:
    refuse(fake, 1, 2, 3, 4, 5)
    assert len(alarms) == 1
    with shift_clock(61):
        refuse(fake, 6, 7)
        assert len(alarms) == 1, "two in this minute"
        refuse(fake, 8)
        assert len(alarms) == 2


def test_suspended_refusals_count_and_the_alarm_says_so(
    fake: FakeIssuer, alarms: list[Any]
) -> None:
    IssuerState.objects.change("billing", {"suspended": True})
    refuse(fake, 1, 2, 3)
    assert alarms == [{"service": "billing", "limit": 2, "suspended": True}]


def test_logins_that_have_run_out_are_nobodys_madness(fake: FakeIssuer, alarms: list[Any]) -> None:
    fake.refresh_lifetime = 60
    users = [get_user_model().objects.create_user(f"user-{number}") for number in range(4)]
    for user in users:
        fake.pair_for(user)
    with shift_clock(2 * 3600):
        for user in users:
            with pytest.raises(LoginRequired):
                fetch_valid_access_token("billing", user)
    assert alarms == []


@pytest.mark.parametrize("limit", [None, 100])
def test_it_can_be_turned_off(
    fake: FakeIssuer, alarms: list[Any], configure: Any, settings: Any, limit: int | None
) -> None:
    services = settings.JWT_OUTBOUND["SERVICES"]
    quiet = {**services["billing"], "REFUSALS_PER_MINUTE": limit}
    settings.JWT_OUTBOUND = {**settings.JWT_OUTBOUND, "SERVICES": {"billing": quiet}}
    refuse(fake, 1, 2, 3, 4)
    assert alarms == []
