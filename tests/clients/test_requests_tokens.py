"""The `requests` client's token: how seldom the row is read, and what of it a client shows."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import requests
from django.contrib.auth.models import AnonymousUser, User
from pytest_django import DjangoAssertNumQueries

from jwt_outbound.clients import ServiceClient, TokenPairAuth
from jwt_outbound.exceptions import LoginRequired, ServiceNotConfigured
from tests.conftest import EXPIRED_AFTER, STALE_AFTER, Configure
from tests.issuer_server import StrictIssuer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stored")]

Later = Callable[[float], None]


def pickled(given: Any) -> Any:
    return pickle.loads(pickle.dumps(given))  # noqa: S301 - our own


@pytest.fixture
def client(user: User) -> ServiceClient:
    return ServiceClient("billing", user)


class TestItsToken:
    def test_a_fresh_client_makes_one_query_and_one_that_has_its_token_none(
        self, client: ServiceClient, user: User, issuer: StrictIssuer,
        django_assert_num_queries: DjangoAssertNumQueries,
    ) -> None:  # fmt: skip
        auth = TokenPairAuth("billing", user)
        for asked in (1, 0, 0):
            with django_assert_num_queries(asked):
                client.get("me")
            with django_assert_num_queries(asked):
                requests.get(f"{issuer.base_url}me", auth=auth)

    @pytest.mark.parametrize("copied", [pickled, copy.copy, copy.deepcopy])
    def test_is_in_no_copy_of_a_response(
        self,
        client: ServiceClient,
        user: User,
        stored: dict[str, str],
        issuer: StrictIssuer,
        copied: Any,
    ) -> None:
        auth = TokenPairAuth("billing", user)
        for response in (client.get("me"), requests.get(f"{issuer.base_url}me", auth=auth)):
            twin = copied(response)
            assert (twin.status_code, twin.json()) == (200, response.json())
            assert stored["access"] not in repr(vars(twin.request))
            assert stored["access"].encode() not in pickle.dumps(response)
        response.status_code = 404
        with pytest.raises(requests.HTTPError) as caught:
            response.raise_for_status()
        assert copied(caught.value).response.status_code == 404

    def test_a_stale_one_is_refreshed_beside_the_call(
        self, client: ServiceClient, issuer: StrictIssuer, later: Later
    ) -> None:
        later(STALE_AFTER)
        assert [client.get("me").status_code for _ in range(3)] == [200] * 3
        assert len(issuer.presentations()) == 1

    def test_an_expired_one_is_never_sent(
        self, client: ServiceClient, issuer: StrictIssuer, later: Later
    ) -> None:
        client.get("me")
        later(EXPIRED_AFTER)
        assert client.get("me").json()["token_number"] == 2
        assert [each["status"] for each in issuer.requests("api")] == [200, 200]

    def test_it_can_be_had_by_itself(
        self, client: ServiceClient, stored: dict[str, str], later: Later
    ) -> None:
        assert client.fetch_valid_access_token() == stored["access"]
        later(200)
        assert client.fetch_valid_access_token() == stored["access"]
        assert client.fetch_valid_access_token(min_validity=120) != stored["access"]

    def test_another_scheme_than_bearer(
        self, client: ServiceClient, issuer: StrictIssuer, configure: Configure
    ) -> None:
        issuer.configure(scheme="JWT")
        configure(AUTH_SCHEME="JWT")
        assert client.get("me").status_code == 200


class TestTheObjects:
    @pytest.mark.parametrize("kind", [ServiceClient, TokenPairAuth])
    def test_pickled_they_hold_no_token(
        self, kind: type[Any], user: User, issuer: StrictIssuer, stored: dict[str, str]
    ) -> None:
        made = kind("billing", user)
        if kind is ServiceClient:
            made.get("cookie")
        else:
            requests.get(f"{issuer.base_url}me", auth=made)
        packed = pickle.dumps(made)
        assert stored["access"].encode() not in packed
        assert b"alice" not in packed
        again = pickle.loads(packed)  # noqa: S301 - it was made here
        assert type(again) is kind
        auth = again if kind is TokenPairAuth else again.auth
        assert requests.get(f"{issuer.base_url}me", auth=auth).json()["user"] == "alice"
        assert stored["access"] not in repr(made) + repr(vars(made))

    @pytest.mark.parametrize("kind", [ServiceClient, TokenPairAuth])
    def test_whose_and_which_is_asked_when_they_are_made(self, kind: type[Any], user: User) -> None:
        with pytest.raises(LoginRequired):
            kind("billing", AnonymousUser())
        with pytest.raises(ServiceNotConfigured, match="configured: billing"):
            kind("crm", user)

    def test_the_default_time_out_is_the_services_and_a_calls_own_wins(
        self, client: ServiceClient, issuer: StrictIssuer, configure: Configure
    ) -> None:
        configure(TIMEOUT=0.2)
        issuer.hold("api")
        with pytest.raises(requests.ReadTimeout):
            client.get("me")
        issuer.release("api")
        configure(TIMEOUT=30)
        issuer.hold("api")
        with pytest.raises(requests.ReadTimeout):
            client.get("me", timeout=0.2)
        issuer.release("api")
