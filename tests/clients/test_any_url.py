"""P5 over URLs that nobody thought of: wherever a client would connect to, a token goes home only.

What counts is not what the URL looks like but the scheme, host and port that the library itself
makes of it, noted at the last place before the socket.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from requests.adapters import BaseAdapter
from urllib3.util import parse_url

from jwt_outbound.clients import ServiceClient, httpx_pools
from jwt_outbound.clients import TokenPairAuth as RequestsAuth
from jwt_outbound.clients.gql import async_transport, transport
from jwt_outbound.clients.httpx import TokenPairAuth, aservice_client, service_client
from jwt_outbound.testing import FakeIssuer
from tests.clients.ways import LIBRARIES, choose
from tests.conftest import Configure

pytestmark = pytest.mark.django_db

HOME = ("https", "billing.example", 8443)
BASE_URL = "https://billing.example:8443/api/"
PORTS = {"http": 80, "https": 443}

Connection = tuple[str, str, int]
Noted = list[tuple[Connection, str | None]]
Call = Callable[[str], None]

SCHEMES = ["https", "http", "HTTPS", "hTTps", "ftp", "wss", "javascript", ""]
SEPARATORS = ["://", ":/", ":", "//", ":///", ":\\\\", "///", "", "/\\"]
USERS = ["", "a@", "a:b@", "billing.example@", "billing.example:8443@", "@", "%40"]
HOSTS = [
    *["billing.example", "BILLING.example", "billing.example.", "billing.example.evil.example"],
    *["evil.example", "evil.example#billing.example", "evil.example\\@billing.example", "[::1]"],
    *["billing.example%2eevil.example", "evil.example?billing.example", "billing。example", ""],
    *[
        "b\u0131lling.example",
        "billing.example%00.evil.example",
        "xn--blling-n4a.example",
        "ⓑilling.example",
    ],
]
PORTS_WRITTEN = ["", ":8443", ":443", ":80", ":0", ":08443", ":8443@evil.example", ":", ":84433"]
PATHS = [
    "",
    "/",
    "/api/",
    "/api/invoices/",
    "/../",
    "\\evil.example",
    "?q=//evil.example",
    "#@evil",
]
NOISE = st.text(alphabet=" \t\r\n\\/@:#?%.;&=[]\x00\x7f。①éa8", max_size=3)


REFUSALS = (
    requests.RequestException,
    *(choose(name).InvalidURL for name in LIBRARIES),
    *(choose(name).UnsupportedProtocol for name in LIBRARIES),
)
"""What the libraries say of a URL that is none, beside ValueError."""


@st.composite
def urls(draw: st.DrawFn) -> str:
    """Parts of URLs put together, now and then with something strange between them."""
    parts = [
        draw(st.sampled_from(choice))
        for choice in (SCHEMES, SEPARATORS, USERS, HOSTS, PORTS_WRITTEN, PATHS)
    ]
    place = draw(st.integers(0, len(parts)))
    return "".join([*parts[:place], draw(NOISE) if draw(st.booleans()) else "", *parts[place:]])


class Noting(BaseAdapter):
    """In place of requests' sockets."""

    def __init__(self, noted: Noted) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._noted = noted

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        url = parse_url(request.url or "")
        connection = url.scheme or "", url.host or "", url.port or PORTS[url.scheme or "http"]
        self._noted.append((connection, request.headers.get("Authorization")))
        response = requests.Response()
        response.status_code, response.url, response.request = 204, request.url or "", request
        return response

    def close(self) -> None:
        """Nothing."""


class NotingTransport:
    """In place of httpx' sockets."""

    def __init__(self, library: Any, noted: Noted) -> None:
        self._library, self._noted = library, noted

    def handle_request(self, request: Any) -> Any:
        url = request.url
        port = url.port or PORTS[url.scheme]
        connection = url.scheme, url.raw_host.decode("ascii"), port
        self._noted.append((connection, request.headers.get("Authorization")))
        return self._library.Response(200, json={"data": {}})

    async def handle_async_request(self, request: Any) -> Any:
        return self.handle_request(request)

    def close(self) -> None:
        """Nothing."""

    async def aclose(self) -> None:
        """Nothing."""


@pytest.fixture
def alice(user: User, configure: Configure) -> Iterator[User]:
    configure(BASE_URL=BASE_URL, MEMORY=300)
    with FakeIssuer(lifetime=3000).serving("billing") as issuer:
        issuer.pair_for(user)
        yield user


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Noted:
    noted: Noted = []

    async def of_this_loop(library: Any, proxy: str | None) -> NotingTransport:
        return NotingTransport(library, noted)

    monkeypatch.setattr(httpx_pools, "_of_this_loop", of_this_loop)
    monkeypatch.setattr(
        httpx_pools, "_of_threads", lambda library, proxy: NotingTransport(library, noted)
    )
    return noted


def requests_session(user: User, noted: Noted) -> Call:
    session = requests.Session()
    session.trust_env = False
    session.auth = RequestsAuth("billing", user)
    for scheme in ("http://", "https://"):
        session.mount(scheme, Noting(noted))
    return lambda url: session.get(url).close()


def requests_service(user: User, noted: Noted) -> Call:
    client = ServiceClient("billing", user)
    for scheme in ("http://", "https://"):
        client.mount(scheme, Noting(noted))
    return lambda url: client.get(url).close()  # type: ignore[no-any-return]


def httpx_client(user: User, noted: Noted, name: Any = LIBRARIES[0]) -> Call:
    library = choose(name)
    client = library.Client(
        auth=TokenPairAuth("billing", user), transport=NotingTransport(library, noted)
    )
    return lambda url: client.get(url).close()


def httpx2_client(user: User, noted: Noted) -> Call:
    return httpx_client(user, noted, LIBRARIES[-1])


def httpx_async_client(user: User, noted: Noted) -> Call:
    library = choose(LIBRARIES[0])
    client = library.AsyncClient(
        auth=TokenPairAuth("billing", user), transport=NotingTransport(library, noted)
    )
    return async_to_sync(client.get)


def httpx_service(user: User, noted: Noted) -> Call:
    client = service_client("billing", user)
    return lambda url: client.get(url).close()


def httpx_async_service(user: User, noted: Noted) -> Call:
    return async_to_sync(aservice_client("billing", user).get)


def gql_transport(user: User, noted: Noted) -> Call:
    return lambda url: _post(transport("billing", user, url))


def gql_async_transport(user: User, noted: Noted) -> Call:
    return lambda url: async_to_sync(_apost)(async_transport("billing", user, url))


def _post(made: Any) -> None:
    made.connect()
    made.client.post(made.url, json={"query": "{ a }"})
    made.close()


async def _apost(made: Any) -> None:
    await made.connect()
    await made.client.post(made.url, json={"query": "{ a }"})
    await made.close()


CLIENTS = [
    *(requests_session, requests_service, httpx_client, httpx2_client, httpx_async_client),
    *(httpx_service, httpx_async_service, gql_transport, gql_async_transport),
]


@pytest.mark.parametrize("make", CLIENTS)
def test_no_url_takes_a_token_elsewhere(
    alice: User, noted: Noted, make: Callable[[User, Noted], Call]
) -> None:
    call = make(alice, noted)
    is_slow = "async" in make.__name__

    @settings(
        max_examples=30 if is_slow else 150,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(urls())
    @example("https://billing.example:8443/api/invoices/")
    @example("https://billing.example:8443\\@evil.example/")
    @example("https://evil.example\\@billing.example:8443/")
    @example("http://billing.example:8443/")
    @example("https://billing.example/")
    def attempt(url: str) -> None:
        noted.clear()
        try:
            call(url)
        except (ValueError, *REFUSALS):  # ours is one, too
            assert noted == []
        for connection, authorization in noted:
            assert connection == HOME or authorization is None, url

    attempt()
    noted.clear()
    call("https://billing.example:8443/api/invoices/")
    ((connection, authorization),) = noted
    assert (connection, bool(authorization)) == (HOME, True)
