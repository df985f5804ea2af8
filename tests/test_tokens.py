"""The door to a token: fetched when good, refreshed when not, and the right error otherwise."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser, User
from django.db import OperationalError, connections
from django.test import TestCase
from pytest_django import DjangoAssertNumQueries

from jwt_outbound import signals
from jwt_outbound.clock import SECOND
from jwt_outbound.compare_and_swap import Now
from jwt_outbound.exceptions import (
    LoginRequired,
    RefreshTokenRefused,
    ServiceNotConfigured,
    TokenPairNotFound,
    TokenPairUnreadable,
    TokenStoreUnavailable,
)
from jwt_outbound.models import IssuerState, TokenPair, TokenPairEvent
from jwt_outbound.querysets import IssuerStateQuerySet, RowManager
from jwt_outbound.rows import Pair
from jwt_outbound.testing import FakeIssuer, drain, shift_clock
from jwt_outbound.tokens import afetch_valid_access_token, fetch_valid_access_token
from tests.conftest import EXPIRED_AFTER, OVER_AFTER, STALE_AFTER, Configure, Heard
from tests.issuer_server import StrictIssuer

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]

Row = Callable[[], Pair]


def fetch(user: object, **asked: object) -> str:
    return fetch_valid_access_token("billing", user, **asked)


@pytest.mark.usefixtures("stored")
class TestAToken:
    def test_a_fresh_one_is_served_in_one_query_and_nobody_is_asked(
        self,
        user: User,
        stored: dict[str, str],
        issuer: StrictIssuer,
        django_assert_num_queries: DjangoAssertNumQueries,
    ) -> None:
        with django_assert_num_queries(1):
            assert fetch(user) == stored["access"]
        assert issuer.requests() == []

    @pytest.mark.parametrize("after", [EXPIRED_AFTER, OVER_AFTER, 50_000])
    def test_an_expired_one_is_refreshed_once(
        self, user: User, row: Row, issuer: StrictIssuer, after: float
    ) -> None:
        shift_clock(after)
        new = fetch(user)
        assert fetch(user.pk) == fetch(str(user.pk)) == new
        assert issuer.times_presented("alice", 1) == len(issuer.presentations()) == 1
        assert row().generation == 2
        kinds = TokenPairEvent.objects.order_by("at").values_list("kind", flat=True)
        assert list(kinds) == ["stored", "refreshed"]

    def test_a_stale_one_is_served_while_it_is_refreshed(
        self, user: User, row: Row, issuer: StrictIssuer, stored: dict[str, str]
    ) -> None:
        shift_clock(STALE_AFTER)
        issuer.hold()
        assert [fetch(user) for _ in range(5)] == [stored["access"]] * 5
        issuer.wait_inside(1)
        issuer.release()
        assert drain()
        assert (row().generation, len(issuer.presentations())) == (2, 1)
        assert fetch(user) != stored["access"]

    @pytest.mark.parametrize("after", [STALE_AFTER, EXPIRED_AFTER])
    def test_an_awaited_one_comes_by_the_same_flights(
        self, user: User, row: Row, issuer: StrictIssuer, after: float
    ) -> None:
        shift_clock(after)

        async def story() -> str:
            return await afetch_valid_access_token("billing", user)

        async_to_sync(story)()
        assert drain()
        assert (row().generation, len(issuer.presentations())) == (2, 1)

    def test_callers_that_meet_an_expired_one_cause_one_request(
        self, user: User, issuer: StrictIssuer
    ) -> None:
        shift_clock(EXPIRED_AFTER)
        at_once = threading.Barrier(8)

        def call(_: int) -> str:
            at_once.wait(10)
            try:
                return fetch(user)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(8) as pool:
            tokens = set(pool.map(call, range(8)))
        assert len(tokens) == issuer.most_presented() == len(issuer.presentations()) == 1

    def test_min_validity_is_what_must_be_left_of_it(
        self, user: User, issuer: StrictIssuer, stored: dict[str, str]
    ) -> None:
        shift_clock(180)
        assert fetch(user, min_validity=110) == stored["access"]
        new = fetch(user, min_validity=130)
        assert new != stored["access"]
        assert fetch(user, min_validity=10_000) == new, "at most half of its life counts"
        assert len(issuer.presentations()) == 1


@pytest.mark.usefixtures("stored")
class TestARejectedToken:
    def test_of_some_age_is_refreshed(
        self, user: User, stored: dict[str, str], issuer: StrictIssuer
    ) -> None:
        shift_clock(60)
        new = fetch(user, rejected=stored["access"])
        assert new != stored["access"]
        assert fetch(user, rejected=stored["access"]) == new, "the row is past it"
        assert fetch(user, rejected="none of ours") == new
        assert len(issuer.presentations()) == 1

    def test_that_is_young_is_returned_since_it_was_no_expiry(
        self, user: User, stored: dict[str, str], issuer: StrictIssuer
    ) -> None:
        assert fetch(user, rejected=stored["access"]) == stored["access"]
        assert issuer.presentations() == []

    def test_of_unknown_lifetime_teaches_how_long_such_tokens_live(
        self, user: User, row: Row, issuer: StrictIssuer
    ) -> None:
        issuer.configure(opaque=True)
        tokens = issuer.pair_for("alice")
        TokenPair.objects.store(user=user, service="billing", **tokens)
        shift_clock(60)
        assert fetch(user) == tokens["access"]
        fetch(user, rejected=tokens["access"])
        lifetime = row().lifetime
        assert lifetime is not None
        assert 60 * SECOND <= lifetime < 120 * SECOND
        shift_clock(130)
        fetch(user)
        assert len(issuer.presentations()) == 2


class TestNoToken:
    def test_nothing_stored(self, user: User, issuer: StrictIssuer) -> None:
        with pytest.raises(TokenPairNotFound) as caught:
            fetch(user)
        assert (caught.value.service, caught.value.user_id) == ("billing", user.pk)

    def test_no_refresh_token_to_go_on_with(self, user: User, issuer: StrictIssuer) -> None:
        TokenPair.objects.store(user=user, service="billing", access="opaque", expires_in=60)
        assert fetch(user) == "opaque"
        shift_clock(61)
        with pytest.raises(TokenPairNotFound):
            fetch(user)
        assert issuer.requests() == []

    def test_nobody_and_an_unknown_service(self, user: User) -> None:
        with pytest.raises(LoginRequired):
            fetch(AnonymousUser())
        with pytest.raises(ServiceNotConfigured, match=r"'crm'.*configured: billing"):
            fetch_valid_access_token("crm", user)

    @pytest.mark.usefixtures("stored")
    def test_an_inactive_user_is_not_refreshed(self, user: User, issuer: StrictIssuer) -> None:
        shift_clock(EXPIRED_AFTER)
        user.is_active = False
        user.save()
        for given in (user, user.pk):
            with pytest.raises(LoginRequired, match="not active"):
                fetch(given)
        assert issuer.requests() == []

    @pytest.mark.usefixtures("stored")
    def test_a_pair_that_is_deleted_while_it_is_refreshed(
        self, user: User, issuer: StrictIssuer
    ) -> None:
        shift_clock(EXPIRED_AFTER)
        issuer.hold()
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(_fetch_elsewhere, user)
            issuer.wait_inside(1)
            TokenPair.objects.all().delete()
            issuer.release()
            with pytest.raises(TokenPairNotFound):
                call.result(10)
        assert not TokenPair.objects.exists()

    @pytest.mark.parametrize("after", [0, EXPIRED_AFTER])
    @pytest.mark.usefixtures("stored")
    def test_without_its_key_nothing_is_sent_and_with_it_all_is_back(
        self,
        user: User,
        row: Row,
        issuer: StrictIssuer,
        configure: Configure,
        heard: Heard,
        after: float,
    ) -> None:
        shift_clock(after)
        before = row()
        configure(ENCRYPTION_KEYS=["A" * 43 + "="])
        for _ in range(2):
            with pytest.raises(TokenPairUnreadable) as caught:
                fetch(user)
        assert caught.value.user_id == user.pk
        assert (issuer.requests(), heard, row()) == ([], [], before)
        configure(ENCRYPTION_KEYS=[])
        assert fetch(user)


class InATestCase(TestCase):
    """In a user's own `TestCase`, with no set-up."""

    def test_pairs_stored_in_the_test_are_used_and_refreshed(self) -> None:
        user = User.objects.create_user("alice")
        with FakeIssuer(lifetime=300).serving("billing") as issuer:
            issuer.pair_for(user)
            with self.assertNumQueries(1):
                first = fetch(user)
            issuer.expire(user)
            assert fetch(user) != first
            assert async_to_sync(afetch_valid_access_token)("billing", user) == fetch(user)
            issuer.expire(user)
            issuer.refuse(user)
            for _ in range(2):
                with pytest.raises(RefreshTokenRefused):
                    fetch(user)
            assert len(issuer.presentations) == 2


def _fetch_elsewhere(user: User) -> str:
    try:
        return fetch(user)
    finally:
        connections.close_all()


def away(*args: Any, **options: Any) -> None:
    raise OperationalError("server closed the connection")


@pytest.mark.usefixtures("stored")
class TestATokenInItsLastSeconds:
    def test_is_served_without_waiting_while_its_issuer_is_known_to_be_away(
        self, user: User, stored: dict[str, str], issuer: StrictIssuer
    ) -> None:
        IssuerState.objects.change("billing", {"failures": 3, "cooling_until": Now(60 * SECOND)})
        waited: list[float] = []

        def note(seconds: float, **_: Any) -> None:
            waited.append(seconds)

        shift_clock(EXPIRED_AFTER - 5)
        signals.token_waited_for.connect(note)
        try:
            assert fetch(user) == stored["access"]
        finally:
            signals.token_waited_for.disconnect(note)
        assert (waited, issuer.presentations()) == ([], [])

    def test_is_refreshed_first_where_all_is_well(self, user: User, stored: dict[str, str]) -> None:
        shift_clock(EXPIRED_AFTER)
        assert fetch(user) != stored["access"]

    def test_that_the_issuers_health_can_not_be_read_is_an_error_of_our_tree(
        self, user: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shift_clock(EXPIRED_AFTER)
        monkeypatch.setattr(IssuerStateQuerySet, "health", away)
        with pytest.raises(TokenStoreUnavailable):
            fetch(user)


def test_a_database_that_is_away_is_an_error_of_our_tree(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RowManager, "read", away)
    with pytest.raises(TokenStoreUnavailable) as unavailable:
        fetch_valid_access_token("billing", user)
    assert unavailable.value.retry_after == 1
