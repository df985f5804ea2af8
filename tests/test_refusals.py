"""A refusal ends a login: believed only of the current pair, and said once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import connections
from pytest_django import Settings

from jwt_outbound import swaps
from jwt_outbound.ciphers import ACCESS, sealer
from jwt_outbound.clock import SECOND
from jwt_outbound.exceptions import (
    IssuerUnavailable,
    RefreshTokenExpired,
    RefreshTokenRefused,
)
from jwt_outbound.issuers import CallableIssuer, SimpleJWTIssuer
from jwt_outbound.models import TokenPair, TokenPairEvent
from jwt_outbound.rows import Pair
from jwt_outbound.testing import drain, shift_clock
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import EXPIRED_AFTER, OVER_AFTER, STALE_AFTER, Heard
from tests.issuer_server import StrictIssuer

pytestmark = [
    pytest.mark.database,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("stored"),
]

Row = Callable[[], Pair]
Later = Callable[[float], None]
DAY = 86_400


def fetch(user: User) -> str:
    return fetch_valid_access_token("billing", user)


def fetch_elsewhere(user: User) -> str:
    try:
        return fetch(user)
    finally:
        connections.close_all()


def reasons(heard: Heard) -> list[tuple[str, str]]:
    return [(name, said["reason"]) for name, said in heard]


def test_a_refusal_met_on_the_way_ends_no_other_login(
    user: User, issuer: StrictIssuer, settings: Settings, heard: Heard
) -> None:
    """As where a token of one service is exchanged for one of the next (RFC 8693)."""
    chained = {
        "BASE_URL": "http://127.0.0.1:1/",
        "ISSUER": CallableIssuer(refresh=lambda token: fetch(user)),
    }
    services = {**settings.JWT_OUTBOUND["SERVICES"], "reports": chained}
    settings.JWT_OUTBOUND = {**settings.JWT_OUTBOUND, "SERVICES": services}
    TokenPair.objects.store(user=user, service="reports", access="a", refresh="r", expires_in=300)
    issuer.refuse("alice")
    shift_clock(OVER_AFTER)
    with pytest.raises(IssuerUnavailable):
        fetch_valid_access_token("reports", user)
    assert drain()
    refused = TokenPair.objects.filter(user=user, refused_at__gt=0)
    assert [pair.service for pair in refused] == ["billing"]
    assert [said["service"] for _, said in heard] == ["billing"]


class TestARefusal:
    def test_every_later_call_raises_at_once_without_asking_and_without_another_signal(
        self, user: User, row: Row, issuer: StrictIssuer, heard: Heard
    ) -> None:
        issuer.refuse("alice")
        shift_clock(EXPIRED_AFTER)
        for _ in range(3):
            with pytest.raises(RefreshTokenRefused) as caught:
                fetch(user)
            assert (caught.value.reason, caught.value.code) == ("refused", "token_not_valid")
        assert len(issuer.presentations()) == 1
        assert reasons(heard) == [("failed", "refused")]
        pair = row()
        assert (pair.generation, pair.reason, pair.code) == (1, "refused", "token_not_valid")
        assert 0 < pair.refused_at <= pair.announced_at
        assert pair.lease_until == 0

    def test_comes_first_even_while_the_access_token_is_good(
        self, user: User, issuer: StrictIssuer, stored: dict[str, str]
    ) -> None:
        issuer.refuse("alice")
        shift_clock(STALE_AFTER)
        assert fetch(user) == stored["access"]
        assert drain()
        with pytest.raises(RefreshTokenRefused):
            fetch(user)

    def test_a_pair_that_arrives_later_is_good_and_the_logout_stands(
        self, user: User, row: Row, issuer: StrictIssuer, heard: Heard
    ) -> None:
        issuer.refuse("alice")
        shift_clock(EXPIRED_AFTER)
        with pytest.raises(RefreshTokenRefused):
            fetch(user)
        issuer.refuse("alice", on=False)
        TokenPair.objects.store(user=user, service="billing", **issuer.pair_for("alice"))
        assert fetch(user)
        assert (row().refused_at, row().reason, row().event_id) == (0, "", None)
        assert ("failed", "refused") in reasons(heard)

    def test_of_a_pair_that_was_replaced_meanwhile_is_not_believed(
        self, user: User, row: Row, issuer: StrictIssuer, heard: Heard
    ) -> None:
        issuer.refuse("alice")
        shift_clock(EXPIRED_AFTER)
        issuer.hold("answer")
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(fetch_elsewhere, user)
            issuer.wait_inside(1, "answer")
            issuer.advance(EXPIRED_AFTER)
            tokens = issuer.pair_for("alice")
            TokenPair.objects.store(user=user, service="billing", **tokens)
            issuer.release("answer")
            assert call.result(10) == tokens["access"]
        assert (row().generation, row().refused_at, heard) == (2, 0, [])

    def test_a_crash_before_the_announcement_is_made_good_by_the_next_caller(
        self, user: User, row: Row, heard: Heard, issuer: StrictIssuer
    ) -> None:
        pair = row()
        lease = swaps.leased(pair, 12 * SECOND, present=True, holder={})
        event = TokenPairEvent.objects.get().pk
        refusal = swaps.refused(pair, reason="refused", code="gone", event_id=event)
        assert TokenPair.objects.swap(lease, pk=pair.pk)
        assert TokenPair.objects.swap(refusal, pk=pair.pk)
        with pytest.raises(RefreshTokenRefused):
            fetch(user)
        assert heard == [], "its holder may still be at it"
        shift_clock(13)
        for _ in range(2):
            with pytest.raises(RefreshTokenRefused):
                fetch(user)
        assert reasons(heard) == [("failed", "refused")]
        assert (heard[0][1]["event_id"], heard[0][1]["code"]) == (event, "gone")
        assert issuer.presentations() == []


class TestARefreshTokenThatHasRunOut:
    def test_nearer_than_an_hour_the_issuer_is_asked(self, user: User) -> None:
        shift_clock(DAY + 3500)
        assert fetch(user)

    def test_later_the_login_is_over_and_it_is_said_once(
        self, user: User, row: Row, issuer: StrictIssuer, heard: Heard
    ) -> None:
        shift_clock(DAY * 1.11)
        for _ in range(3):
            with pytest.raises(RefreshTokenExpired) as caught:
                fetch(user)
            assert caught.value.reason == "expired"
        assert issuer.requests() == []
        assert reasons(heard) == [("failed", "expired")]
        assert (row().reason, row().announced_at > 0) == ("expired", True)

    def test_a_new_pair_makes_it_good_again(
        self, user: User, issuer: StrictIssuer, later: Later
    ) -> None:
        later(DAY * 2)
        with pytest.raises(RefreshTokenExpired):
            fetch(user)
        TokenPair.objects.store(user=user, service="billing", **issuer.pair_for("alice"))
        assert fetch(user)


class TestAHolderThatNeverCameBack:
    """It had presented the token, which the issuer spent, and its answer never arrived."""

    @pytest.fixture(autouse=True)
    def left_behind(
        self, row: Row, issuer: StrictIssuer, stored: dict[str, str]
    ) -> tuple[Pair, dict[str, str]]:
        shift_clock(OVER_AFTER)
        pair = row()
        lease = swaps.leased(pair, 12 * SECOND, present=True, holder={})
        assert TokenPair.objects.swap(lease, pk=pair.pk)
        answer = SimpleJWTIssuer(**issuer.options).exchange(stored["refresh"], 5)
        shift_clock(13)
        return pair, {"access": answer.access.reveal()}

    def test_the_refusal_of_a_replay_is_pending_for_one_more_lease(
        self, user: User, row: Row, issuer: StrictIssuer, heard: Heard
    ) -> None:
        for _ in range(2):
            with pytest.raises(IssuerUnavailable) as caught:
                fetch(user)
            assert 0 < (caught.value.retry_after or 0) <= 12
        assert issuer.times_presented("alice", 1) == 2, "the crashed holder's, and the replay"
        assert (row().refused_at, row().presentations, heard) == (0, 2, [])
        assert row().pending_until > 0
        shift_clock(13)
        for _ in range(2):
            with pytest.raises(RefreshTokenRefused) as refused:
                fetch(user)
            assert refused.value.reason == "rotation_lost"
        assert reasons(heard) == [("failed", "rotation_lost")]
        assert issuer.times_presented("alice", 1) == 2
        kinds = TokenPairEvent.objects.order_by("at").values_list("kind", "reason")
        assert list(kinds) == [("stored", ""), ("pending", ""), ("refused", "rotation_lost")]

    def test_a_save_in_that_time_wins(
        self, user: User, row: Row, heard: Heard, left_behind: tuple[Pair, dict[str, str]]
    ) -> None:
        with pytest.raises(IssuerUnavailable):
            fetch(user)
        pair, late = left_behind
        sealed = sealer("billing", user.pk).seal(late["access"], ACCESS)
        columns = {"access_sealed": sealed, "expires_at": 2**60, "refresh_at": None}
        assert TokenPair.objects.swap(swaps.saved(pair, columns), pk=pair.pk)
        assert fetch(user) == late["access"]
        assert (row().pending_until, row().refused_at, heard) == (0, 0, [])

    def test_a_login_in_that_time_wins(
        self, user: User, issuer: StrictIssuer, heard: Heard
    ) -> None:
        with pytest.raises(IssuerUnavailable):
            fetch(user)
        TokenPair.objects.store(
            user=user, service="billing", refresh=issuer.pair_for("alice")["refresh"]
        )
        shift_clock(13)
        assert fetch(user)
        assert [name for name, _ in heard] == ["refreshed"]
