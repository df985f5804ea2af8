"""A refusal logs out: with every session engine, on every host, from wherever it was met."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.auth.models import User
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from pytest_django import Settings

from jwt_outbound.exceptions import LoginRequired, RefreshTokenRefused
from jwt_outbound.models import SessionEpoch
from jwt_outbound.testing import FakeIssuer, shift_clock
from jwt_outbound.tokens import afetch_valid_access_token, fetch_valid_access_token
from tests.conftest import Heard

pytestmark = [
    pytest.mark.database,
    pytest.mark.urls(__name__),
    pytest.mark.django_db(transaction=True),
]

ENGINES = ["db", "cache", "cached_db", "file", "signed_cookies"]
PAGE = {"Accept": "text/html"}


def call(request: Any) -> HttpResponse:
    request.outbound["billing"].fetch_valid_access_token()
    return HttpResponse("called")


async def acall(request: Any) -> HttpResponse:
    await afetch_valid_access_token("billing", await request.auser())
    return HttpResponse("called")


def who(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.get_username() or "nobody")


urlpatterns = [
    path("call/", call),
    path("acall/", acall),
    path("who/", who),
    path("login/", who),
]


@pytest.fixture
def fake(user: User) -> Iterator[FakeIssuer]:
    """Its next answer to alice is a refusal."""
    with FakeIssuer().serving("billing") as issuer:
        issuer.pair_for(user)
        issuer.expire(user)
        issuer.refuse(user)
        yield issuer


def logged_in(user: User) -> Client:
    """A browser; each stands for one that another host serves, as all they share is stored."""
    client = Client()
    client.force_login(user)
    return client


def seen_by(client: Client) -> str:
    return client.get("/who/").content.decode()


def by_task(user: User) -> None:
    with pytest.raises(RefreshTokenRefused):
        fetch_valid_access_token("billing", user.pk)


def by_async_task(user: User) -> None:
    with pytest.raises(RefreshTokenRefused):
        async_to_sync(afetch_valid_access_token)("billing", user.pk)


def by_view(user: User) -> None:
    assert logged_in(user).get("/call/", headers=PAGE)["Location"].startswith("/login/?next=")


def by_async_view(user: User) -> None:
    assert logged_in(user).get("/acall/", headers=PAGE)["Location"].startswith("/login/?next=")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("meet", [by_task, by_async_task, by_view, by_async_view])
def test_wherever_it_is_met_every_session_of_the_user_ends(
    user: User,
    fake: FakeIssuer,
    heard: Heard,
    settings: Settings,
    tmp_path: Path,
    engine: str,
    meet: Callable[[User], None],
) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    bob = get_user_model().objects.create_user("bob")
    phone, laptop, other = logged_in(user), logged_in(user), logged_in(bob)
    meet(user)
    assert [seen_by(c) for c in (phone, laptop, other)] == ["nobody", "nobody", "bob"]
    assert [said["reason"] for _, said in heard] == ["refused"]
    again = logged_in(user)
    assert [seen_by(again), seen_by(again)] == ["alice", "alice"], "a later login is untouched"


def test_many_who_meet_it_at_once_are_one_signal_and_one_epoch(
    user: User, fake: FakeIssuer, heard: Heard
) -> None:
    barrier, refused = threading.Barrier(8), []

    def meet() -> None:
        try:
            barrier.wait()
            fetch_valid_access_token("billing", user)
        except RefreshTokenRefused as error:
            refused.append(error.reason)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=meet) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["refused"] * 8
    assert [name for name, _ in heard] == ["failed"]
    assert SessionEpoch.objects.get(pk=str(user.pk)).epoch == 1
    assert len(fake.presentations) == 1


def test_who_comes_back_after_the_refresh_token_has_run_out(user: User, heard: Heard) -> None:
    with FakeIssuer(refresh_lifetime=86_400).serving("billing") as issuer:
        issuer.pair_for(user)
        client = logged_in(user)
        with shift_clock(7 * 86_400):
            response = client.get("/call/", headers=PAGE)
            assert response["Location"].startswith("/login/?next=")
            assert SESSION_KEY not in client.session
            assert issuer.presentations == []
            assert [said["reason"] for _, said in heard] == ["expired"]
            issuer.pair_for(user)
            client.force_login(user)
            assert client.get("/call/").content == b"called"


def test_a_login_that_brings_no_pair_does_not_loop(user: User, fake: FakeIssuer) -> None:
    client = logged_in(user)
    assert client.get("/call/", headers=PAGE)["Location"].startswith("/login/")
    client.force_login(user)
    for _ in range(3):
        response = client.get("/call/", headers=PAGE)
        assert response.status_code == 403
        assert seen_by(client) == "alice"


@pytest.mark.parametrize(
    "headers",
    [{"HX-Request": "true", "Accept": "*/*"}, {"Sec-Fetch-Mode": "cors", "Accept": "*/*"}],
    ids=["htmx", "fetch"],
)
def test_a_request_by_script_gets_what_a_script_can_use(
    user: User, fake: FakeIssuer, headers: dict[str, str]
) -> None:
    response = logged_in(user).get("/call/", headers=headers)
    assert response.status_code == 401
    assert response.json()["code"] == "login_required"


def test_a_new_session_key_or_password_does_not_confuse_the_epoch(
    user: User, fake: FakeIssuer
) -> None:
    client = logged_in(user)
    session = client.session
    session.cycle_key()
    session.save()
    client.cookies["sessionid"] = session.session_key
    assert seen_by(client) == "alice"
    user.set_password("another")
    user.save()
    client.force_login(User.objects.get(pk=user.pk))
    assert seen_by(client) == "alice"
    with pytest.raises(LoginRequired):
        fetch_valid_access_token("billing", user)
    assert seen_by(client) == "nobody"
