"""`TokenPair.objects.revoke`: ended here first and in any case, then at the issuer."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import TestCase

from jwt_outbound.exceptions import IssuerUnavailable, RefreshTokenRefused
from jwt_outbound.models import TokenPair, TokenPairEvent
from jwt_outbound.rows import Pair
from jwt_outbound.testing import FakeIssuer, drain, shift_clock
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import STALE_AFTER, Configure, Heard
from tests.issuer_server import StrictIssuer

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]

Row = Callable[[], Pair]


def revoke(user: User) -> bool:
    return TokenPair.objects.revoke(user=user, service="billing")


def ended(issuer: StrictIssuer) -> Any:
    return issuer.families("alice")[0]["ended"]


@pytest.mark.usefixtures("stored")
class TestRevoke:
    def test_it_ends_the_pair_here_and_at_the_issuer(
        self, user: User, row: Row, issuer: StrictIssuer, heard: Heard
    ) -> None:
        assert revoke(user)
        pair = row()
        assert (pair.generation, pair.access_sealed, pair.refresh_sealed) == (2, b"", b"")
        assert pair.revoked_at > 0
        assert ended(issuer) == "revoked"
        assert TokenPairEvent.objects.filter(kind="revoked", reason="revoked").count() == 1
        for _ in range(2):
            with pytest.raises(RefreshTokenRefused) as caught:
                fetch_valid_access_token("billing", user)
            assert caught.value.reason == "revoked"
        assert issuer.presentations() == []
        assert heard == [], "it was our own will: nobody is logged out"

    def test_there_must_be_one_to_end(self, user: User) -> None:
        bob = User.objects.create_user("bob")
        assert not revoke(bob)
        assert [revoke(user), revoke(user)] == [True, False]
        assert TokenPairEvent.objects.filter(kind="revoked").count() == 1

    def test_a_later_pair_is_good_again(self, user: User, issuer: StrictIssuer) -> None:
        revoke(user)
        tokens = issuer.pair_for("alice")
        TokenPair.objects.store(user=user, service="billing", **tokens)
        assert fetch_valid_access_token("billing", user) == tokens["access"]

    def test_an_issuer_that_cannot_be_told_does_not_keep_it_alive(
        self, user: User, row: Row, issuer: StrictIssuer
    ) -> None:
        issuer.fail(503, door="revoke")
        with pytest.raises(IssuerUnavailable):
            revoke(user)
        assert row().revoked_at > 0
        assert not ended(issuer)

    def test_one_that_knows_no_revoking_is_not_asked(
        self, user: User, issuer: StrictIssuer, configure: Configure
    ) -> None:
        configure(OPTIONS={"refresh_url": issuer.refresh_url})
        assert revoke(user)
        assert issuer.requests("revoke") == []

    def test_in_a_transaction_the_issuer_is_told_when_that_commits(
        self, user: User, issuer: StrictIssuer
    ) -> None:
        with transaction.atomic():
            assert revoke(user)
            assert not ended(issuer)
        assert ended(issuer) == "revoked"

    def test_what_is_rolled_back_was_not_revoked(
        self, user: User, row: Row, issuer: StrictIssuer
    ) -> None:
        with transaction.atomic():
            revoke(user)
            transaction.set_rollback(True)
        assert row().revoked_at == 0
        assert not ended(issuer)

    def test_a_pair_that_cannot_be_read_is_ended_here(
        self,
        user: User,
        row: Row,
        issuer: StrictIssuer,
        configure: Configure,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        configure(ENCRYPTION_KEYS=["A" * 43 + "="])
        with caplog.at_level(logging.ERROR):
            assert revoke(user)
        assert row().revoked_at > 0
        assert "can't be revoked at the issuer" in caplog.text
        assert not ended(issuer)

    def test_while_it_is_refreshed_the_new_pair_is_revoked_too(
        self, user: User, row: Row, issuer: StrictIssuer
    ) -> None:
        shift_clock(STALE_AFTER)
        issuer.hold("answer")
        fetch_valid_access_token("billing", user)
        issuer.wait_inside(1, "answer")
        # The refresh token that we know of is spent by now; the successor is on its way.
        assert revoke(user)
        issuer.release("answer")
        assert drain()
        assert row().revoked_at > 0
        assert (row().generation, row().refresh_sealed) == (2, b"")
        assert ended(issuer) == "revoked"
        kinds = TokenPairEvent.objects.values_list("kind", flat=True)
        assert sorted(kinds) == ["revoked", "stored", "superseded"]


class InATestCase(TestCase):
    def test_the_issuer_is_told_at_once(self) -> None:
        user = User.objects.create_user("alice")
        with FakeIssuer().serving("billing") as issuer:
            refresh = issuer.pair_for(user)
            assert revoke(user)
            assert refresh.pk
            with pytest.raises(RefreshTokenRefused):
                fetch_valid_access_token("billing", user)
            assert issuer.presentations == []
