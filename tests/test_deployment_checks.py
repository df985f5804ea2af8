"""`manage.py check --deploy`: what is left to the installer, as far as it can be seen."""

import base64
import http.client
import os
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import override_settings

from jwt_outbound.checks import check_settings
from jwt_outbound.checks.deployment import RULES, check_deployment

KEY = base64.urlsafe_b64encode(os.urandom(32)).decode()
SAFE = {"SESSION_COOKIE_SECURE": True, "DEBUG": False}


def no_keys() -> list[str]:
    return []


def one_key() -> list[str]:
    return [KEY]


def site(**own: Any) -> dict[str, Any]:
    service = {
        "BASE_URL": "https://billing.example/api/",
        "ISSUER": "jwt_outbound.issuers.SimpleJWTIssuer",
        "OPTIONS": {"refresh_url": "https://billing.example/token/refresh/"},
    }
    service |= {key: own.pop(key) for key in ("BASE_URL", "OPTIONS", "ALLOW_HTTP") if key in own}
    return {"SERVICES": {"billing": service}, "ENCRYPTION_KEYS": [KEY], **own}


def warnings(raw: Any, **others: Any) -> dict[str, str]:
    with override_settings(JWT_OUTBOUND=raw, **{**SAFE, **others}):
        found = list(check_deployment())
    return {str(m.id).removeprefix("jwt_outbound."): f"{m.msg} {m.hint}" for m in found}


HTTP = {"BASE_URL": "http://billing.mesh/", "ALLOW_HTTP": True}
HTTP_ISSUER = {"OPTIONS": {"refresh_url": "http://billing.mesh/token/"}, "ALLOW_HTTP": True}

CASES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("W010", site(ENCRYPTION_KEYS=None), {}, "SECRET_KEY"),
    ("W010", site(ENCRYPTION_KEYS=[]), {}, "SECRET_KEY"),
    ("W011", site(ENCRYPTION_KEYS=f"{__name__}.no_keys"), {}, "returned none"),
    ("W012", site(ENCRYPTION_KEYS=[KEY, "A" * 43 + "="]), {}, "not random"),
    ("W013", site(**HTTP), {}, "'billing'"),
    ("W013", site(**HTTP_ISSUER), {}, "plain http"),
    ("W014", site(), {"SESSION_COOKIE_SECURE": False}, "https"),
    ("W015", site(), {"DEBUG": True}, "DEBUG = False"),
    ("W018", site(WAIT=22), {}, "lower WAIT"),
    ("W018", site(GRACEFUL_STOP=28), {}, "to end in"),
    ("W018", site(GRACEFUL_STOP=28, WAIT=timedelta(seconds=20)), {}, "'billing'"),
]


def test_a_good_site_is_silent() -> None:
    assert warnings(site()) == {}
    assert warnings(site(ENCRYPTION_KEYS=f"{__name__}.one_key")) == {}
    assert warnings(site(ALLOW_HTTP=True)) == {}, "nothing goes by http"
    assert warnings(site(WAIT=60, GRACEFUL_STOP=timedelta(seconds=69))) == {}
    assert warnings(site(BASE_URL="http://127.0.0.1:8000/", ALLOW_HTTP=True)) == {}


@pytest.mark.parametrize("raw", [None, {}, {"SERVICES": {}}, 5, {"SERVICES": 5}])
def test_the_app_alone_is_silent(raw: Any) -> None:
    assert warnings(raw, SESSION_COOKIE_SECURE=False, DEBUG=True) == {}


@pytest.mark.parametrize(("number", "raw", "others", "said"), CASES)
def test_each_is_warned_of(
    number: str, raw: dict[str, Any], others: dict[str, Any], said: str
) -> None:
    found = warnings(raw, **others)
    assert set(found) == {number}
    assert said in found[number]
    assert KEY not in found[number]


def test_what_prints_or_records_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    monkeypatch.setenv("SSLKEYLOGFILE", "/tmp/keys")
    assert set(warnings(site())) == {"W016", "W017"}


def test_keys_that_are_none_are_an_error_of_the_other_checks() -> None:
    raw = site(ENCRYPTION_KEYS=["sesame"])
    assert warnings(raw) == {}
    with override_settings(JWT_OUTBOUND=raw):
        assert "jwt_outbound.E010" in [message.id for message in check_settings()]


def test_only_deploy_asks() -> None:
    out = StringIO()
    with override_settings(JWT_OUTBOUND=site(ENCRYPTION_KEYS=None), DEBUG=False):
        call_command("check", stdout=out, stderr=out, fail_level="WARNING")
        with pytest.raises(SystemCheckError, match="W010"):
            call_command("check", deploy=True, stdout=out, stderr=out, fail_level="WARNING")


def test_each_rule_has_its_case() -> None:
    tried = {number for number, *_ in CASES} | {"W016", "W017"}
    assert len(tried) == 9
    assert len(RULES) == 7
