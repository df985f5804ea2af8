"""The real libraries, set up as the how-to says: their callbacks, and what we have of it after."""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.issuer_server.process import running_process
from tests.logins.browser import BEGINNINGS, Browser
from tests.logins.page import PAGE
from tests.logins.provider import CLIENT, MARK, Provider, serving

ALLAUTH, SOCIAL, MOZILLA, AUTHLIB = BEGINNINGS

Open = Callable[..., Browser]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving() as provider:
        yield provider


@pytest.fixture
def portal(provider: Provider) -> Iterator[Open]:
    """`portal("Authlib")`: a browser in front of a new portal."""
    with ExitStack() as stack:

        def start(library: str, **settings: Any) -> Browser:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="portal-"))
            arguments = [
                f"--library={library}",
                f"--provider={provider.url}",
                f"--database={Path(folder) / 'portal.sqlite3'}",
                f"--settings={json.dumps(settings)}",
            ]
            served = stack.enter_context(running_process("tests.logins.portal", arguments))
            return Browser(served.url, library, provider)

        yield start


@pytest.mark.parametrize("library", BEGINNINGS)
def test_a_login_brings_the_pair(portal: Open, provider: Provider, library: str) -> None:
    browser = portal(library)
    assert browser.log_in().status_code == 302
    assert browser.home()["user"]
    answer = browser.call()
    assert (answer.status_code, answer.json()["sub"]) == (200, "alice")
    assert provider.refreshes == []

    browser.control("shift", seconds=provider.lifetime + 1)
    assert browser.call().json()["sub"] == "alice"
    assert provider.refreshes == [provider.issued[0][1]]

    # Nowhere in clear: no table, and no session.
    assert MARK not in browser.control("written")

    # Another login brings another pair; without a refresh token the stored one is the better.
    before = browser.generation()
    assert before is not None
    browser.log_in()
    assert browser.generation() == before + 1
    provider.gives_refresh = False
    browser.log_in()
    assert browser.generation() == before + 1

    browser.control("deactivate")
    provider.gives_refresh = True
    browser.log_in()
    assert browser.generation() == before + 1


@pytest.mark.parametrize(
    ("library", "query"), [(ALLAUTH, "?process=connect"), (SOCIAL, ""), (AUTHLIB, "")]
)
def test_an_account_is_connected_by_somebody_who_is_logged_in(
    portal: Open, provider: Provider, library: str, query: str
) -> None:
    browser = portal(library)
    browser.control("log_in", name="alice")
    before = browser.home()["user"]
    browser.log_in(query)
    assert browser.home() == {
        "user": before,
        "pairs": {"billing": {"user": before, "generation": 1}},
    }
    browser.log_in(query)  # the same account once more
    assert browser.generation() == 2
    assert browser.call().json()["sub"] == "alice"


def test_who_connects_with_allauth_the_account_of_another_stores_nothing(
    portal: Open, provider: Provider
) -> None:
    browser = portal(ALLAUTH)
    browser.log_in()
    pairs = browser.home()["pairs"]
    browser.control("log_in", name="mallory")
    browser.log_in("?process=connect")
    assert browser.home()["user"] != pairs["billing"]["user"]
    assert browser.home()["pairs"] == pairs


def test_who_is_stopped_on_the_way_by_allauth_has_stored_nothing(
    portal: Open, provider: Provider
) -> None:
    provider.email_verified = False
    browser = portal(
        ALLAUTH,
        ACCOUNT_EMAIL_VERIFICATION="mandatory",
        ACCOUNT_SIGNUP_FIELDS=["email*", "username*", "password1*"],
    )
    browser.log_in()
    assert browser.home() == {"user": "", "pairs": {}}
    browser.control("verify")
    browser.log_in()
    assert browser.generation() == 1


def test_allauths_own_table_does_not_bring_back_a_spent_token(
    portal: Open, provider: Provider
) -> None:
    browser = portal(ALLAUTH, SOCIALACCOUNT_STORE_TOKENS=True)
    browser.log_in()
    browser.control("shift", seconds=provider.lifetime + 1)
    assert browser.call().status_code == 200
    before = browser.generation()

    provider.gives_refresh = False
    browser.log_in()
    assert browser.generation() == before
    provider.gives_refresh = True
    browser.control("shift", seconds=provider.lifetime + 1)
    assert browser.call().status_code == 200
    assert len(set(provider.refreshes)) == len(provider.refreshes) == 2


def test_a_provider_of_allauth_without_a_service_brings_no_pair(
    portal: Open, provider: Provider
) -> None:
    apps = [
        {
            "provider_id": "our-login",
            "name": "Our login",
            "client_id": CLIENT[0],
            "secret": CLIENT[1],
            "settings": {"server_url": provider.url},
        }
    ]
    openid = {"SCOPE": ["openid", "offline_access"], "OAUTH_PKCE_ENABLED": True, "APPS": apps}
    browser = portal(ALLAUTH, SOCIALACCOUNT_PROVIDERS={"openid_connect": openid})
    browser.log_in()
    assert browser.home()["user"]
    assert browser.generation() is None


def test_a_name_for_all_backends_of_social_auth_is_not_believed(
    portal: Open, provider: Provider
) -> None:
    browser = portal(
        SOCIAL,
        SOCIAL_AUTH_OIDC_OUTBOUND_SERVICE=None,
        SOCIAL_AUTH_OUTBOUND_SERVICE="billing",
        OUTBOUND_SERVICE="billing",
    )
    browser.log_in()
    assert browser.home()["user"]
    assert browser.generation() is None


@pytest.mark.parametrize("service", [None, "biling"])
def test_mozillas_backend_spends_no_code_where_the_service_is_wrong(
    portal: Open, provider: Provider, service: str | None
) -> None:
    browser = portal(MOZILLA, OIDC_OUTBOUND_SERVICE=service)
    assert browser.log_in().status_code == 500
    assert provider.issued == []


def test_a_refused_pair_is_replaced_by_the_next_login(portal: Open, provider: Provider) -> None:
    browser = portal(MOZILLA)
    browser.log_in()
    provider.forget()
    browser.control("shift", seconds=provider.lifetime + 1)
    refused = browser.call()
    assert (refused.status_code, refused.json()["code"]) == (401, "login_required")
    assert browser.home()["user"] == ""
    provider.gives_refresh = False
    browser.log_in()
    assert browser.call().json()["sub"] == "alice"


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", PAGE.read_text()):
        assert (PAGE.parent / target).exists(), target
