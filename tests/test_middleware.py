"""What a request ends in: sync, async and in Django REST framework's views."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth import SESSION_KEY, alogin, get_user_model, login
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, Client
from django.urls import include, path
from pytest_django import Settings
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from jwt_outbound import exceptions, sessions, swaps
from jwt_outbound.middleware import OutboundMiddleware
from jwt_outbound.models import SessionEpoch, TokenPair
from jwt_outbound.testing import FakeIssuer
from jwt_outbound.tokens import afetch_valid_access_token
from tests.conftest import Configure

pytestmark = [pytest.mark.database, pytest.mark.urls(__name__)]

PAGE = {"Accept": "text/html,application/xhtml+xml"}
API = {"Accept": "application/json"}


def call(request: Any, service: str = "billing") -> HttpResponse:
    request.outbound[service].fetch_valid_access_token()
    return HttpResponse("called")


async def acall(request: Any) -> HttpResponse:
    await afetch_valid_access_token("billing", await request.auser())
    return HttpResponse("called")


async def blocking(request: Any) -> HttpResponse:
    try:
        request.outbound["billing"]
    except SynchronousOnlyOperation as error:
        return HttpResponse(str(error))
    return HttpResponse("not refused")


async def in_a_thread(request: Any) -> HttpResponse:
    return await sync_to_async(call)(request)


def who(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.get_username() or "nobody")


async def awho(request: HttpRequest) -> HttpResponse:
    first, second = await asyncio.gather(request.auser(), request.auser())
    same = await sync_to_async(lambda: request.user.pk)()
    assert first.pk == second.pk == same
    return HttpResponse(first.get_username() or "nobody")


def told(request: HttpRequest) -> HttpResponse:
    return HttpResponse("\n".join(str(message) for message in messages.get_messages(request)))


def raising(request: HttpRequest, name: str) -> HttpResponse:
    raise ERRORS[name]


@transaction.atomic
def failing_after(request: HttpRequest, name: str) -> HttpResponse:
    get_user_model().objects.create_user("made by the view")
    raise ERRORS[name]


def log_in(request: HttpRequest) -> HttpResponse:
    login(request, get_user_model().objects.get(username="alice"))
    return HttpResponse()


async def alog_in(request: HttpRequest) -> HttpResponse:
    await alogin(request, await get_user_model().objects.aget(username="alice"))
    return HttpResponse()


def store_while_an_old_refusal_arrives(request: HttpRequest) -> HttpResponse:
    TokenPair.objects.store(user=request.user, service="billing", access="b", refresh="s")
    SessionEpoch.objects.update_or_create(user_id=str(request.user.pk), defaults={"epoch": 1})
    return HttpResponse()


def by_session(request: Any) -> HttpResponse:
    request.auth = request.user
    return call(request)


class ByToken(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        name = request.headers.get("X-Token-Of")
        return (get_user_model().objects.get(username=name), "token") if name else None


class Rest(APIView):
    authentication_classes = [ByToken, SessionAuthentication]
    renderer_classes = [JSONRenderer]

    def get(self, request: Request) -> Response:
        request.outbound["billing"].fetch_valid_access_token()  # type: ignore[attr-defined]
        return Response("called")


urlpatterns = [
    path("call/", call),
    path("call/<str:service>/", call),
    path("acall/", acall),
    path("blocking/", blocking),
    path("thread/", in_a_thread),
    path("who/", who),
    path("awho/", awho),
    path("told/", told),
    path("login/", call),
    path("raising/<str:name>/", raising),
    path("failing/<str:name>/", failing_after),
    path("log-in/", log_in),
    path("alog-in/", alog_in),
    path("store/", store_while_an_old_refusal_arrives),
    path("rest/", Rest.as_view()),
    path("by-session/", by_session),
    path("connect-me/", call),
    path("outbound/", include("jwt_outbound.urls")),
]

ERRORS: dict[str, Exception] = {
    "unavailable": exceptions.IssuerUnavailable("503", service="billing", retry_after=4.2),
    "unknown": exceptions.IssuerUnavailable("gone", service="billing"),
    "endless": exceptions.RefreshInProgress("", service="billing", retry_after=float("inf")),
    "misconfigured": exceptions.IssuerMisconfigured("token=sesame", service="billing"),
    "unreadable": exceptions.TokenPairUnreadable("no key", service="billing"),
    "foreign": exceptions.ForeignOrigin("elsewhere", service="billing"),
    "nameless": exceptions.LoginRequired("raised by a view"),
}


@pytest.fixture
def fake() -> Iterator[FakeIssuer]:
    with FakeIssuer().serving("billing") as issuer:
        yield issuer


@pytest.fixture
def client(user: User, client: Client) -> Client:
    client.force_login(user)
    return client


@pytest.fixture
def refused(user: User, fake: FakeIssuer) -> FakeIssuer:
    """The next call meets the refusal."""
    fake.pair_for(user)
    fake.expire(user)
    fake.refuse(user)
    return fake


def is_logged_in(client: Client) -> bool:
    return SESSION_KEY in client.session


def body(response: Any) -> dict[str, Any]:
    content = json.loads(response.content)
    assert set(content) == {"code", "service", "detail"}
    return dict(content)


# A refusal


def test_a_page_is_led_to_the_login_and_back(client: Client, refused: FakeIssuer) -> None:
    response = client.get("/call/?page=2", headers=PAGE)
    assert (response.status_code, response["Location"]) == (302, "/login/?next=/call/%3Fpage%3D2")
    assert not is_logged_in(client)
    assert client.get("/told/").content == (
        b"Your login at billing has been ended there. Please log in again."
    )


def test_a_program_is_told_so(client: Client, refused: FakeIssuer) -> None:
    response = client.get("/call/", headers=API)
    assert response.status_code == 401
    assert body(response) == {
        "code": "login_required",
        "service": "billing",
        "detail": "Your login at billing has been ended there. Please log in again.",
    }
    assert "no-store" in response["Cache-Control"]
    assert not is_logged_in(client)


def test_a_form_is_led_back_to_its_page(client: Client, refused: FakeIssuer) -> None:
    headers = {**PAGE, "Referer": "http://testserver/invoices/?page=2"}
    response = client.post("/call/", headers=headers)
    assert response["Location"] == "/login/?next=/invoices/%3Fpage%3D2"


@pytest.mark.parametrize("referer", [None, "https://evil.example/x", "//evil.example/", "\x00"])
def test_a_form_from_nowhere_is_led_to_the_bare_login(
    client: Client, refused: FakeIssuer, referer: str | None
) -> None:
    headers = {**PAGE, **({"Referer": referer} if referer else {})}
    assert client.post("/call/", headers=headers)["Location"] == "/login/"


def test_next_is_absolute_for_a_login_elsewhere(
    client: Client, refused: FakeIssuer, settings: Settings
) -> None:
    settings.LOGIN_URL = "https://accounts.example/login/?site=1"
    location = client.get("/call/")["Location"]
    assert location.startswith("https://accounts.example/login/?site=1&next=")
    assert location.endswith("=http%3A//testserver/call/")
    assert client.get("/told/").content == b"", "that login does not show our messages"


def test_all_sessions_of_the_user_have_ended(
    client: Client, refused: FakeIssuer, user: User
) -> None:
    elsewhere = Client()
    elsewhere.force_login(user)
    client.get("/call/")
    assert elsewhere.get("/who/").content == b"nobody"


def test_one_that_was_ended_before_goes_on_as_nobody(client: Client, user: User) -> None:
    sessions.end_sessions(user.pk)
    assert client.get("/who/").content == b"nobody"
    response = client.get("/call/", headers=API)
    assert (response.status_code, body(response)["code"]) == (401, "login_required")


def test_a_session_begun_after_the_refusal_is_led_to_connect(
    client: Client, refused: FakeIssuer, user: User
) -> None:
    client.get("/call/")
    client.force_login(user)
    response = client.get("/call/", headers=PAGE)
    assert response["Location"] == "/outbound/connect/billing/?next=/call/"
    assert is_logged_in(client)
    assert body(client.get("/call/", headers=API))["code"] == "connect_required"


def test_reconnect_leaves_the_session(client: Client, configure: Configure, user: User) -> None:
    configure(ON_REFUSAL="reconnect")
    with FakeIssuer().serving("billing") as issuer:
        issuer.pair_for(user)
        issuer.expire(user)
        issuer.refuse(user)
        assert client.get("/call/")["Location"].startswith("/outbound/connect/billing/")
    assert is_logged_in(client)


def announce_soon(user: User, monkeypatch: pytest.MonkeyPatch, *, ends: bool) -> list[float]:
    """The refusal is committed and another process is about to log out: what it does while this
    one pauses."""
    pair = TokenPair.objects.store(user=user, service="billing", access="a", refresh="r")
    row = TokenPair.objects.read(pk=pair.pk).pair
    event = uuid4()
    lease = swaps.leased(row, 60_000_000, present=True, holder={})
    refusal = swaps.refused(row, reason="refused", code="", event_id=event)
    assert TokenPair.objects.swap(lease, pk=pair.pk)
    assert TokenPair.objects.swap(refusal, pk=pair.pk)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            if ends:
                sessions.end_sessions(user.pk)
            else:
                TokenPair.objects.swap(swaps.announced(row, event), pk=pair.pk)

    monkeypatch.setattr("jwt_outbound.responses.sleep", pause)
    return pauses


@pytest.mark.parametrize(("ends", "status"), [(True, 401), (False, 403)])
def test_a_refusal_that_another_process_is_telling_is_waited_for(
    client: Client, user: User, monkeypatch: pytest.MonkeyPatch, ends: bool, status: int
) -> None:
    pauses = announce_soon(user, monkeypatch, ends=ends)
    assert client.get("/call/", headers=API).status_code == status
    assert len(pauses) == 3
    assert is_logged_in(client) is not ends


# Nothing stored, or nobody there


def test_nothing_stored_never_logs_out(client: Client, fake: FakeIssuer) -> None:
    response = client.get("/call/", headers=PAGE)
    assert response["Location"] == "/outbound/connect/billing/?next=/call/"
    assert is_logged_in(client)
    response = client.get("/call/", headers=API)
    assert (response.status_code, body(response)["code"]) == (403, "connect_required")


def test_connect_url_of_the_settings_wins(client: Client, configure: Configure) -> None:
    configure(CONNECT_URL="https://id.example/grant?a=b")
    assert client.get("/call/")["Location"] == (
        "https://id.example/grant?a=b&next=http%3A//testserver/call/"
    )


@pytest.mark.parametrize("name", ["jwt_outbound:connect", "no-such-name"])
def test_a_connect_url_that_leads_nowhere_is_left_out_and_logged(
    client: Client, configure: Configure, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    configure(CONNECT_URL=name)
    response = client.get("/call/")
    assert response.status_code == 403
    assert f"CONNECT_URL of service 'billing', '{name}', is no URL" in caplog.text


def test_a_page_that_cannot_be_called_never_leads_to_itself(
    client: Client, configure: Configure
) -> None:
    configure(CONNECT_URL="/connect-me/")
    response = client.get("/connect-me/", headers=PAGE)
    assert response.status_code == 403
    response = Client().get("/login/?next=/login/", headers=PAGE)
    assert response.status_code == 403


def test_where_no_password_helps_it_is_a_403(client: Client, configure: Configure) -> None:
    options = {"refresh_url": "http://127.0.0.1:1/token/refresh/"}
    configure(OPTIONS=options)
    response = client.get("/call/", headers=PAGE)
    assert response.status_code == 403
    assert response["Content-Type"].startswith("text/html")
    assert b"Your account here is not connected to billing" in response.content


class WithoutOurs:
    """A project that does not include our URLs."""

    urlpatterns = [path("call/", call)]


def test_without_our_urls_it_is_a_403_too(client: Client, settings: Settings) -> None:
    settings.ROOT_URLCONF = WithoutOurs
    assert client.get("/call/", headers=PAGE).status_code == 403


def test_without_templates_it_is_plain_text(
    client: Client, settings: Settings, configure: Configure
) -> None:
    configure(OPTIONS={"refresh_url": "http://127.0.0.1:1/token/refresh/"})
    settings.TEMPLATES = []
    response = client.get("/call/", headers=PAGE)
    assert (response.status_code, response["Content-Type"]) == (403, "text/plain; charset=utf-8")


def test_nobody_is_led_to_the_login(db: None) -> None:
    assert Client().get("/call/", headers=PAGE)["Location"] == "/login/?next=/call/"
    response = Client().get("/call/", headers=API)
    assert (response.status_code, body(response)["code"]) == (401, "login_required")


def test_a_call_for_somebody_else_does_not_log_out_who_makes_it(
    client: Client, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = exceptions.RefreshTokenRefused("over", service="billing", user_id=user.pk + 1)
    monkeypatch.setitem(ERRORS, "other", error)
    response = client.get("/raising/other/", headers=PAGE)
    assert response.status_code == 403
    assert is_logged_in(client)


def test_one_that_a_view_raises_itself(client: Client) -> None:
    response = client.get("/raising/nameless/", headers=PAGE)
    assert response.status_code == 403
    assert b"the other service" in response.content


# Trouble that passes


@pytest.mark.parametrize(
    ("name", "seconds"), [("unavailable", "5"), ("unknown", "10"), ("endless", "10")]
)
def test_trouble_is_a_503(client: Client, name: str, seconds: str) -> None:
    response = client.get(f"/raising/{name}/", headers=API)
    assert (response.status_code, response["Retry-After"]) == (503, seconds)
    assert body(response) == {
        "code": "temporarily_unavailable",
        "service": "billing",
        "detail": "billing is not available right now. Please try again in a moment.",
    }
    assert is_logged_in(client)


@pytest.mark.parametrize("name", ["misconfigured", "unreadable"])
def test_what_the_operator_must_mend_is_said_so(client: Client, name: str) -> None:
    response = client.get(f"/raising/{name}/", headers=PAGE)
    assert response.status_code == 503
    assert b"those who run this site" in response.content
    assert b"sesame" not in response.content


def test_the_view_s_transaction_is_rolled_back_all_the_same(client: Client) -> None:
    assert client.get("/failing/unavailable/").status_code == 503
    assert not get_user_model().objects.filter(username="made by the view").exists()


def test_other_errors_are_not_ours(client: Client) -> None:
    with pytest.raises(exceptions.ForeignOrigin):
        client.get("/raising/foreign/")
    with pytest.raises(exceptions.ServiceNotConfigured, match=r"configured: billing\."):
        client.get("/call/biling/")


def test_only_the_error_itself_counts(rf: Any) -> None:
    error = RuntimeError("of the view's own")
    error.__cause__ = ERRORS["unavailable"]
    middleware = OutboundMiddleware(lambda request: HttpResponse())
    assert middleware.process_exception(rf.get("/"), error) is None


# request.outbound


def test_it_is_a_mapping_of_the_services(rf: Any, fake: FakeIssuer, user: User) -> None:
    def look(request: Any) -> HttpResponse:
        outbound = request.outbound
        assert list(outbound) == ["billing"]
        assert len(outbound) == 1
        assert "billing" in outbound
        assert "crm" not in outbound
        with pytest.raises(exceptions.LoginRequired):
            outbound["billing"]
        request.user = user
        mine = outbound["billing"]
        assert outbound["billing"] is mine
        mine.cookies.set("mine", "1")
        request.user = get_user_model().objects.create_user("bob")
        assert outbound["billing"] is not mine
        request.user = user
        assert outbound["billing"] is mine
        kept.append(mine)
        return HttpResponse()

    kept: list[Any] = []
    OutboundMiddleware(look)(rf.get("/"))
    assert len(kept[0].cookies) == 0, "closed at the end of the request"


def test_without_sessions_and_users_it_stands_alone(rf: Any) -> None:
    response = OutboundMiddleware(lambda request: JsonResponse(len(request.outbound), safe=False))
    assert response(rf.get("/")).content == b"1"


# The session


def test_a_login_that_races_an_old_refusal_stays(client: Client) -> None:
    client.get("/store/")
    assert client.get("/who/").content == b"alice"
    assert client.session[sessions.STAMP] == 1


def test_a_user_set_by_somebody_else_is_left_to_them(rf: Any, user: User) -> None:
    """As by a middleware that authenticates by a token, or that impersonates."""
    sessions.end_sessions(user.pk)
    request = rf.get("/")
    request.user, request.session = user, SessionBase()
    seen: list[Any] = []

    def look(request: HttpRequest) -> HttpResponse:
        seen.append(request.user.get_username())
        return HttpResponse()

    OutboundMiddleware(look)(request)
    assert seen == ["alice"]


# Django REST framework


def test_rest_with_a_session(client: Client, refused: FakeIssuer) -> None:
    response = client.get("/rest/")
    assert (response.status_code, body(response)["code"]) == (401, "login_required")
    assert not is_logged_in(client)


def test_a_user_as_auth_is_no_token(client: Client, refused: FakeIssuer) -> None:
    """As django-ninja's own session login sets it."""
    response = client.get("/by-session/", headers={"Accept": "application/json"})
    assert (response.status_code, body(response)["code"]) == (401, "login_required")
    assert not is_logged_in(client)


def test_rest_with_a_token_has_nothing_to_log_out(refused: FakeIssuer) -> None:
    for _ in range(2):
        response = Client().get("/rest/", headers={"X-Token-Of": "alice"})
        assert (response.status_code, body(response)["code"]) == (403, "connect_required")


def test_rest_with_a_token_beside_a_session(client: Client, refused: FakeIssuer) -> None:
    response = client.get("/rest/", headers={"X-Token-Of": "alice"})
    assert (response.status_code, body(response)["code"]) == (403, "connect_required")
    assert is_logged_in(client)


def test_rest_with_a_token_calls(user: User, fake: FakeIssuer) -> None:
    fake.pair_for(user)
    response = Client().get("/rest/", headers={"X-Token-Of": "alice"})
    assert (response.status_code, response.json()) == (200, "called")


def test_rest_without_anybody(db: None) -> None:
    response = Client().get("/rest/")
    assert (response.status_code, body(response)["code"]) == (401, "login_required")


# Async


@pytest.fixture
async def aclient(transactional_db: None) -> AsyncIterator[AsyncClient]:
    alice = await get_user_model().objects.acreate_user("alice")
    client = AsyncClient()
    await client.aforce_login(alice)
    yield client
    # In the thread where async code runs its queries, or the test database can't be dropped.
    await sync_to_async(connections.close_all)()


async def alice() -> User:
    return await get_user_model().objects.aget(username="alice")


async def with_refused_pair(fake: FakeIssuer) -> None:
    user = await alice()
    for verb in (fake.pair_for, fake.expire, fake.refuse):
        await sync_to_async(verb)(user)


async def test_an_async_view_calls(aclient: AsyncClient, fake: FakeIssuer) -> None:
    await sync_to_async(fake.pair_for)(await alice())
    for url in ("/acall/", "/thread/", "/call/"):
        response = await aclient.get(url)
        assert (response.status_code, response.content) == (200, b"called")


@pytest.mark.parametrize("url", ["/acall/", "/thread/", "/call/", "/rest/"])
async def test_an_async_request_meets_a_refusal(
    aclient: AsyncClient, fake: FakeIssuer, url: str
) -> None:
    await with_refused_pair(fake)
    response = await aclient.get(url, headers=API)
    assert (response.status_code, body(response)["code"]) == (401, "login_required")
    response = await aclient.get("/awho/")
    assert response.content == b"nobody"


@pytest.mark.parametrize("url", ["/awho/", "/who/"])
async def test_an_ended_session_is_nobody_s_in_async_code(aclient: AsyncClient, url: str) -> None:
    assert (await aclient.get(url)).content == b"alice"
    await sync_to_async(sessions.end_sessions)((await alice()).pk)
    assert (await aclient.get(url)).content == b"nobody"
    assert SESSION_KEY not in await sync_to_async(lambda: dict(aclient.session))()


@pytest.mark.parametrize("url", ["/alog-in/", "/log-in/"])
async def test_a_login_in_async_code_is_stamped(aclient: AsyncClient, url: str) -> None:
    await sync_to_async(sessions.end_sessions)((await alice()).pk)
    await aclient.get(url)
    assert (await aclient.get("/awho/")).content == b"alice"


async def test_an_async_login_that_races_an_old_refusal_stays(aclient: AsyncClient) -> None:
    await aclient.get("/store/")
    assert (await aclient.get("/awho/")).content == b"alice"


async def test_in_an_event_loop_outbound_names_the_way_out(aclient: AsyncClient) -> None:
    said = (await aclient.get("/blocking/")).content.decode()
    assert "await request.aoutbound['billing'].get(...)" in said
    assert "sync_to_async" in said
