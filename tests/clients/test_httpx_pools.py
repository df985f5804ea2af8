"""The shared connections of the service clients: proxies, forks, threads; and what they reveal."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import pytest
from django.contrib.auth.models import User

from jwt_outbound.clients import httpx_pools
from jwt_outbound.clients.httpx import TokenPairAuth, service_client
from jwt_outbound.clients.httpx_pools import PooledTransport
from tests.clients.ways import LIBRARIES, Way, get, ways
from tests.conftest import Configure
from tests.forking import in_a_fork
from tests.issuer_server import StrictIssuer

pytestmark = pytest.mark.django_db

BEYOND = {"BASE_URL": "http://billing.test/api/", "ALLOW_HTTP": True}


@ways
def test_the_environment_s_proxy_is_used(
    issuer: StrictIssuer,
    stored: dict[str, str],
    way: Way,
    user: User,
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The issuer plays the proxy: it looks at the path of what it is asked for."""
    configure(**BEYOND)
    monkeypatch.setenv("http_proxy", issuer.url)
    assert way.one(lambda: way.service(user), get("invoices/")).json()["user"] == "alice"
    assert issuer.requests("api")[0]["headers"]["host"] == "billing.test"


@ways
def test_unless_it_says_that_the_host_needs_none(
    issuer: StrictIssuer,
    elsewhere: StrictIssuer,
    stored: dict[str, str],
    way: Way,
    user: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", elsewhere.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert way.one(lambda: way.service(user), get("invoices/")).status_code == 200
    assert elsewhere.requests() == []


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_forked_child_opens_connections_of_its_own(
    issuer: StrictIssuer, stored: dict[str, str], user: User, library: Any
) -> None:
    client = service_client("billing", user, library=library)
    assert client.get("invoices/").status_code == 200
    # The token is in memory: the child needs no database.
    assert in_a_fork(lambda: client.get("invoices/").status_code) == 200
    assert client.get("invoices/").status_code == 200
    first, in_child, last = (seen["client"] for seen in issuer.requests("api"))
    assert first == last != in_child


@pytest.mark.parametrize("library", LIBRARIES)
def test_threads_share_one_pool(
    issuer: StrictIssuer, stored: dict[str, str], user: User, library: Any
) -> None:
    auth = TokenPairAuth("billing", user)
    auth._fetch(None)

    def call(_: int) -> int:
        with service_client("billing", user.pk, library=library) as client:
            client.auth = auth  # its token is in memory: these threads need no database
            return int(client.get("invoices/").status_code)

    issuer.hold("api", until=4)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(call, range(12))) == [200] * 12
    assert len({seen["client"] for seen in issuer.requests("api")}) == 4


def test_at_the_end_of_the_process_the_connections_are_closed(
    issuer: StrictIssuer, stored: dict[str, str], user: User
) -> None:
    with service_client("billing", user) as client:
        client.get("invoices/")
    httpx_pools._close()
    assert httpx_pools._sync == {}
    with service_client("billing", user) as client:
        assert client.get("invoices/").status_code == 200


@ways
def test_whatever_leaves_the_service_loses_its_token(
    issuer: StrictIssuer, elsewhere: StrictIssuer, user: User, way: Way
) -> None:
    """The last place before the socket: even if some library's redirect let a header through."""
    header = {"Authorization": "Bearer something"}

    def client() -> Any:
        return way.client(transport=PooledTransport(way.library, "billing"), headers=header)

    way.run(client, get(issuer.base_url), get(elsewhere.base_url))
    assert [seen["scheme"] for seen in issuer.requests()] == ["Bearer"]
    assert [seen["scheme"] for seen in elsewhere.requests()] == [""]


# What is revealed


@ways
def test_no_log_line_shows_a_token(
    issuer: StrictIssuer,
    rejected: dict[str, str],
    way: Way,
    user: User,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        response = way.one(lambda: way.service(user), get("invoices/"))
    assert caplog.records
    for text in (caplog.text, repr(response), repr(response.request.headers)):
        assert rejected["access"] not in text
        assert response.request.headers["Authorization"].split()[1] not in text


@ways
def test_a_failure_leaves_no_token_in_local_variables(
    issuer: StrictIssuer, stored: dict[str, str], way: Way, user: User
) -> None:
    """A line break in a header fails in the midst of the writing of all of them."""
    step = get("invoices/", headers={"X-Note": "two\nlines"})
    with pytest.raises(way.library.LocalProtocolError) as caught:
        way.one(lambda: way.service(user), step)
    frames = list(_frames(caught.value))
    assert any("h11" in frame.f_code.co_filename for frame in frames)
    theirs = [frame for frame in frames if "/tests/" not in frame.f_code.co_filename]
    assert not any(stored["access"] in repr(frame.f_locals) for frame in theirs)


def _frames(error: BaseException | None) -> Iterator[FrameType]:
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            yield trace.tb_frame
            trace = trace.tb_next
        error = error.__cause__ or error.__context__


ONLY_OURS = """
import sys
import django
django.setup()
import jwt_outbound.clients, jwt_outbound.clients.gql, jwt_outbound.clients.httpx
import jwt_outbound.aoutbound, jwt_outbound.middleware
print(sorted({"gql", "graphql", "httpcore", "httpcore2", "httpx", "httpx2"} & sys.modules.keys()))
"""


def test_no_library_is_imported_before_it_is_used() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ONLY_OURS], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
