"""What happens of itself at a refusal, at a login, and when a user is deleted."""

import logging
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.db.models.signals import post_delete
from django.http import HttpRequest

from jwt_outbound import receivers, sessions, swaps
from jwt_outbound.exceptions import RefreshTokenExpired, RefreshTokenRefused
from jwt_outbound.models import LinkedAccount, SessionEpoch, TokenPair, TokenPairEvent
from jwt_outbound.signals import token_refresh_failed
from jwt_outbound.testing import FakeIssuer, drain, shift_clock
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import Configure, Heard

pytestmark = pytest.mark.database


def epoch_of(user: User) -> int:
    return sum(SessionEpoch.objects.filter(pk=str(user.pk)).values_list("epoch", flat=True))


def pair_of(user: User) -> TokenPair:
    return TokenPair.objects.get(user_id=user.pk, service="billing")


def be_refused(user: User, **options: Any) -> None:
    with FakeIssuer(**options).serving("billing") as issuer:
        issuer.pair_for(user)
        issuer.expire(user)
        issuer.refuse(user)
        with pytest.raises(RefreshTokenRefused):
            fetch_valid_access_token("billing", user)


def tell(
    user: User | None,
    event_id: UUID,
    generation: int,
    *,
    service: str = "billing",
    reason: str = "refused",
) -> None:
    results = token_refresh_failed.send_robust(
        sender=TokenPair,
        user=user,
        service=service,
        reason=reason,
        code="invalid_grant",
        generation=generation,
        event_id=event_id,
    )
    assert [result for _, result in results if result is not None] == []


def refuse_by_hand(user: User, event_id: UUID) -> int:
    pair = TokenPair.objects.store(user=user, service="billing", access="a", refresh="r")
    row = TokenPair.objects.read(pk=pair.pk).pair
    swap = swaps.refused(row, reason="refused", code="invalid_grant", event_id=event_id)
    assert TokenPair.objects.swap(swap, pk=pair.pk)
    return pair.generation


@pytest.mark.parametrize("in_flight", [False, True])
def test_a_refusal_ends_the_users_sessions(request: Any, in_flight: bool) -> None:
    request.getfixturevalue("transactional_db" if in_flight else "db")
    user = get_user_model().objects.create_user("alice")
    be_refused(user)
    assert drain()
    assert epoch_of(user) == 1
    assert not pair_of(user).reconnect


def test_a_login_that_has_run_out_ends_them_too(user: User) -> None:
    with FakeIssuer(lifetime=60, refresh_lifetime=3600).serving("billing") as issuer:
        issuer.pair_for(user)
        with shift_clock(3 * 3600), pytest.raises(RefreshTokenExpired):
            fetch_valid_access_token("billing", user)
        assert issuer.presentations == []
    assert epoch_of(user) == 1


def test_reconnect_leaves_the_login_alone(user: User, configure: Configure) -> None:
    configure(ON_REFUSAL="reconnect")
    be_refused(user)
    assert epoch_of(user) == 0
    assert pair_of(user).reconnect

    TokenPair.objects.store(user=user, service="billing", access="b", refresh="s")
    assert not pair_of(user).reconnect


def test_reconnect_does_not_mark_a_pair_stored_since(user: User, configure: Configure) -> None:
    configure(ON_REFUSAL="reconnect")
    event = uuid4()
    generation = refuse_by_hand(user, event)
    TokenPair.objects.store(user=user, service="billing", access="b", refresh="s")
    tell(user, event, generation)
    assert not pair_of(user).reconnect


def test_a_refusal_told_twice_counts_once(user: User) -> None:
    event = uuid4()
    generation = refuse_by_hand(user, event)
    tell(user, event, generation)
    tell(user, event, generation)
    assert epoch_of(user) == 1


@pytest.mark.parametrize(
    "changed", [{"reason": "revoked"}, {"user": None}, {"service": "gone"}], ids=str
)
def test_what_logs_nobody_out(user: User, changed: dict[str, Any]) -> None:
    event = uuid4()
    generation = refuse_by_hand(user, event)
    tell(**{"user": user, "event_id": event, "generation": generation, **changed})
    assert epoch_of(user) == 0


def test_ending_a_pair_ourselves_logs_nobody_out(user: User, heard: Heard) -> None:
    with FakeIssuer().serving("billing") as issuer:
        issuer.pair_for(user)
        assert TokenPair.objects.revoke(user=user, service="billing")
    assert heard == []
    assert epoch_of(user) == 0


def test_ours_runs_before_a_receiver_that_was_there_earlier(user: User) -> None:
    found: list[int] = []

    def look(**_: Any) -> None:
        found.append(epoch_of(user))

    assert token_refresh_failed.disconnect(receivers.carry_out_refusal)
    token_refresh_failed.connect(look)
    try:
        receivers.connect()
        event = uuid4()
        tell(user, event, refuse_by_hand(user, event))
    finally:
        token_refresh_failed.disconnect(look)
    assert found == [1]


def test_a_project_can_disconnect_it(user: User) -> None:
    assert token_refresh_failed.disconnect(receivers.carry_out_refusal)
    try:
        be_refused(user)
    finally:
        receivers.connect()
    assert epoch_of(user) == 0


def test_a_receiver_that_raises_harms_nobody(user: User) -> None:
    def raise_error(**_: Any) -> None:
        raise RuntimeError("a receiver of the project's own")

    token_refresh_failed.connect(raise_error)
    try:
        be_refused(user)
    finally:
        token_refresh_failed.disconnect(raise_error)
    assert epoch_of(user) == 1


def logged_in(user: User, request: HttpRequest | None) -> None:
    user_logged_in.send(sender=User, request=request, user=user)


def test_logins_without_a_session_are_let_be(user: User) -> None:
    logged_in(user, None)
    logged_in(user, HttpRequest())


def test_a_session_that_is_nobodys_is_not_begun(user: User) -> None:
    """Some send the signal for a token that they hand out; nobody is logged in by that."""
    request = HttpRequest()
    request.session = SessionBase()
    logged_in(user, request)
    assert not request.session.modified


def leave_traces(user: User) -> None:
    TokenPair.objects.store(user=user, service="billing", access="a", refresh="r")
    LinkedAccount.objects.create(service="billing", subject=str(user.pk), user_id=user.pk)
    sessions.end_sessions(user.pk)


def traces_of(user_id: int) -> list[bool]:
    of_user = {"user_id": user_id}
    return [
        TokenPair.objects.filter(**of_user).exists(),
        TokenPairEvent.objects.filter(**of_user).exists(),
        LinkedAccount.objects.filter(**of_user).exists(),
        SessionEpoch.objects.filter(pk=str(user_id)).exists(),
    ]


@pytest.fixture
def proxy() -> Iterator[type[User]]:
    """As a project's own app has it; gone after the test."""

    class UserByAnotherName(User):
        class Meta:
            proxy = True
            app_label = "auth"

    receivers.connect()
    yield UserByAnotherName
    post_delete.disconnect(receivers.forget_user, sender=UserByAnotherName)
    del apps.all_models["auth"]["userbyanothername"]
    apps.clear_cache()


def test_a_deleted_user_leaves_nothing(user: User) -> None:
    bob = get_user_model().objects.create_user("bob")
    leave_traces(user)
    leave_traces(bob)
    user_id = user.pk
    user.delete()
    assert traces_of(user_id) == [False] * 4
    assert traces_of(bob.pk) == [True] * 4

    get_user_model().objects.filter(pk=bob.pk).delete()
    assert not TokenPair.objects.exists()


def test_one_deleted_as_a_proxy_neither(user: User, proxy: type[User]) -> None:
    leave_traces(user)
    proxy.objects.get(pk=user.pk).delete()
    assert traces_of(user.pk) == [False] * 4


@pytest.mark.django_db(transaction=True, databases=["default", "tokens"])
def test_tokens_elsewhere_go_when_the_deletion_is_certain(configure: Configure) -> None:
    configure(DATABASE="tokens")
    user = get_user_model().objects.create_user("alice")
    user_id = user.pk
    leave_traces(user)
    with transaction.atomic():
        get_user_model().objects.filter(pk=user_id).delete()
        transaction.set_rollback(True)
    assert traces_of(user_id) == [True] * 4

    with transaction.atomic():
        user.delete()
        assert traces_of(user_id) == [True] * 4
    assert traces_of(user_id) == [False] * 4


def test_users_can_be_deleted_without_our_tables(
    user: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(TokenPairEvent._meta, "db_table", "jwt_outbound_not_migrated")
    user.delete()
    assert not get_user_model().objects.exists()
    assert [r.levelno for r in caplog.records if r.name == "jwt_outbound"] == [logging.ERROR]
