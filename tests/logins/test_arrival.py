"""What of a token endpoint's answer is stored, and when the stored pair is the better."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from jwt_outbound.exceptions import ServiceNotConfigured
from jwt_outbound.logins.arrival import store_token_response
from jwt_outbound.models import TokenPair
from jwt_outbound.rows import Pair
from jwt_outbound.testing import FakeIssuer
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import Configure

pytestmark = pytest.mark.django_db

PAIR = {"access_token": "first", "refresh_token": "refresh", "expires_in": 300}
WITHOUT_REFRESH = {"access_token": "second", "expires_in": 300}

Row = Callable[[], Pair]


def arrive(user: User, response: dict[str, Any]) -> None:
    store_token_response(user=user, service="billing", response=response)


def access_of(user: User) -> str:
    return fetch_valid_access_token("billing", user)


def test_it_brings_tokens_and_lifetimes(user: User, row: Row) -> None:
    arrive(user, {**PAIR, "refresh_expires_in": "1800"})
    assert access_of(user) == "first"
    assert row().lifetime == 300_000_000
    assert row().refresh_lifetime == 1_800_000_000


@pytest.mark.parametrize("response", [{}, {"access_token": ""}, {"error": "invalid_grant"}])
def test_an_answer_without_a_token_is_nothing(user: User, response: dict[str, Any]) -> None:
    arrive(user, response)
    assert not TokenPair.objects.filter(user_id=user.pk).exists()


@pytest.mark.parametrize("token", ["a\r\nX-Evil: 1", "é", "x" * 70_000, 7])
def test_what_no_header_can_carry_is_an_error_that_does_not_repeat_it(
    user: User, token: Any
) -> None:
    with pytest.raises(ValueError, match="visible ASCII") as caught:
        arrive(user, {"access_token": token})
    assert str(token) not in str(caught.value)


def test_an_unknown_service_is_named(user: User) -> None:
    with pytest.raises(ServiceNotConfigured, match="'biling'"):
        store_token_response(user=user, service="biling", response=PAIR)


def test_without_a_refresh_token_it_is_better_than_nothing(user: User) -> None:
    arrive(user, WITHOUT_REFRESH)
    assert access_of(user) == "second"


def test_a_pair_that_can_be_refreshed_stays(user: User, row: Row) -> None:
    arrive(user, PAIR)
    arrive(user, WITHOUT_REFRESH)
    assert access_of(user) == "first"
    assert row().generation == 1


def test_a_revoked_pair_is_replaced(user: User) -> None:
    with FakeIssuer().serving("billing"):
        arrive(user, PAIR)
        TokenPair.objects.revoke(user=user, service="billing")
        arrive(user, WITHOUT_REFRESH)
        assert access_of(user) == "second"


def test_a_refused_pair_is_replaced(user: User) -> None:
    with FakeIssuer().serving("billing") as issuer:
        issuer.pair_for(user)
        TokenPair.objects.filter(user_id=user.pk).update(refused_at=1, reason="refused")
        arrive(user, WITHOUT_REFRESH)
        assert access_of(user) == "second"


def test_a_pair_whose_refresh_token_has_run_out_is_replaced(
    user: User, later: Callable[[float], None]
) -> None:
    arrive(user, {**PAIR, "refresh_expires_in": 600})
    later(601)
    arrive(user, WITHOUT_REFRESH)
    assert access_of(user) == "second"


def test_a_pair_that_no_key_opens_is_replaced(user: User, configure: Configure) -> None:
    arrive(user, PAIR)
    configure(ENCRYPTION_KEYS=["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="])
    arrive(user, WITHOUT_REFRESH)
    assert access_of(user) == "second"


@pytest.mark.django_db(transaction=True)
def test_a_user_who_is_rolled_back_leaves_no_pair() -> None:
    with transaction.atomic():
        arrive(User.objects.create_user("bob"), PAIR)
        transaction.set_rollback(True)
    assert not TokenPair.objects.exists()
