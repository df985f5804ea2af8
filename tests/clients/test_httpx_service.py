"""The clients of httpx and httpx2 for one service and user."""

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User

from jwt_outbound.clients.httpx import aservice_client, service_client
from jwt_outbound.clients.httpx_libraries import choose
from tests.clients.ways import LIBRARIES, Way, get, ways
from tests.conftest import Configure
from tests.issuer_server import StrictIssuer

pytestmark = [pytest.mark.django_db, ways]


@pytest.mark.parametrize("path", ["invoices/", "/invoices/", "invoices/?page=2"])
def test_paths_are_below_the_base_url(
    issuer: StrictIssuer, stored: dict[str, str], way: Way, user: User, path: str
) -> None:
    assert way.one(lambda: way.service(user), get(path)).json()["path"] == "/api/invoices/"


def test_its_own_absolute_urls_work(
    issuer: StrictIssuer, stored: dict[str, str], way: Way, user: User
) -> None:
    assert way.one(lambda: way.service(user), get(issuer.base_url + "invoices/")).status_code == 200
    url = way.library.URL(issuer.base_url + "invoices/")
    assert way.one(lambda: way.service(user), get(url)).status_code == 200


@pytest.mark.parametrize(
    ("setting", "connect", "read"),
    [(7, 7, 7), (0.5, 0.5, 0.5), (timedelta(seconds=3), 3, 3), ((2, 9), 2, 9), (None, None, None)],
)
def test_timeout_is_the_service_s(
    way: Way, user: User, configure: Configure, setting: Any, connect: Any, read: Any
) -> None:
    configure(TIMEOUT=setting)
    client = way.service(user)
    assert (client.timeout.connect, client.timeout.read) == (connect, read)
    own = client.build_request("GET", "invoices/", timeout=1)
    assert own.extensions["timeout"]["read"] == 1


def test_connections_are_shared_and_cookies_are_not(
    issuer: StrictIssuer, stored: dict[str, str], way: Way, user: User, bob: User
) -> None:
    if way.is_async:
        async_to_sync(_alice_then_bob_async)(way, user, bob)
    else:
        _alice_then_bob(way, user, bob)
    first, second, third = issuer.requests("api")
    assert first["client"] == second["client"] == third["client"]
    assert second["cookies"] == {"whose": "alice"}
    assert third["cookies"] == {}
    assert [seen["user"] for seen in (first, second, third)] == ["alice", "alice", "bob"]


def _alice_then_bob(way: Way, alice: User, bob: User) -> None:
    with way.service(alice) as client:
        client.get("cookie/")
        client.get("invoices/")
    with way.service(bob) as client:
        client.get("invoices/")


async def _alice_then_bob_async(way: Way, alice: User, bob: User) -> None:
    async with way.service(alice) as client:
        await client.get("cookie/")
        await client.get("invoices/")
    async with way.service(bob) as client:
        await client.get("invoices/")


def test_a_closed_client_is_closed(
    issuer: StrictIssuer, stored: dict[str, str], way: Way, user: User
) -> None:
    client = way.service(user)
    assert way.one(lambda: client, get("cookie/")).status_code == 200
    _close(way, client)
    assert list(client.cookies) == []
    with pytest.raises(RuntimeError):
        way.one(lambda: client, get("invoices/"))
    assert way.one(lambda: way.service(user), get("invoices/")).status_code == 200


def _close(way: Way, client: Any) -> None:
    if way.is_async:
        async_to_sync(client.aclose)()
    else:
        client.close()


def test_the_library_can_be_chosen(way: Way, user: User) -> None:
    assert isinstance(way.service(user), way.library.AsyncClient | way.library.Client)
    first = choose(None)
    assert first.__name__ == LIBRARIES[0]
    assert isinstance(service_client("billing", user), first.Client)
    assert isinstance(aservice_client("billing", user), first.AsyncClient)
    with pytest.raises(ValueError, match="'aiohttp'"):
        service_client("billing", user, library="aiohttp")  # type: ignore[arg-type]
