"""The code of docs/howto/issuers.md, run."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import override_settings

from jwt_outbound.conf import get_service, issuer_of
from jwt_outbound.issuers import Issuer
from jwt_outbound.models import TokenPair
from jwt_outbound.tokens import fetch_valid_access_token

PAGE = Path(__file__).resolve().parent.parent / "docs" / "howto" / "issuers.md"


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, PAGE.name, "exec"), found)  # noqa: S102
    return found


def serving(service: dict[str, Any]) -> override_settings:
    service = {"BASE_URL": "https://billing.example/", **service}
    return override_settings(JWT_OUTBOUND={"SERVICES": {"billing": service}})


@pytest.mark.parametrize("name", ["SIMPLEJWT", "OAUTH2", "LOCAL", "FUNCTION"])
def test_each_issuer_can_be_made_and_checks_well(names: dict[str, Any], name: str) -> None:
    with serving(names[name]):
        issuer = issuer_of(get_service("billing"))
        assert isinstance(issuer, Issuer)
        assert issuer.check("billing") == []


@pytest.mark.django_db
def test_the_function_refreshes(names: dict[str, Any], user: User) -> None:
    with serving(names["FUNCTION"]):
        TokenPair.objects.store(user=user, service="billing", access="", refresh="old")
        assert fetch_valid_access_token("billing", user) == "new"


@pytest.mark.django_db
def test_an_issuer_of_your_own_refreshes(names: dict[str, Any], user: User) -> None:
    class System:
        def renew(self, token: str, timeout: float) -> str:
            return f"after-{token}"

    own = {"ISSUER": names["LegacyIssuer"], "OPTIONS": {"system": System()}}
    with serving(own):
        TokenPair.objects.store(user=user, service="billing", access="", refresh="old")
        assert fetch_valid_access_token("billing", user) == "after-old"


def test_the_profile_is_one_that_an_issuer_takes(names: dict[str, Any]) -> None:
    oauth2 = {**names["OAUTH2"]["OPTIONS"], "profile": names["OURS"]}
    with serving({**names["OAUTH2"], "OPTIONS": oauth2}):
        assert issuer_of(get_service("billing")).profile is names["OURS"]
