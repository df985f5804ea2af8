"""A cool-down: who still has a good token uses it, and the others are told at once when to come."""

import logging
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from jwt_outbound.exceptions import IssuerUnavailable
from jwt_outbound.models import IssuerState, TokenPair
from jwt_outbound.rows import Pair
from jwt_outbound.testing import drain, shift_clock
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import EXPIRED_AFTER, OVER_AFTER, STALE_AFTER, Heard
from tests.issuer_server import StrictIssuer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("stored"),
]


def fetch(user: User) -> str:
    return fetch_valid_access_token("billing", user)


def failing(user: User) -> float:
    """Seconds after which a try makes sense."""
    with pytest.raises(IssuerUnavailable) as caught:
        fetch(user)
    assert caught.value.retry_after is not None
    return caught.value.retry_after


def test_a_refresh_that_fails_in_the_late_leeway_is_not_noticed(
    user: User, issuer: StrictIssuer, stored: dict[str, str]
) -> None:
    issuer.fail(503)
    shift_clock(EXPIRED_AFTER)
    assert fetch(user) == fetch(user) == stored["access"]
    assert len(issuer.presentations()) == 1


def test_callers_whose_token_is_still_good_use_it_to_its_real_end(
    user: User, issuer: StrictIssuer, stored: dict[str, str]
) -> None:
    issuer.fail(503, headers={"Retry-After": "3600"})
    shift_clock(STALE_AFTER)
    assert fetch(user) == stored["access"]
    assert drain()
    shift_clock(EXPIRED_AFTER - STALE_AFTER)
    assert fetch(user) == stored["access"], "inside the late leeway"
    shift_clock(OVER_AFTER - EXPIRED_AFTER)
    assert failing(user) > 3000
    assert len(issuer.presentations()) == 1


def test_it_grows(user: User, row: Callable[[], Pair], issuer: StrictIssuer) -> None:
    issuer.fail(503, times=None)
    shift_clock(OVER_AFTER)
    lengths = []
    for _ in range(4):
        lengths.append(failing(user))
        shift_clock(61)
    assert lengths == sorted(lengths)
    assert 12 <= lengths[-1] <= 16
    assert row().failures == 4


def test_it_is_short_after_the_last_tries_before_the_token_s_end(
    user: User, issuer: StrictIssuer, stored: dict[str, str]
) -> None:
    issuer.fail(429, times=None)
    shift_clock(OVER_AFTER - 8)
    for _ in range(6):
        assert fetch(user) == stored["access"]
        assert drain()
        shift_clock(1)
    assert len(issuer.presentations()) > 3
    shift_clock(4)
    assert failing(user) <= 4


@pytest.mark.database
def test_three_pairs_in_a_row_cool_the_service_for_all(
    user: User, issuer: StrictIssuer, heard: Heard
) -> None:
    names = ["bob", "carol", "dave"]
    others = [User.objects.create_user(name) for name in names]
    for other in others:
        tokens = issuer.pair_for(other.username)
        TokenPair.objects.store(user=other, service="billing", **tokens)
    issuer.fail(503, times=None)
    shift_clock(OVER_AFTER)
    for failed in (user, *others[:2]):
        failing(failed)
    asked = len(issuer.presentations())
    assert 0 < failing(others[2]) <= 2
    assert len(issuer.presentations()) == asked == 3
    assert heard == []
    issuer.heal()
    shift_clock(3)
    assert fetch(others[2])
    assert IssuerState.objects.health("billing").failures == 0


def test_after_an_outage_short_lived_tokens_are_refreshed_earlier_for_ten_minutes(
    user: User, row: Callable[[], Pair], issuer: StrictIssuer
) -> None:
    def ahead() -> float:
        """The part of its life that the pair has left when it is due."""
        pair = row()
        assert pair.expires_at
        assert pair.refresh_at
        assert pair.lifetime
        return (pair.expires_at - pair.refresh_at) / pair.lifetime

    IssuerState.objects.change("billing", {"failures": 3, "proven": True})
    shift_clock(OVER_AFTER)
    fetch(user)
    assert ahead() > 0.25, "it was away"
    shift_clock(OVER_AFTER)
    fetch(user)
    assert ahead() > 0.25, "it has been lately"
    shift_clock(601)
    fetch(user)
    assert ahead() <= 0.25


def test_one_pair_that_always_fails_cools_itself_alone(user: User, issuer: StrictIssuer) -> None:
    bob = User.objects.create_user("bob")
    TokenPair.objects.store(user=bob, service="billing", **issuer.pair_for("bob"))
    issuer.delete_user("alice")
    shift_clock(OVER_AFTER)
    for _ in range(4):
        failing(user)
        shift_clock(61)
    assert fetch(bob)


def test_a_store_ends_it(user: User, issuer: StrictIssuer) -> None:
    issuer.fail(503)
    shift_clock(OVER_AFTER)
    failing(user)
    TokenPair.objects.store(
        user=user, service="billing", refresh=issuer.pair_for("alice")["refresh"]
    )
    assert fetch(user)


def test_an_outage_that_does_not_end_is_called_stuck_and_logs_nobody_out(
    user: User,
    issuer: StrictIssuer,
    heard: Heard,
    stored: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    issuer.delete_user("alice")
    shift_clock(OVER_AFTER)
    with caplog.at_level(logging.DEBUG, logger="jwt_outbound"):
        for _ in range(5):
            failing(user)
            shift_clock(61)
    said = [record for record in caplog.records if record.name == "jwt_outbound"]
    assert [record.levelname for record in said] == [*["WARNING"] * 4, "ERROR"]
    assert "stuck" in said[-1].getMessage()
    assert not any(token in caplog.text for token in stored.values())
    assert heard == []
