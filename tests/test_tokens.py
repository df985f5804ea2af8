"""The door to a token: fetched when good, refreshed when not, and the right error otherwise."""

import pytest
from django.contrib.auth import get_user_model
from django.test import TestCase

from jwt_outbound.exceptions import IssuerUnavailable, RefreshTokenRefused, TokenPairNotFound
from jwt_outbound.models import TokenPair, TokenPairEvent
from jwt_outbound.testing import FakeIssuer, drain, shift_clock
from jwt_outbound.tokens import afetch_valid_access_token, fetch_valid_access_token

pytestmark = pytest.mark.database


class InATestCase(TestCase):
    def setUp(self) -> None:
        self.user = get_user_model().objects.create_user("alice")
        self.issuer = self.enterContext(FakeIssuer(lifetime=300).serving("billing"))

    def test_a_fresh_token_is_served_without_asking(self) -> None:
        self.issuer.pair_for(self.user)
        with self.assertNumQueries(1):
            token = fetch_valid_access_token("billing", self.user)
        assert token
        assert self.issuer.presentations == []

    def test_an_expired_one_is_refreshed_once(self) -> None:
        self.issuer.pair_for(self.user)
        self.issuer.expire(self.user)
        first = fetch_valid_access_token("billing", self.user)
        assert fetch_valid_access_token("billing", self.user) == first
        assert len(self.issuer.presentations) == 1
        kinds = list(TokenPairEvent.objects.order_by("at").values_list("kind", flat=True))
        assert kinds == ["stored", "refreshed"]

    def test_refusal(self) -> None:
        self.issuer.pair_for(self.user)
        self.issuer.expire(self.user)
        self.issuer.refuse(self.user)
        for _ in range(2):
            with pytest.raises(RefreshTokenRefused):
                fetch_valid_access_token("billing", self.user)
        assert len(self.issuer.presentations) == 1

    def test_nothing_stored(self) -> None:
        with pytest.raises(TokenPairNotFound):
            fetch_valid_access_token("billing", self.user)


@pytest.mark.django_db(transaction=True)
def test_flights() -> None:
    user = get_user_model().objects.create_user("alice")
    with FakeIssuer(lifetime=300).serving("billing") as issuer:
        issuer.pair_for(user)
        issuer.expire(user)
        issuer.fail(1)
        with pytest.raises(IssuerUnavailable):
            fetch_valid_access_token("billing", user)
        with pytest.raises(IssuerUnavailable) as e:
            fetch_valid_access_token("billing", user)
        assert 0 < e.value.retry_after <= 2
        shift_clock(3)
        fetch_valid_access_token("billing", user)
        assert len(issuer.presentations) == 2
        shift_clock(250)
        fetch_valid_access_token("billing", user)
        assert drain()
        assert len(issuer.presentations) == 3
        assert TokenPair.objects.get().generation == 3


@pytest.mark.django_db(transaction=True)
async def test_async() -> None:
    user = await get_user_model().objects.acreate_user("alice")
    from asgiref.sync import sync_to_async

    with FakeIssuer(lifetime=300).serving("billing") as issuer:
        await sync_to_async(issuer.pair_for)(user)
        await sync_to_async(issuer.expire)(user)
        assert await afetch_valid_access_token("billing", user)
        assert len(issuer.presentations) == 1
