"""The connect page: what a user sees who has no pair yet."""

import logging
import sys
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.signals import got_request_exception
from django.http import HttpRequest
from django.test import Client
from django.urls import reverse
from django.views.debug import ExceptionReporter

from jwt_outbound.models import TokenPair
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import Configure
from tests.issuer_server import StrictIssuer

URL = "/outbound/connect/billing/"
RIGHT = {"username": "alice.b", "password": " opens sesame "}


@pytest.fixture
def client(user: User, client: Client) -> Client:
    client.force_login(user)
    return client


@pytest.fixture
def issuer(issuer: StrictIssuer) -> StrictIssuer:
    issuer.add_user(RIGHT["username"], RIGHT["password"])
    return issuer


def text(response: Any) -> str:
    return str(response.content.decode())


def test_the_page(client: Client, issuer: StrictIssuer) -> None:
    response = client.get(URL, {"next": "/invoices/"})
    assert response.status_code == 200
    assert 'autocomplete="username"' in text(response)
    assert 'autocomplete="current-password"' in text(response)
    assert 'value="alice"' in text(response), "the name here is often the name there"
    assert 'value="/invoices/"' in text(response)
    assert "no-store" in response["Cache-Control"]
    assert response["X-Frame-Options"] == "DENY"
    assert issuer.requests() == []


def test_right_ones_store_the_pair_and_go_on(
    client: Client, issuer: StrictIssuer, user: User
) -> None:
    response = client.post(URL, {**RIGHT, "next": "/invoices/?page=2"})
    assert (response.status_code, response["Location"]) == (302, "/invoices/?page=2")
    assert fetch_valid_access_token("billing", user)
    assert len(issuer.requests("obtain")) == 1


@pytest.mark.parametrize(
    "asked", ["", "https://evil.example/", "//evil.example/", "javascript:alert(1)", "\\\\evil"]
)
def test_it_goes_on_to_its_own_host_only(client: Client, issuer: StrictIssuer, asked: str) -> None:
    assert client.post(URL, {**RIGHT, "next": asked})["Location"] == "/"


def test_wrong_ones_are_told_on_the_page(client: Client, issuer: StrictIssuer) -> None:
    wrong = {**RIGHT, "password": "open the door"}
    response = client.post(URL, {**wrong, "next": "/invoices/"})
    assert response.status_code == 200
    assert "The user name or the password is not right." in text(response)
    assert "open the door" not in text(response)
    assert 'value="/invoices/"' in text(response)
    assert not TokenPair.objects.exists()


@pytest.mark.parametrize("missing", ["username", "password"])
def test_nothing_is_sent_of_an_empty_form(
    client: Client, issuer: StrictIssuer, missing: str
) -> None:
    response = client.post(URL, {**RIGHT, missing: ""})
    assert response.status_code == 200
    assert "This field is required." in text(response)
    assert issuer.requests() == []


def test_an_issuer_that_is_down_is_no_wrong_password(client: Client, issuer: StrictIssuer) -> None:
    issuer.fail(503, door="obtain", headers={"Retry-After": "7"})
    response = client.post(URL, RIGHT)
    assert (response.status_code, response["Retry-After"]) == (503, "7")
    assert "does not answer right now" in text(response)
    assert "not right." not in text(response)

    issuer.stop()
    response = client.post(URL, RIGHT)
    assert response.status_code == 503
    assert "does not answer right now" in text(response)


def test_a_wrong_url_is_neither(
    client: Client,
    issuer: StrictIssuer,
    configure: Configure,
    caplog: pytest.LogCaptureFixture,
) -> None:
    configure(OPTIONS={**issuer.options, "obtain_url": f"{issuer.url}/nowhere/"})
    response = client.post(URL, RIGHT)
    assert response.status_code == 503
    assert "it is not set up right here" in text(response)
    [line] = [r for r in caplog.records if r.name == "jwt_outbound"]
    assert line.levelno == logging.ERROR
    assert "status 404" in line.getMessage()


def test_the_password_is_kept_nowhere(
    client: Client, issuer: StrictIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    issuer.fail(500, door="obtain", times=1)
    for status in (503, 302):
        response = client.post(URL, RIGHT)
        assert response.status_code == status
        assert "sesame" not in text(response)
    assert "sesame" not in caplog.text
    assert "sesame" not in str(dict(client.session))


def test_an_error_report_hides_it_too(
    client: Client, issuer: StrictIssuer, configure: Configure
) -> None:
    reports: list[str] = []

    def report(request: HttpRequest, **_: Any) -> None:
        reports.append(ExceptionReporter(request, *sys.exc_info()).get_traceback_html())

    configure(ENCRYPTION_KEYS=["no key"])
    client.raise_request_exception = False
    got_request_exception.connect(report)
    try:
        assert client.post(URL, RIGHT).status_code == 500
    finally:
        got_request_exception.disconnect(report)
    assert "ENCRYPTION_KEYS" in reports[0]
    assert "sesame" not in reports[0]


def test_it_is_for_users_of_this_site(db: None, issuer: StrictIssuer) -> None:
    response = Client().get(URL)
    assert response["Location"] == f"/login/?next={URL}"
    assert Client().post(URL, RIGHT).status_code == 302
    assert issuer.requests() == []


def test_it_is_guarded_against_forgery(user: User, issuer: StrictIssuer) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    assert client.post(URL, RIGHT).status_code == 403
    token = client.get(URL).context["csrf_token"]
    response = client.post(URL, {**RIGHT, "csrfmiddlewaretoken": str(token)})
    assert response.status_code == 302


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods(client: Client, issuer: StrictIssuer, method: str) -> None:
    assert getattr(client, method)(URL).status_code == 405


def test_what_cannot_be_connected_is_not_found(client: Client, configure: Configure) -> None:
    assert client.get(reverse("jwt_outbound:connect", args=["unknown"])).status_code == 404
    configure(OPTIONS={"refresh_url": "http://127.0.0.1:1/token/refresh/"})
    assert client.get(URL).status_code == 404


def test_the_pair_is_the_users_own_whatever_the_name(
    client: Client, issuer: StrictIssuer, user: User
) -> None:
    client.post(URL, {**RIGHT, "user": "1", "user_id": "1"})
    assert [pair.user_id for pair in TokenPair.objects.all()] == [user.pk]
