"""The shipped fake issuer is strict, and time moves for it as it does for us."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from jwt_outbound import clock
from jwt_outbound.conf import get_service
from jwt_outbound.exceptions import (
    CredentialsRefused,
    IssuerMisconfigured,
    IssuerUnavailable,
    RefreshTokenRefused,
    ServiceNotConfigured,
)
from jwt_outbound.issuers import Meaning
from jwt_outbound.models import TokenPair
from jwt_outbound.querysets import database_now
from jwt_outbound.testing import FakeIssuer, drain, shift_clock
from jwt_outbound.tokens import fetch_valid_access_token

pytestmark = pytest.mark.django_db


def fetch(user: User, service: str = "billing") -> str:
    return fetch_valid_access_token(service, user)


def test_the_example_of_the_docs(user: User) -> None:
    with FakeIssuer(lifetime=300).serving("billing") as issuer:
        pair = issuer.pair_for(user)
        assert isinstance(pair, TokenPair)
        first = fetch(user)
        issuer.expire(user)
        assert fetch(user) != first
        assert len(issuer.presentations) == 1


class TestServing:
    def test_a_service_that_is_missing_is_made_and_gone_again(self, user: User) -> None:
        with FakeIssuer().serving("crm") as issuer:
            issuer.pair_for(user)
            assert fetch(user, "crm")
            assert get_service("billing")
        with pytest.raises(ServiceNotConfigured):
            get_service("crm")

    def test_one_that_is_there_keeps_its_other_settings(self) -> None:
        before = settings.JWT_OUTBOUND
        with FakeIssuer().serving("billing") as issuer:
            assert get_service("billing").issuer is issuer
            assert get_service("billing").base_url == "http://127.0.0.1:1/api/"
        assert settings.JWT_OUTBOUND is before

    def test_two_at_once(self, user: User) -> None:
        with FakeIssuer().serving("billing") as billing, FakeIssuer().serving("crm") as crm:
            billing.pair_for(user)
            crm.pair_for(user)
            crm.expire(user)
            assert fetch(user, "billing") != fetch(user, "crm")
            assert (len(billing.presentations), len(crm.presentations)) == (0, 1)

    def test_the_end_puts_time_back(self) -> None:
        with FakeIssuer().serving("billing"):
            shift_clock(500)
        assert clock.shift() == 0


class TestTime:
    def test_moves_with_the_database_and_back(self) -> None:
        before = database_now()
        with shift_clock(3600):
            assert database_now() >= before + 3600 * clock.SECOND
            with shift_clock(-7200):
                assert database_now() < before
        assert clock.shift() == 0

    def test_the_issuers_tokens_live_by_it(self, user: User) -> None:
        with FakeIssuer(lifetime=60).serving("billing") as issuer:
            shift_clock(10_000)
            issuer.pair_for(user)
            first = fetch(user)
            shift_clock(61)
            assert fetch(user) != first
            assert len(issuer.presentations) == 1


class TestStrictness:
    def test_a_spent_token_ends_its_family(self, user: User) -> None:
        with FakeIssuer().serving("billing") as issuer:
            issuer.pair_for(user)
            issuer.expire(user)
            fetch(user)
            (spent,) = issuer.presentations
            assert issuer.exchange(spent, 1).meaning is Meaning.REFUSED
            issuer.expire(user)
            with pytest.raises(RefreshTokenRefused):
                fetch(user)

    def test_of_many_at_once_one_is_granted(self) -> None:
        issuer = FakeIssuer()
        answer = issuer.obtain(username="alice", password="", deadline=1)
        assert answer.refresh is not None
        token, at_once = answer.refresh.reveal(), threading.Barrier(8)

        def present(_: int) -> Meaning:
            at_once.wait(10)
            return issuer.exchange(token, 1).meaning

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(present, range(8)))
        assert sorted(found, key=lambda meaning: meaning.value) == [
            Meaning.GRANTED,
            *[Meaning.REFUSED] * 7,
        ]
        assert issuer.presentations == [token] * 8

    def test_without_rotation_the_refresh_token_stays(self, user: User) -> None:
        with FakeIssuer(rotates=False).serving("billing") as issuer:
            issuer.pair_for(user)
            for _ in range(3):
                issuer.expire(user)
                fetch(user)
            assert len(issuer.presentations) == 3
            assert len(set(issuer.presentations)) == 1

    def test_an_unknown_token_is_refused(self) -> None:
        assert FakeIssuer().exchange("made up", 1).meaning is Meaning.REFUSED


class TestOrders:
    def test_refuse(self, user: User) -> None:
        bob = User.objects.create_user("bob")
        with FakeIssuer().serving("billing") as issuer:
            for someone in (user, bob):
                issuer.pair_for(someone)
                issuer.expire(someone)
            issuer.refuse(user)
            with pytest.raises(RefreshTokenRefused):
                fetch(user)
            assert fetch(bob)

    def test_fail(self, user: User) -> None:
        with FakeIssuer().serving("billing") as issuer:
            issuer.pair_for(user)
            issuer.expire(user)
            issuer.fail(headers={"Retry-After": "40"})
            with pytest.raises(IssuerUnavailable) as caught:
                fetch(user)
            assert (caught.value.retry_after, caught.value.ambiguous) == (40, True)
            shift_clock(41)
            issuer.fail(2, 401, body={"error": "invalid_client"})
            with pytest.raises(IssuerMisconfigured):
                fetch(user)
            shift_clock(300)
            issuer.fail(0, 500)
            with pytest.raises(IssuerMisconfigured):
                fetch(user)
            shift_clock(300)
            assert fetch(user)
            assert len(set(issuer.presentations)) == 1

    @pytest.mark.parametrize("body", [b'{"code": "token_not_valid"}', {"code": "token_not_valid"}])
    def test_fail_with_a_body(self, user: User, body: bytes | dict[str, str]) -> None:
        with FakeIssuer().serving("billing") as issuer:
            issuer.pair_for(user)
            issuer.expire(user)
            issuer.fail(status=401, body=body)
            with pytest.raises(RefreshTokenRefused):
                fetch(user)


class TestPasswords:
    def obtain(self, user: User, password: str) -> TokenPair:
        return TokenPair.objects.obtain(
            user=user, service="billing", username="alice", password=password
        )

    def test_everybody_may_log_in_until_there_are_some(self, user: User) -> None:
        with FakeIssuer().serving("billing") as issuer:
            assert self.obtain(user, "anything")
            issuer.passwords["alice"] = "secret"
            with pytest.raises(CredentialsRefused):
                self.obtain(user, "anything")
            assert self.obtain(user, "secret")

    def test_revoke_ends_a_family(self, user: User) -> None:
        with FakeIssuer().serving("billing") as issuer:
            issuer.pair_for(user)
            issuer.expire(user)
            fetch(user)
            successor = list(issuer._families)[-1]
            assert TokenPair.objects.revoke(user=user, service="billing")
            assert issuer.exchange(successor, 1).meaning is Meaning.REFUSED


@pytest.mark.parametrize("year", [2001, 2040])
def test_a_test_may_freeze_pythons_clock(
    user: User, monkeypatch: pytest.MonkeyPatch, year: int
) -> None:
    moment = datetime(year, 1, 1, tzinfo=UTC).timestamp()
    monkeypatch.setattr(time, "time", lambda: moment)
    with FakeIssuer(lifetime=300).serving("billing") as issuer:
        issuer.pair_for(user)
        first = fetch(user)
        with shift_clock(290):
            second = fetch(user)
            assert second != first
            assert fetch(user) == second
        assert len(issuer.presentations) == 1


def test_drain_waits_for_nothing_when_there_is_nothing() -> None:
    assert drain()
    assert drain(0)


@pytest.mark.django_db(transaction=True)
def test_a_refresh_token_whose_own_life_is_over_is_refused(user: User) -> None:
    with FakeIssuer(lifetime=300, refresh_lifetime=600).serving("billing") as issuer:
        issuer.pair_for(user)
        with shift_clock(700), pytest.raises(RefreshTokenRefused):
            fetch_valid_access_token("billing", user)
        assert len(issuer.presentations) == 1
