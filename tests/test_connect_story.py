"""The whole way of a user who was logged in before the app was installed."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client
from django.urls import include, path

from jwt_outbound import sessions
from jwt_outbound.models import TokenPair
from tests.issuer_server import StrictIssuer

pytestmark = [pytest.mark.database, pytest.mark.urls(__name__)]

PAGE = {"Accept": "text/html"}
SCRIPT = {"Accept": "application/json"}


def invoices(request: Any) -> HttpResponse:
    return JsonResponse(request.outbound["billing"].get("invoices/").json())


def front(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"Hello {request.user.get_username()}")


urlpatterns = [
    path("", front),
    path("invoices/", invoices),
    path("outbound/", include("jwt_outbound.urls")),
]


@pytest.fixture
def old_session(user: User, client: Client) -> Client:
    """As it was saved before the app came."""
    client.force_login(user)
    session = client.session
    del session[sessions.STAMP]
    session.save()
    return client


@pytest.mark.parametrize("real_flights", [False, True])
def test_it(request: pytest.FixtureRequest, real_flights: bool) -> None:
    if real_flights:
        request.getfixturevalue("transactional_db")
    issuer: StrictIssuer = request.getfixturevalue("issuer")
    client: Client = request.getfixturevalue("old_session")
    user: User = request.getfixturevalue("user")
    issuer.add_user("alice at billing", "open sesame")

    # Pages without calls know nothing of us; a call leads to the connect page and back.
    assert client.get("/").content == b"Hello alice"
    assert client.get("/invoices/", headers=SCRIPT).status_code == 403
    response = client.get("/invoices/?page=2", headers=PAGE)
    connect = response["Location"]
    assert urlsplit(connect).path == "/outbound/connect/billing/"
    assert client.session[SESSION_KEY] == str(user.pk)
    assert issuer.requests() == []

    # The page; a mistake; an outage; then it works, and leads back.
    page = client.get(connect)
    assert page.status_code == 200
    assert "Your account here is not connected to billing" in page.content.decode()
    back = page.context["next"]
    form = {"username": "alice at billing", "password": "open sesame", "next": back}
    assert client.post(connect, {**form, "password": "wrong"}).status_code == 200
    issuer.fail(503, door="obtain")
    assert client.post(connect, form).status_code == 503
    response = client.post(connect, form)
    assert (response.status_code, response["Location"]) == (302, "/invoices/?page=2")

    # The call, and the next one after the access token has run out.
    answer = client.get(response["Location"], headers=PAGE)
    assert answer.status_code == 200
    assert answer.json()["user"] == "alice at billing"
    TokenPair.objects.update(expires_at=0, refresh_at=0)
    assert client.get("/invoices/", headers=SCRIPT).json()["user"] == "alice at billing"
    assert issuer.most_presented() == 1

    # Its end at billing is its end here, for this old session too.
    issuer.revoke("alice at billing")
    TokenPair.objects.update(expires_at=0, refresh_at=0)
    assert client.get("/invoices/", headers=SCRIPT).status_code == 401
    assert client.get("/").content == b"Hello "
