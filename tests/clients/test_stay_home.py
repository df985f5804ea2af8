"""P5 for the clients on httpx: the token goes to its own service's origins and nowhere else."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from jwt_outbound.clients.httpx import TokenPairAuth
from jwt_outbound.exceptions import ForeignOrigin
from tests.clients.two_doors import TwoDoors
from tests.clients.ways import Way, get, post, ways
from tests.conftest import Configure
from tests.issuer_server import StrictIssuer, fingerprint

pytestmark = [pytest.mark.django_db, ways]

Make = Callable[[], Any]


@pytest.fixture(params=["anybody's", "service's"])
def make(request: pytest.FixtureRequest, way: Way, user: User) -> Make:
    """Makes a client that follows redirects: anybody's with our auth, or the service's."""

    def anybodys() -> Any:
        return way.client(auth=TokenPairAuth("billing", user), follow_redirects=True)

    def service() -> Any:
        client = way.service(user)
        client.follow_redirects = True
        return client

    return service if request.param == "service's" else anybodys


FOREIGN = [
    "http://elsewhere.example/",
    "https://127.0.0.1:{port}/api/",
    "http://127.0.0.1/api/",
    "http://127.0.0.1:1/api/",
    "http://127.0.0.1:{port}@elsewhere.example/",
    "http://user:pass@127.0.0.1:{port}/api/",
    "http://127.0.0.1.elsewhere.example:{port}/api/",
    "http://localhost:{port}/api/",
    "http://127.0.0.1.:{port}/api/",
    "http://xn--mnchen-3ya.example:{port}/",
    "http://①27.0.0.1:{port}/",
]


@pytest.mark.parametrize("url", FOREIGN)
def test_a_foreign_url_raises_before_anything_is_sent(
    issuer: StrictIssuer, stored: dict[str, str], way: Way, make: Make, url: str
) -> None:
    with pytest.raises((ForeignOrigin, way.library.InvalidURL)):
        way.one(make, get(url.format(port=issuer.port)))
    assert issuer.requests() == []


@pytest.mark.parametrize("url", ["//elsewhere.example/", "../token/", "%2e%2e/token/", "a/../../b"])
def test_a_service_s_client_does_not_climb_out(
    issuer: StrictIssuer, stored: dict[str, str], way: Way, user: User, url: str
) -> None:
    with pytest.raises(ForeignOrigin):
        way.one(lambda: way.service(user), get(url))
    assert issuer.requests() == []


def test_a_redirect_within_the_service_keeps_the_token(
    issuer: StrictIssuer, stored: dict[str, str], way: Way, make: Make
) -> None:
    response = way.one(make, get(f"{issuer.base_url}redirect/?to=/api/invoices/"))
    assert response.json()["path"] == "/api/invoices/"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_elsewhere_loses_the_token(
    issuer: StrictIssuer,
    elsewhere: StrictIssuer,
    stored: dict[str, str],
    way: Way,
    make: Make,
    status: int,
) -> None:
    page = f"{issuer.base_url}redirect/?status={status}&to={elsewhere.base_url}invoices/"
    response = way.one(make, get(page))
    assert response.status_code == 401
    (seen,) = elsewhere.requests()
    assert (seen["scheme"], seen["token"], seen["cookies"]) == ("", None, {})
    assert len(issuer.requests()) == 1
    assert issuer.presentations() == []


def test_nor_does_a_way_back_home_bring_it_back(
    issuer: StrictIssuer, elsewhere: StrictIssuer, stored: dict[str, str], way: Way, make: Make
) -> None:
    elsewhere.fail(302, door="api", headers={"Location": f"{issuer.base_url}invoices/"})
    page = f"{issuer.base_url}redirect/?to={elsewhere.base_url}"
    assert way.one(make, get(page)).status_code == 401
    assert [seen["token"] for seen in elsewhere.requests()] == [None]
    assert [seen["token"] for seen in issuer.requests()] == [fingerprint(stored["access"]), None]


def test_a_resend_along_a_redirect_stays_home_too(
    issuer: StrictIssuer, elsewhere: StrictIssuer, rejected: dict[str, str], way: Way, make: Make
) -> None:
    page = f"{issuer.base_url}redirect/?status=307&to={elsewhere.base_url}"
    assert way.one(make, post(page, content=b"pay")).status_code == 401
    assert [seen["status"] for seen in issuer.requests("api")] == [401, 307]
    assert [seen["token"] for seen in elsewhere.requests()] == [None]
    assert len(issuer.presentations()) == 1


def test_cookies_of_the_service_do_not_go_elsewhere(
    issuer: StrictIssuer, elsewhere: StrictIssuer, stored: dict[str, str], way: Way, make: Make
) -> None:
    other = elsewhere.base_url.replace("127.0.0.1", "localhost")
    way.run(make, get(f"{issuer.base_url}cookie/"), get(f"{issuer.base_url}redirect/?to={other}"))
    assert [seen["cookies"] for seen in elsewhere.requests()] == [{}]


def test_allowed_origins_get_the_token(
    issuer: StrictIssuer,
    elsewhere: StrictIssuer,
    stored: dict[str, str],
    way: Way,
    make: Make,
    configure: Configure,
) -> None:
    configure(ALLOWED_ORIGINS=[elsewhere.url])
    way.one(make, get(f"{elsewhere.base_url}invoices/"))
    assert elsewhere.requests()[0]["token"] == fingerprint(stored["access"])


# From http to https of the same host: the one redirect along which httpx keeps the header


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[TwoDoors]:
    with TwoDoors(tmp_path) as doors:
        yield doors


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("traced", [False, True])
def test_from_http_to_https_it_goes_only_where_it_is_allowed(
    issuer: StrictIssuer,
    stored: dict[str, str],
    way: Way,
    user: User,
    configure: Configure,
    doors: TwoDoors,
    allowed: bool,
    traced: bool,
) -> None:
    origins = ["https://billing.test"] if allowed else []
    configure(BASE_URL="http://billing.test/", ALLOW_HTTP=True, ALLOWED_ORIGINS=origins)
    events: list[str] = []

    def note(event: str, info: Any) -> None:
        events.append(event)

    async def anote(event: str, info: Any) -> None:
        events.append(event)

    certificates = ssl.create_default_context(cafile=str(doors.certificate))
    client_options = {
        "auth": TokenPairAuth("billing", user),
        "follow_redirects": True,
        "mounts": {
            "http://": way.transport(uds=str(doors.plain)),
            "https://": way.transport(uds=str(doors.tls), verify=certificates),
        },
    }
    extensions = {"trace": anote if way.is_async else note} if traced else {}
    step = get("http://billing.test/invoices/", extensions=extensions)
    assert way.one(lambda: way.client(**client_options), step).status_code == 200
    header = f"Bearer {stored['access']}"
    assert doors.authorizations == [("plain", header), ("tls", header if allowed else None)]
    assert bool(events) == traced
