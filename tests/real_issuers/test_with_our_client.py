"""Our client against issuers that are not ours: simplejwt and django-oauth-toolkit, as servers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import override_settings

from jwt_outbound.clients import ServiceClient
from jwt_outbound.exceptions import IssuerMisconfigured, IssuerUnavailable, RefreshTokenRefused
from jwt_outbound.models import IssuerState, TokenPair, TokenPairEvent
from jwt_outbound.querysets import database_now
from jwt_outbound.tokens import fetch_valid_access_token
from tests.real_issuers import OAuthToolkit, SimpleJWT, running

pytestmark = pytest.mark.django_db(transaction=True)

Heard = list[tuple[str, dict[str, Any]]]


def configured(issuer: SimpleJWT | OAuthToolkit, **service: Any) -> override_settings:
    return override_settings(
        JWT_OUTBOUND={"SERVICES": {"billing": {"BASE_URL": issuer.base_url, **service}}}
    )


@pytest.fixture(scope="module")
def simplejwt_server() -> Iterator[SimpleJWT]:
    with running("simplejwt") as issuer:
        yield issuer


@pytest.fixture
def simplejwt(simplejwt_server: SimpleJWT) -> Iterator[SimpleJWT]:
    options = {
        "obtain_url": simplejwt_server.obtain_url,
        "refresh_url": simplejwt_server.refresh_url,
        "revoke_url": simplejwt_server.revoke_url,
    }
    issuer = "jwt_outbound.issuers.SimpleJWTIssuer"
    with configured(simplejwt_server, ISSUER=issuer, OPTIONS=options):
        yield simplejwt_server


@pytest.fixture(scope="module")
def toolkit_server() -> Iterator[OAuthToolkit]:
    with running("oauth_toolkit") as issuer:
        yield issuer


@pytest.fixture
def toolkit(toolkit_server: OAuthToolkit) -> Iterator[OAuthToolkit]:
    options = {
        "token_url": toolkit_server.refresh_url,
        "revoke_url": toolkit_server.revoke_url,
        "client_id": toolkit_server.client_id,
        "client_secret": toolkit_server.client_secret,
        "profile": "django-oauth-toolkit",
    }
    with configured(toolkit_server, ISSUER="jwt_outbound.issuers.OAuth2Issuer", OPTIONS=options):
        yield toolkit_server


@pytest.fixture
def user(request: pytest.FixtureRequest, db: None) -> User:
    """With a name of its own for each test, since the servers are shared."""
    return User.objects.create_user(f"user{abs(hash(request.node.nodeid))}")


def log_in(user: User, issuer: SimpleJWT | OAuthToolkit) -> dict[str, str]:
    issuer.create(user.username)
    tokens = issuer.obtain(user.username)
    TokenPair.objects.store(user=user, service="billing", **tokens)
    return tokens


def expire(user: User) -> None:
    """The access token has run out, and no cool-down is left."""
    now = database_now()
    TokenPair.objects.filter(user_id=user.pk).update(
        expires_at=now - 1, refresh_at=now - 1, cooldown_until=0
    )
    IssuerState.objects.update(cooling_until=0)


def outcomes(user: User) -> list[str]:
    lines = TokenPairEvent.objects.filter(user_id=user.pk).order_by("at")
    return list(lines.values_list("kind", flat=True))


def stampede(user: User) -> set[str]:
    def fetch(_: int) -> str:
        try:
            return fetch_valid_access_token("billing", user)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as threads:
        return set(threads.map(fetch, range(32)))


def whoami(user: User) -> Any:
    with ServiceClient("billing", user) as client:
        return client.get("me/").json()["user"]


class TestSimpleJWT:
    def test_three_generations(self, simplejwt: SimpleJWT, user: User) -> None:
        log_in(user, simplejwt)
        for _ in range(3):
            expire(user)
            assert len(stampede(user)) == 1
            assert whoami(user) == user.username
        assert outcomes(user) == ["stored", "refreshed", "refreshed", "refreshed"]

    def test_revoke_ends_the_token_at_the_issuer(self, simplejwt: SimpleJWT, user: User) -> None:
        tokens = log_in(user, simplejwt)
        assert TokenPair.objects.revoke(user=user, service="billing")
        assert simplejwt.refresh(tokens["refresh"]).status_code == 401
        with pytest.raises(RefreshTokenRefused) as refused:
            fetch_valid_access_token("billing", user)
        assert refused.value.reason == "revoked"

    def test_a_spent_token_is_a_refusal(
        self, simplejwt: SimpleJWT, user: User, heard: Heard
    ) -> None:
        tokens = log_in(user, simplejwt)
        simplejwt.refresh(tokens["refresh"])
        expire(user)
        with pytest.raises(RefreshTokenRefused) as refused:
            fetch_valid_access_token("billing", user)
        assert (refused.value.reason, refused.value.code) == ("refused", "token_not_valid")
        assert [kind for kind, _ in heard] == ["failed"]

    def test_a_deactivated_user_is_a_refusal_of_a_proven_issuer_only(
        self, simplejwt: SimpleJWT, user: User, heard: Heard
    ) -> None:
        log_in(user, simplejwt)
        simplejwt.deactivate(user.username)
        expire(user)
        with pytest.raises(IssuerMisconfigured):
            fetch_valid_access_token("billing", user)
        assert heard == []
        simplejwt.activate(user.username)
        expire(user)
        fetch_valid_access_token("billing", user)
        simplejwt.deactivate(user.username)
        expire(user)
        with pytest.raises(RefreshTokenRefused) as refused:
            fetch_valid_access_token("billing", user)
        assert refused.value.code == "no_active_account"

    def test_a_deleted_user_is_stuck_but_not_logged_out(
        self, simplejwt: SimpleJWT, user: User, heard: Heard
    ) -> None:
        log_in(user, simplejwt)
        simplejwt.delete(user.username)
        for _ in range(3):
            expire(user)
            with pytest.raises(IssuerUnavailable) as unavailable:
                fetch_valid_access_token("billing", user)
            assert unavailable.value.ambiguous
        pair = TokenPair.objects.get(user_id=user.pk)
        assert (pair.failures, pair.refused_at, pair.generation) == (3, 0, 1)
        assert heard == []


class TestDjangoOAuthToolkit:
    def test_three_generations(self, toolkit: OAuthToolkit, user: User) -> None:
        log_in(user, toolkit)
        for _ in range(3):
            expire(user)
            assert len(stampede(user)) == 1
            assert whoami(user) == user.username
        assert outcomes(user) == ["stored", "refreshed", "refreshed", "refreshed"]

    def test_a_call_in_flight_is_healed_when_its_token_dies_by_a_refresh(
        self, toolkit: OAuthToolkit, user: User
    ) -> None:
        log_in(user, toolkit)
        with ServiceClient("billing", user) as client:
            assert client.get("me/").status_code == 200
            old = client.fetch_valid_access_token()
            expire(user)
            assert fetch_valid_access_token("billing", user) != old
            assert toolkit.me(old).status_code == 401
            assert client.get("me/").status_code == 200
        assert outcomes(user) == ["stored", "refreshed"]

    def test_it_is_not_refreshed_ahead(self, toolkit: OAuthToolkit, user: User) -> None:
        log_in(user, toolkit)
        expire(user)
        fetch_valid_access_token("billing", user)
        assert TokenPair.objects.get(user_id=user.pk).refresh_at is None

    def test_a_spent_token_is_a_refusal(self, toolkit: OAuthToolkit, user: User) -> None:
        tokens = log_in(user, toolkit)
        toolkit.refresh(tokens["refresh"])
        expire(user)
        with pytest.raises(RefreshTokenRefused) as refused:
            fetch_valid_access_token("billing", user)
        assert refused.value.code == "invalid_grant"

    def test_a_deleted_user_is_a_refusal(self, toolkit: OAuthToolkit, user: User) -> None:
        log_in(user, toolkit)
        toolkit.delete(user.username)
        expire(user)
        with pytest.raises(RefreshTokenRefused):
            fetch_valid_access_token("billing", user)

    def test_a_wrong_client_is_the_operators_fault(
        self, toolkit: OAuthToolkit, user: User, heard: Heard
    ) -> None:
        log_in(user, toolkit)
        expire(user)
        options = {
            "token_url": toolkit.refresh_url,
            "client_id": toolkit.client_id,
            "client_secret": "wrong",
        }
        issuer = "jwt_outbound.issuers.OAuth2Issuer"
        with (
            configured(toolkit, ISSUER=issuer, OPTIONS=options),
            pytest.raises(IssuerMisconfigured),
        ):
            fetch_valid_access_token("billing", user)
        assert heard == []
        expire(user)
        assert fetch_valid_access_token("billing", user)

    def test_revoke_ends_the_token_at_the_issuer(self, toolkit: OAuthToolkit, user: User) -> None:
        tokens = log_in(user, toolkit)
        assert TokenPair.objects.revoke(user=user, service="billing")
        assert toolkit.refresh(tokens["refresh"]).status_code == 400
