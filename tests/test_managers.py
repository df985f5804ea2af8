"""`store`, `obtain` and `revoke`: how a pair comes and how it is ended by our own will."""

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from jwt_outbound import seen
from jwt_outbound.ciphers import ACCESS, REFRESH, sealer
from jwt_outbound.clock import SECOND
from jwt_outbound.exceptions import (
    CredentialsRefused,
    IssuerMisconfigured,
    IssuerUnavailable,
    LoginRequired,
    ServiceNotConfigured,
)
from jwt_outbound.models import TokenPair, TokenPairEvent
from jwt_outbound.querysets import database_now
from jwt_outbound.rows import Pair
from jwt_outbound.swaps import UNMARKED
from tests.conftest import Configure
from tests.issuer_server import StrictIssuer

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]

Row = Callable[[], Pair]


def store(user: Any, **given: Any) -> TokenPair:
    return TokenPair.objects.store(**{"user": user, "service": "billing", **given})


class TestStore:
    def test_a_pair_is_stored_sealed_with_its_times(
        self, user: User, row: Row, issuer: StrictIssuer
    ) -> None:
        tokens = issuer.pair_for("alice", lifetime=300)
        stored = store(user, **tokens)
        pair, own = row(), sealer("billing", user.pk)
        assert (stored.pk, stored.generation) == (pair.pk, 1)
        assert own.open(pair.access_sealed, ACCESS).reveal() == tokens["access"]
        assert own.open(pair.refresh_sealed, REFRESH).reveal() == tokens["refresh"]
        assert pair.lifetime == 300 * SECOND
        assert 0 < (pair.expires_at or 0) - pair.obtained_at <= 300 * SECOND
        assert [event.kind for event in TokenPairEvent.objects.all()] == ["stored"]

    def test_the_users_key_is_enough_and_the_access_token_may_be_empty(
        self, user: User, row: Row
    ) -> None:
        store(user.pk, refresh="opaque")
        pair = row()
        assert pair.access_sealed == b""
        assert (pair.expires_at or 0) <= database_now()

    def test_expires_in_is_for_tokens_that_do_not_say(self, user: User, row: Row) -> None:
        store(user, access="opaque", refresh="opaque")
        assert row().expires_at is None
        store(user, access="opaque", refresh="opaque", expires_in=60)
        assert row().lifetime == 60 * SECOND
        store(user, access="opaque", refresh="opaque", expires_in=-5)
        assert (row().expires_at or 0) <= database_now()

    def test_a_pair_that_cannot_be_refreshed_is_due_for_nothing(self, user: User, row: Row) -> None:
        store(user, access="opaque", expires_in=60)
        assert row().refresh_at is None
        store(user, access="opaque", refresh="opaque", expires_in=60)
        assert row().refresh_at is not None

    def test_every_mark_of_the_older_pair_is_over_and_the_generation_counted_in_sql(
        self, user: User, row: Row
    ) -> None:
        marks = dict.fromkeys(UNMARKED, 9) | {
            "unended": True, "reconnect": True, "event_id": uuid4(), "reason": "x", "code": "x",
            "parked": True,
            "generation": 7, "hold_until": 9, "holds": 9, "lease_id": 5,
        }  # fmt: skip
        old = TokenPair.objects.create(user_id=user.pk, service="billing", **marks)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert store(user, access="a", refresh="b").pk == old.pk
        updates = [q["sql"] for q in queries if q["sql"].startswith("UPDATE")]
        assert len(updates) == 1
        assert "generation` + 1" in updates[0].replace('"', "`")
        stored = TokenPair.objects.values(*UNMARKED).get()
        assert stored == dict(UNMARKED)
        pair = row()
        assert (pair.generation, pair.hold_until, pair.holds, pair.lease_id) == (8, 0, 0, 5)

    def test_pairs_of_others_are_left_alone(self, user: User, configure: Configure) -> None:
        other = User.objects.create_user("bob")
        store(other, access="bobs")
        store(user, access="a")
        store(user, access="b")
        assert TokenPair.objects.get(user_id=other.pk).generation == 1

    @pytest.mark.parametrize(
        ("tokens", "said"),
        [
            ({}, "Both tokens are empty"),
            ({"access": "two words"}, "access token has a character"),
            ({"refresh": "a\nb"}, "refresh token has a character"),
            ({"access": "é"}, "no visible ASCII"),
            ({"access": "x" * 65_537}, "longer than 64 KiB"),
            ({"access": None, "refresh": "a"}, "must be text, not NoneType"),
            ({"access": b"bytes"}, "must be text, not bytes"),
        ],
    )
    def test_what_no_header_carries_is_not_stored(
        self, user: User, tokens: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(ValueError, match=said):
            store(user, **tokens)
        assert not TokenPair.objects.exists()

    def test_a_token_that_is_refused_is_not_repeated(self, user: User) -> None:
        with pytest.raises(ValueError, match="visible ASCII") as caught:
            store(user, access="two-secret words")
        assert "secret" not in str(caught.value)

    def test_a_long_odd_token_is_fine(self, user: User) -> None:
        store(user, access="!~" * 32 * 1024)
        assert TokenPair.objects.exists()

    def test_nobodys_pair_and_an_unknown_service_are_errors(self, user: User) -> None:
        with pytest.raises(LoginRequired):
            store(AnonymousUser(), access="a")
        with pytest.raises(ServiceNotConfigured, match="configured: billing"):
            store(user, service="crm", access="a")

    def test_it_belongs_to_the_callers_transaction(self, user: User) -> None:
        before = seen.version("billing", user.pk)
        with transaction.atomic():
            store(user, access="a")
            transaction.set_rollback(True)
        assert not TokenPair.objects.exists()
        inside = seen.version("billing", user.pk)
        assert inside != before
        with transaction.atomic():
            store(user, access="a")
            inside = seen.version("billing", user.pk)
        assert seen.version("billing", user.pk) != inside, "others can see it only now"

    def test_the_request_that_stores_knows_whose_session_to_stamp(self, user: User) -> None:
        users: set[Any] = set()
        token = seen.logged_in_anew.set(users)
        try:
            store(user, access="a")
        finally:
            seen.logged_in_anew.reset(token)
        assert users == {user.pk}


class TestTheRow:
    def test_an_empty_one_is_made_by_one(self, user: User) -> None:
        which = {"user_id": user.pk, "service": "billing"}
        with transaction.atomic():
            assert isinstance(TokenPair.objects.insert_empty(**which), UUID)
            assert TokenPair.objects.insert_empty(**which) is None
        assert TokenPair.objects.get().generation == 0

    def test_an_instance_cannot_put_back_what_a_refresh_has_replaced(self, user: User) -> None:
        pair = store(user, access="a")
        with pytest.raises(TypeError, match="store"):
            pair.save()


@pytest.mark.usefixtures("issuer")
class TestObtain:
    def obtain(self, user: User, password: str = "secret") -> TokenPair:
        return TokenPair.objects.obtain(
            user=user, service="billing", username="alice@billing", password=password
        )

    def test_name_and_password_at_the_issuer_become_a_pair(
        self, user: User, issuer: StrictIssuer, row: Row
    ) -> None:
        issuer.add_user("alice@billing")
        self.obtain(user)
        assert row().lifetime == 300 * SECOND
        assert row().refresh_sealed

    def test_lifetimes_count_from_our_own_clock(
        self, user: User, issuer: StrictIssuer, row: Row
    ) -> None:
        issuer.add_user("alice@billing")
        issuer.set_clock(skew=-7200)
        self.obtain(user)
        assert (row().expires_at or 0) > database_now()

    def test_wrong_password_issuer_down_and_misconfigured_are_told_apart(
        self, user: User, issuer: StrictIssuer, configure: Configure,
        caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        issuer.add_user("alice@billing")
        with caplog.at_level(logging.DEBUG):
            with pytest.raises(CredentialsRefused):
                self.obtain(user, "a wrong one")
            issuer.fail(503, door="obtain", headers={"Retry-After": "7"})
            with pytest.raises(IssuerUnavailable) as down:
                self.obtain(user, "a wrong one")
            assert down.value.retry_after == 7
            configure(OPTIONS={**issuer.options, "obtain_url": f"{issuer.url}/nowhere/"})
            with pytest.raises(IssuerMisconfigured):
                self.obtain(user, "a wrong one")
            configure(OPTIONS={"refresh_url": issuer.refresh_url})
            with pytest.raises(IssuerMisconfigured, match="no_obtain_url"):
                self.obtain(user, "a wrong one")
        assert not TokenPair.objects.exists()
        assert "wrong" not in caplog.text
