"""`request.aoutbound` in async views: under Django's test client, and under a real ASGI server."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from asgiref.sync import async_to_sync
from django.contrib.auth import alogin, get_user_model
from django.contrib.auth.models import User
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpResponse, JsonResponse
from django.test import AsyncClient, Client
from django.urls import path

from jwt_outbound.clients.httpx_libraries import choose
from jwt_outbound.exceptions import ServiceNotConfigured
from jwt_outbound.models import TokenPair
from jwt_outbound.testing import drain
from tests.clients.open_connections import count_open_connections
from tests.issuer_server import StrictIssuer

pytestmark = [pytest.mark.database, pytest.mark.urls(__name__)]

USERS, REQUESTS_EACH = 15, 4
API = {"Accept": "application/json"}


async def invoices(request: Any) -> HttpResponse:
    response = await request.aoutbound["billing"].get("invoices/")
    return JsonResponse(response.json(), status=response.status_code)


async def twice(request: Any) -> HttpResponse:
    outbound = request.aoutbound
    client = outbound["billing"]
    assert outbound["billing"] is client
    assert (list(outbound), len(outbound), "billing" in outbound) == (["billing"], 1, True)
    with pytest.raises(ServiceNotConfigured):
        outbound["nowhere"]
    await client.get("cookie/")
    response = await outbound["billing"].get("invoices/")
    return JsonResponse(response.json())


async def as_somebody_else(request: Any) -> HttpResponse:
    """Another user logs in during the request: the client of the first is not theirs."""
    first = request.aoutbound["billing"]
    await first.get("cookie/")
    await alogin(request, await get_user_model().objects.aget(username="bob"))
    second = request.aoutbound["billing"]
    assert second is not first
    return JsonResponse((await second.get("invoices/")).json())


def from_a_sync_view(request: Any) -> HttpResponse:
    return JsonResponse(async_to_sync(request.aoutbound["billing"].get)("invoices/").json())


def set_plainly(request: Any) -> HttpResponse:
    """As DRF does it: `request.user` is an instance, whoever the session's user is."""
    request.user = get_user_model().objects.get(username="bob")
    return from_a_sync_view(request)


urlpatterns = [
    path("invoices/", invoices),
    path("twice/", twice),
    path("as-somebody-else/", as_somebody_else),
    path("from-a-sync-view/", from_a_sync_view),
    path("set-plainly/", set_plainly),
]


def visit(user: User | None, url: str) -> Any:
    """The response to an API request of a user who is logged in, in the async way."""

    async def story() -> Any:
        client = AsyncClient()
        if user is not None:
            await client.aforce_login(user)
        return await client.get(url, headers=API)

    return async_to_sync(story)()


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["/invoices/", "/from-a-sync-view/"])
def test_it_calls_for_the_request_s_user(
    issuer: StrictIssuer, stored: dict[str, str], user: User, url: str
) -> None:
    assert visit(user, url).json()["user"] == "alice"


@pytest.mark.django_db
def test_an_expired_token_is_refreshed(
    issuer: StrictIssuer, stored: dict[str, str], user: User, later: Any
) -> None:
    later(301)
    assert visit(user, "/invoices/").json()["token_number"] == 2


@pytest.mark.django_db
def test_a_client_is_kept_until_the_request_ends_and_no_longer(
    issuer: StrictIssuer, stored: dict[str, str], user: User
) -> None:
    for _ in range(2):
        assert visit(user, "/twice/").status_code == 200
    cookies = [seen["cookies"] for seen in issuer.requests("api")]
    assert cookies == [{}, {"whose": "alice"}] * 2


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["/as-somebody-else/", "/set-plainly/"])
def test_another_user_has_another_client(
    issuer: StrictIssuer, stored: dict[str, str], user: User, bob: User, url: str
) -> None:
    assert visit(user, url).json()["user"] == "bob"
    assert issuer.requests("api")[-1]["cookies"] == {}


@pytest.mark.django_db
def test_nobody_is_asked_to_log_in(issuer: StrictIssuer, db: None) -> None:
    response = visit(None, "/invoices/")
    assert (response.status_code, response.json()["code"]) == (401, "login_required")
    assert issuer.requests() == []


@pytest.mark.django_db
def test_a_refusal_ends_in_a_401(
    issuer: StrictIssuer, stored: dict[str, str], user: User, later: Any
) -> None:
    later(301)
    issuer.refuse("alice")
    response = visit(user, "/invoices/")
    assert (response.status_code, response.json()["code"]) == (401, "login_required")


@pytest.mark.django_db
def test_an_outage_ends_in_a_503(
    issuer: StrictIssuer, stored: dict[str, str], user: User, later: Any
) -> None:
    later(301)
    issuer.fail(503)
    response = visit(user, "/invoices/")
    assert (response.status_code, response.json()["code"]) == (503, "temporarily_unavailable")
    assert "Retry-After" in response


# Under load


@contextmanager
def uvicorn_serving() -> Iterator[str]:
    """Django under uvicorn, in a thread with an event loop of its own."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    config = uvicorn.Config(ASGIHandler(), lifespan="off", log_config=None)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def log_in(user: User) -> str:
    """The session cookie."""
    client = Client()
    client.force_login(user)
    return client.cookies.output(header="", sep=";").partition(";")[0].strip()


@pytest.mark.django_db(transaction=True)
def test_under_an_asgi_server_each_pair_is_refreshed_once(issuer: StrictIssuer, later: Any) -> None:
    names = [f"user-{number}" for number in range(USERS)]
    users = get_user_model().objects.bulk_create([User(username=name) for name in names])
    for user in users:
        TokenPair.objects.store(user=user, service="billing", **issuer.pair_for(user.username))
    cookies = [log_in(user) for user in users]
    later(301)
    before = count_open_connections()

    async def story(url: str) -> list[Any]:
        library = choose(None)
        unlimited = library.Limits(max_connections=None)
        async with library.AsyncClient(limits=unlimited, timeout=60) as visitor:
            pages = [
                visitor.get(f"{url}/invoices/", headers={**API, "Cookie": cookie})
                for cookie in cookies * REQUESTS_EACH
            ]
            return await asyncio.gather(*pages)

    with uvicorn_serving() as url:
        responses = async_to_sync(story)(url)
    assert [response.status_code for response in responses] == [200] * USERS * REQUESTS_EACH
    assert [response.json()["user"] for response in responses] == names * REQUESTS_EACH
    assert len(issuer.presentations()) == USERS
    assert issuer.most_presented() == 1
    assert drain()
    assert count_open_connections() == before
