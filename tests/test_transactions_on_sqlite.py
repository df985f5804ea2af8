"""One SQLite file has one writer: inside the caller's transaction nobody else writes."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from jwt_outbound.exceptions import TokenStoreUnavailable
from jwt_outbound.rows import Pair
from jwt_outbound.testing import drain, shift_clock
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import EXPIRED_AFTER, STALE_AFTER
from tests.issuer_server import StrictIssuer
from tests.settings import ENGINE

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(ENGINE != "sqlite", reason="only an SQLite file has one writer"),
]

Row = Callable[[], Pair]


def fetch(user: User) -> str:
    return fetch_valid_access_token("billing", user)


def test_a_refresh_that_is_needed_is_not_sent_and_the_cure_is_named(
    user: User, issuer: StrictIssuer, stored: dict[str, str], row: Row
) -> None:
    shift_clock(EXPIRED_AFTER)
    before = row()
    with transaction.atomic(), pytest.raises(TokenStoreUnavailable) as caught:
        fetch(user)
    for cure in ("JWT_OUTBOUND['DATABASE']", "jwt_outbound.routers.TokenRouter"):
        assert cure in str(caught.value)
    assert (caught.value.service, caught.value.user_id) == ("billing", user.pk)
    assert (issuer.requests(), row()) == ([], before)
    assert fetch(user)


def test_a_stale_token_is_served_without_a_flight(
    user: User, issuer: StrictIssuer, stored: dict[str, str]
) -> None:
    shift_clock(STALE_AFTER)
    with transaction.atomic():
        assert fetch(user) == stored["access"]
        assert drain()
    assert issuer.requests() == []
