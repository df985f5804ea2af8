from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from hypothesis import example, given
from hypothesis import strategies as st

from jwt_outbound.clock import SECOND
from jwt_outbound.conf import (
    MARGIN,
    Service,
    Settings,
    get_service,
    get_settings,
    issuer_of,
    micro,
    seconds,
)
from jwt_outbound.exceptions import ForeignOrigin, ServiceNotConfigured
from jwt_outbound.freshness import Windows
from jwt_outbound.issuers import Answer, CallableIssuer, Issuer
from jwt_outbound.origins import is_own
from tests.test_origins import odd_text

BASE = "https://billing.example/api/v1"


def with_settings(**raw: Any) -> override_settings:
    return override_settings(JWT_OUTBOUND=raw)


def test_the_defaults() -> None:
    with with_settings(SERVICES={"billing": {}}):
        settings, service = get_settings(), get_service("billing")
    assert (service.timeout, service.issuer_deadline, service.lease, service.wait) == (
        10,
        8,
        12,
        20,
    )
    assert service.issuer_deadline + MARGIN < service.lease < service.wait
    assert service.issuer_deadline < settings.graceful_stop
    assert service.windows == Windows(leeway=None, ahead=None)
    assert (service.auth_scheme, service.on_refusal) == ("Bearer", "logout")
    assert (service.login, service.link_existing, service.create_users) == (False, False, True)
    assert (settings.database, settings.flight_threads, settings.encryption_keys) == (
        "default",
        8,
        (),
    )


@pytest.mark.parametrize("raw", [None, {}, {"SERVICES": {}}])
def test_no_settings_are_settings(raw: Any) -> None:
    with override_settings(JWT_OUTBOUND=raw):
        assert get_settings() == Settings()


def test_the_setting_may_be_missing(settings: Any) -> None:
    del settings.JWT_OUTBOUND
    assert get_settings() == Settings()


def test_durations_are_seconds() -> None:
    billing = {"LEASE": timedelta(minutes=1), "LEEWAY": timedelta(milliseconds=1500)}
    with with_settings(SERVICES={"billing": {**billing, "REFRESH_AHEAD": 0}}, MEMORY=timedelta(1)):
        service = get_service("billing")
        assert get_settings().memory == 86_400
    assert service.lease == 60
    assert service.windows == Windows(leeway=1_500_000, ahead=0)
    assert seconds(timedelta(days=-1)) == -86_400
    assert seconds(None) is None
    assert micro(1.5) == 1_500_000 == 1.5 * SECOND


def test_a_key_for_all_services_and_one_of_its_own() -> None:
    services: dict[str, Any] = {"billing": {"LEASE": 30}, "archive": {}}
    with with_settings(SERVICES=services, LEASE=15, ON_REFUSAL="reconnect", BASE_URL="x"):
        billing, archive = get_service("billing"), get_service("archive")
    assert (billing.lease, archive.lease) == (30, 15)
    assert billing.on_refusal == archive.on_refusal == "reconnect"
    assert billing.base_url == "", "it makes no sense for all services"


def test_it_is_parsed_once_and_follows_overrides() -> None:
    with with_settings(DATABASE="one"):
        first = get_settings()
        assert get_settings() is first
        with with_settings(DATABASE="two"):
            assert get_settings().database == "two"
        assert get_settings().database == "one"


def test_unknown_keys_do_no_harm() -> None:
    with with_settings(SERVICES={"billing": {"NAME": "x", "COLOUR": 1}}, COLOUR=2):
        assert get_service("billing").name == "billing"


def test_an_unknown_service_is_told_what_there_is() -> None:
    with (
        with_settings(SERVICES={"billing": {}, "archive": {}}),
        pytest.raises(ServiceNotConfigured, match=r"'bill'.*configured: archive, billing\."),
    ):
        get_service("bill")
    with with_settings(), pytest.raises(ServiceNotConfigured, match=r"configured: none\."):
        get_service("bill")


@pytest.mark.parametrize(
    "raw",
    [
        ["billing"],
        {"SERVICES": ["billing"]},
        {"SERVICES": None},
        {"SERVICES": {"billing": "sesame"}},
        {"SERVICES": {"billing": {"ALLOWED_ORIGINS": 5}}},
        {"ENCRYPTION_KEYS": 5},
    ],
)
def test_what_has_the_wrong_kind_is_improperly_configured(raw: Any) -> None:
    with override_settings(JWT_OUTBOUND=raw), pytest.raises(ImproperlyConfigured) as raised:
        get_settings()
    assert "sesame" not in str(raised.value)
    assert raised.value.__cause__ is None


class Own(Issuer):
    made: int = 0

    def __init__(self, greeting: str = "") -> None:
        type(self).made += 1
        self.greeting = greeting

    def exchange(self, refresh_token: str, deadline: float) -> Answer:
        return Answer.refused()


def service(**fields: Any) -> Service:
    return Service(name="billing", **{"base_url": BASE, **fields})


def test_an_issuer_is_made_once() -> None:
    Own.made = 0
    billing = service(issuer=Own, options={"greeting": "hello"})
    first = issuer_of(billing)
    assert issuer_of(billing) is first
    assert Own.made == 1
    assert first.greeting == "hello"  # type: ignore[attr-defined]


def test_an_issuer_by_dotted_path_and_as_an_instance() -> None:
    path = "jwt_outbound.issuers.CallableIssuer"
    assert isinstance(issuer_of(service(issuer=path, options={"obtain": str})), CallableIssuer)
    made = Own()
    assert issuer_of(service(issuer=made)) is made


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "has no exchange"),
        ({"issuer": 5}, "has no exchange"),
        ({"issuer": "no.such.Issuer"}, "can't be made: ModuleNotFoundError"),
        ({"issuer": "nodots"}, "can't be made: ImportError"),
        ({"issuer": Own, "options": {"greetings": "sesame"}}, "can't be made: TypeError"),
        ({"issuer": Issuer}, "can't be made: TypeError"),
    ],
)
def test_an_issuer_that_can_not_be_made(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=words) as raised:
        issuer_of(service(**fields))
    assert "'billing'" in str(raised.value)
    assert "sesame" not in str(raised.value)


@pytest.mark.parametrize("base", [BASE, f"{BASE}/"])
@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("invoices/", f"{BASE}/invoices/"),
        ("/invoices/", f"{BASE}/invoices/"),
        ("", f"{BASE}/"),
        ("/", f"{BASE}/"),
        ("?page=2", f"{BASE}/?page=2"),
        ("invoices?next=../../x#..", f"{BASE}/invoices?next=../../x#.."),
        ("invoices:export", f"{BASE}/invoices:export"),
        ("a..b/...", f"{BASE}/a..b/..."),
        ("search/http://elsewhere.example/", f"{BASE}/search/http://elsewhere.example/"),
    ],
)
def test_a_relative_path_is_below_the_base(base: str, path: str, url: str) -> None:
    assert service(base_url=base).url(path) == url


@pytest.mark.parametrize(
    "url", ["https://billing.example/x", "http://elsewhere.example/", "//elsewhere.example/x"]
)
def test_an_absolute_url_is_left_to_be_judged(url: str) -> None:
    assert service().url(url) == url


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../x",
        "/../x",
        "../../x",
        "a/../../x",
        "a/..",
        "%2e%2e/x",
        "a/%2E./x",
        "..%2fx",
        "..\\x",
        "a\\..\\x",
        "..%5cx",
        "..;/x",
        "..;a=b",
        ".\t./x",
        "\r/..",
        "..\x00/x",
        "..?x",
        "..#x",
    ],
)
def test_a_path_that_climbs_out(path: str) -> None:
    with pytest.raises(ForeignOrigin, match="leaves the BASE_URL of service 'billing'"):
        service().url(path)


@given(odd_text | st.text())
@example("\r//..")
@example("..;")
@example("//[")
def test_no_path_leads_away_from_the_base(path: str) -> None:
    """Neither by our reading nor by that of `requests`, which sends it."""
    billing = service()
    try:
        url = billing.url(path)
    except ForeignOrigin:
        return
    if url == path:
        return  # absolute: `ensure_own` has the say
    assert is_own(url, billing.own_urls)
    try:
        prepared = requests.Request("GET", url).prepare().url
    except (requests.RequestException, ValueError):
        return
    assert prepared is not None
    parts = urlsplit(prepared)
    assert (parts.scheme, parts.netloc) == ("https", "billing.example")
    assert parts.path.startswith("/api/v1/")


def test_the_origins_of_a_service() -> None:
    assert service(allowed_origins=("https://cdn.example",)).own_urls == (
        BASE,
        "https://cdn.example",
    )
    with with_settings(SERVICES={"billing": {"ALLOWED_ORIGINS": ["https://cdn.example"]}}):
        assert get_service("billing").allowed_origins == ("https://cdn.example",)
