"""LocalIssuer: pairs by the project's own djangorestframework-simplejwt, without HTTP."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from rest_framework_simplejwt.tokens import RefreshToken

from jwt_outbound.exceptions import RefreshTokenRefused
from jwt_outbound.issuers import LocalIssuer, Meaning
from jwt_outbound.models import TokenPair
from jwt_outbound.querysets import database_now
from jwt_outbound.tokens import fetch_valid_access_token

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def local() -> Iterator[None]:
    service = {"BASE_URL": "https://sibling.test/", "ISSUER": "jwt_outbound.issuers.LocalIssuer"}
    with override_settings(JWT_OUTBOUND={"SERVICES": {"sibling": service}}):
        yield


def claims(token: str) -> dict[str, Any]:
    from rest_framework_simplejwt.tokens import AccessToken

    return dict(AccessToken(token).payload)


def expire(user: User) -> None:
    now = database_now()
    TokenPair.objects.filter(user_id=user.pk).update(expires_at=now - 1, refresh_at=now - 1)


def test_the_first_call_needs_no_stored_pair(user: User) -> None:
    token = fetch_valid_access_token("sibling", user)
    assert str(claims(token)["user_id"]) == str(user.pk)
    assert TokenPair.objects.get(user_id=user.pk).generation == 1


def test_it_refreshes(user: User) -> None:
    first = fetch_valid_access_token("sibling", user)
    expire(user)
    second = fetch_valid_access_token("sibling", user)
    assert claims(second)["jti"] != claims(first)["jti"]
    assert TokenPair.objects.get(user_id=user.pk).generation == 2


def test_a_deactivated_user_is_refused(user: User) -> None:
    refresh = str(RefreshToken.for_user(user))
    User.objects.filter(pk=user.pk).update(is_active=False)
    answer = LocalIssuer().exchange(refresh, 5)
    assert (answer.meaning, answer.code) == (Meaning.REFUSED, "no_active_account")
    user.refresh_from_db()
    assert LocalIssuer().first_pair(user, 5).is_refusal
    assert LocalIssuer().first_pair(None, 5).is_refusal


def test_another_keys_token_is_refused(user: User) -> None:
    TokenPair.objects.store(user=user, service="sibling", access="", refresh="a.b.c")
    with pytest.raises(RefreshTokenRefused) as refused:
        fetch_valid_access_token("sibling", user)
    assert refused.value.code == "token_not_valid"


def test_it_is_ready_to_use() -> None:
    assert LocalIssuer().check("sibling") == []
