"""Staff suspend the logouts of a service: refusals wait, and go on when the switch is lifted."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connections

from jwt_outbound import swaps
from jwt_outbound.exceptions import IssuerUnavailable, RefreshTokenExpired, RefreshTokenRefused
from jwt_outbound.models import IssuerState, SessionEpoch, TokenPair, TokenPairEvent
from jwt_outbound.rows import Pair
from jwt_outbound.testing import drain, shift_clock
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import EXPIRED_AFTER, STALE_AFTER, Heard
from tests.issuer_server import StrictIssuer

pytestmark = [
    pytest.mark.database,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("stored"),
]

Row = Callable[[], Pair]


def suspend(on: bool = True) -> None:
    IssuerState.objects.change("billing", {"suspended": on})


def fetch(user: User) -> str:
    return fetch_valid_access_token("billing", user)


def fetch_elsewhere(user: User) -> str:
    try:
        return fetch(user)
    finally:
        connections.close_all()


def be_held(user: User) -> IssuerUnavailable:
    with pytest.raises(IssuerUnavailable) as caught:
        fetch(user)
    return caught.value


def test_a_refusal_waits_and_nobody_presents_again(
    user: User, row: Row, issuer: StrictIssuer, heard: Heard
) -> None:
    suspend()
    issuer.refuse("alice")
    shift_clock(EXPIRED_AFTER)
    for _ in range(3):
        error = be_held(user)
        assert "suspended by this site's staff" in str(error)
        assert error.retry_after == 30
    shift_clock(600)
    be_held(user)
    assert len(issuer.presentations()) == 1
    assert (row().refused_at, row().reason, row().generation) == (0, "suspended", 1)
    assert not SessionEpoch.objects.filter(epoch__gt=0).exists()
    assert heard == []
    lines = TokenPairEvent.objects.order_by("at").values_list("kind", "reason", "code")
    assert list(lines)[1:] == [("pending", "suspended", "token_not_valid")]


def test_lifted_a_refusal_that_is_repeated_logs_out_and_says_refused(
    user: User, row: Row, issuer: StrictIssuer, heard: Heard
) -> None:
    suspend()
    issuer.refuse("alice")
    shift_clock(EXPIRED_AFTER)
    be_held(user)
    suspend(False)
    with pytest.raises(RefreshTokenRefused) as caught:
        fetch(user)
    assert caught.value.reason == "refused", "no replay: the first was refused, not lost"
    assert [said["reason"] for _, said in heard] == ["refused"]
    assert SessionEpoch.objects.get(pk=str(user.pk)).epoch == 1
    assert row().pending_until == 0


def test_lifted_an_issuer_that_has_come_to_its_senses_refreshes(
    user: User, row: Row, issuer: StrictIssuer, heard: Heard
) -> None:
    suspend()
    issuer.refuse("alice")
    shift_clock(EXPIRED_AFTER)
    be_held(user)
    issuer.refuse("alice", on=False)
    suspend(False)
    assert fetch(user)
    assert [name for name, _ in heard] == ["refreshed"]
    assert (row().pending_until, row().reason, row().code) == (0, "", "")


def test_a_token_that_is_still_good_is_served_meanwhile(
    user: User, issuer: StrictIssuer, stored: dict[str, str]
) -> None:
    suspend()
    issuer.refuse("alice")
    shift_clock(STALE_AFTER)
    for _ in range(3):
        assert fetch(user) == stored["access"]
        assert drain()
    assert len(issuer.presentations()) == 1


def test_thrown_while_the_issuer_is_being_asked_it_counts(
    user: User, row: Row, issuer: StrictIssuer
) -> None:
    """Effective everywhere at once: the switch is read again before a refusal is believed."""
    issuer.refuse("alice")
    shift_clock(EXPIRED_AFTER)
    issuer.hold("answer")
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(fetch_elsewhere, user)
        issuer.wait_inside(1, "answer")
        suspend()
        issuer.release("answer")
        assert isinstance(call.exception(10), IssuerUnavailable)
    assert (row().refused_at, row().pending_until > 0) == (0, True)


def test_a_refresh_token_that_has_run_out_waits_too(
    user: User, issuer: StrictIssuer, heard: Heard
) -> None:
    suspend()
    shift_clock(2 * 86_400)
    be_held(user)
    assert heard == []
    suspend(False)
    with pytest.raises(RefreshTokenExpired):
        fetch(user)
    assert [said["reason"] for _, said in heard] == ["expired"]


def test_what_a_crash_left_unannounced_waits_too(user: User, row: Row, heard: Heard) -> None:
    refusal = swaps.refused(row(), reason="refused", code="gone", event_id=uuid4())
    assert TokenPair.objects.swap(refusal, pk=row().pk)
    suspend()
    be_held(user)
    assert heard == []
    suspend(False)
    with pytest.raises(RefreshTokenRefused):
        fetch(user)
    assert [said["code"] for _, said in heard] == ["gone"]


def test_a_lost_rotation_waits_too(user: User, row: Row, heard: Heard) -> None:
    """It was pending before staff threw the switch, and its time is over."""
    assert TokenPair.objects.swap(swaps.held(row(), 1, "gone"), pk=row().pk)
    suspend()
    shift_clock(EXPIRED_AFTER)
    be_held(user)
    suspend(False)
    with pytest.raises(RefreshTokenRefused) as caught:
        fetch(user)
    assert caught.value.reason == "rotation_lost"
    assert [said["reason"] for _, said in heard] == ["rotation_lost"]


def test_what_was_final_before_stays_so(user: User, issuer: StrictIssuer) -> None:
    issuer.refuse("alice")
    shift_clock(EXPIRED_AFTER)
    with pytest.raises(RefreshTokenRefused):
        fetch(user)
    suspend()
    with pytest.raises(RefreshTokenRefused):
        fetch(user)


def test_a_login_ends_it(user: User, issuer: StrictIssuer, row: Row) -> None:
    suspend()
    issuer.refuse("alice")
    shift_clock(EXPIRED_AFTER)
    be_held(user)
    TokenPair.objects.store(user=user, service="billing", access="new", expires_in=60)
    assert fetch(user) == "new"
    assert row().pending_until == 0


def test_other_refreshes_go_on(user: User, issuer: StrictIssuer, row: Row) -> None:
    suspend()
    shift_clock(EXPIRED_AFTER)
    assert fetch(user)
    assert row().generation == 2
