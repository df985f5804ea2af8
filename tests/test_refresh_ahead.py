"""A pair that is good but due: who refreshes it, and that nobody waits or fails because of it."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import TestCase

from jwt_outbound.exceptions import IssuerUnavailable, ServiceNotConfigured, TokenPairNotFound
from jwt_outbound.models import TokenPair
from jwt_outbound.refresh_ahead import refresh_if_due
from jwt_outbound.rows import Pair
from jwt_outbound.testing import FakeIssuer, drain
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import STALE_AFTER, Configure, Heard
from tests.issuer_server import StrictIssuer

pytestmark = pytest.mark.django_db(transaction=True)

Row = Callable[[], Pair]

asked: list[tuple[str, Any]] = []


def note(service: str, user_id: Any) -> None:
    """A runner of the project's own: it would enqueue a task."""
    asked.append((service, user_id))


def fail(service: str, user_id: Any) -> None:
    raise ConnectionError("the queue is away, and said a secret")


def fetch(user: User) -> str:
    return fetch_valid_access_token("billing", user)


@pytest.fixture
def stale(stored: dict[str, str], later: Callable[[float], None]) -> dict[str, str]:
    asked.clear()
    later(STALE_AFTER)
    return stored


class TestTheRunner:
    def test_is_a_flight_unless_told_otherwise(
        self, user: User, stale: dict[str, str], row: Row, heard: Heard
    ) -> None:
        assert fetch(user) == stale["access"]
        assert drain()
        assert row().generation == 2
        assert [(name, said["reason"]) for name, said in heard] == [("refreshed", "stale")]

    def test_can_be_off(
        self, user: User, stale: dict[str, str], issuer: StrictIssuer, configure: Configure
    ) -> None:
        configure(REFRESH_AHEAD_RUNNER="off")
        assert fetch(user) == stale["access"]
        assert drain()
        assert issuer.presentations() == []

    def test_can_be_the_projects_own_which_refreshes_later(
        self,
        user: User,
        stale: dict[str, str],
        issuer: StrictIssuer,
        configure: Configure,
        row: Row,
    ) -> None:
        configure(REFRESH_AHEAD_RUNNER=f"{__name__}.note")
        assert fetch(user) == stale["access"]
        assert asked == [("billing", user.pk)]
        assert issuer.presentations() == []
        for _ in range(2):
            outcome = refresh_if_due(*asked[0])
            assert outcome.failure is None
        assert (row().generation, len(issuer.presentations())) == (2, 1)

    @pytest.mark.parametrize("runner", [f"{__name__}.fail", "no.such.runner"])
    def test_one_that_fails_is_logged_and_the_token_served(
        self,
        user: User,
        stale: dict[str, str],
        configure: Configure,
        caplog: pytest.LogCaptureFixture,
        runner: str,
    ) -> None:
        configure(REFRESH_AHEAD_RUNNER=runner)
        with caplog.at_level(logging.ERROR):
            assert fetch(user) == stale["access"]
        assert "A refresh ahead for 'billing' was not started" in caplog.text
        assert "secret" not in caplog.text

    def test_an_outage_is_noticed_by_nobody(
        self, user: User, stale: dict[str, str], issuer: StrictIssuer, heard: Heard
    ) -> None:
        issuer.fail(503)
        for _ in range(2):
            assert fetch(user) == stale["access"]
            assert drain()
        assert (len(issuer.presentations()), heard) == (1, [])


class TestRefreshIfDue:
    @pytest.mark.usefixtures("stored")
    def test_what_is_not_due_is_left_alone(self, user: User, issuer: StrictIssuer) -> None:
        outcome = refresh_if_due("billing", user.pk)
        assert outcome.failure is None
        assert issuer.presentations() == []

    def test_what_is_not_there_is_said(self, user: User, issuer: StrictIssuer) -> None:
        outcome = refresh_if_due("billing", user.pk)
        assert outcome.failure is not None
        assert outcome.failure.kind is TokenPairNotFound
        with pytest.raises(ServiceNotConfigured):
            refresh_if_due("crm", user.pk)

    @pytest.mark.usefixtures("stale")
    def test_an_outage_is_its_outcome(self, user: User, issuer: StrictIssuer) -> None:
        issuer.fail(503)
        failure = refresh_if_due("billing", user.pk).failure
        assert failure is not None
        assert failure.kind is IssuerUnavailable

    def test_a_pair_without_a_refresh_token_is_never_due(self, user: User) -> None:
        TokenPair.objects.store(user=user, service="billing", access="opaque", expires_in=10)
        assert refresh_if_due("billing", user.pk).failure is None


class InATestCase(TestCase):
    def test_it_is_done_inline(self) -> None:
        user = User.objects.create_user("alice")
        with FakeIssuer(lifetime=300).serving("billing") as issuer:
            issuer.pair_for(user)
            old = fetch(user)
            TokenPair.objects.update(refresh_at=1)
            assert fetch(user) == old
            assert len(issuer.presentations) == 1
            assert fetch(user) != old
            TokenPair.objects.update(refresh_at=1)
            assert refresh_if_due("billing", user.pk).failure is None
            assert len(issuer.presentations) == 2
