"""The `requests` client: where it calls, what it shares with others and what it keeps to itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from pytest_django import DjangoAssertNumQueries

from jwt_outbound.clients import ServiceClient, TokenPairAuth
from jwt_outbound.clients import requests as own
from jwt_outbound.exceptions import ForeignOrigin
from tests.conftest import Configure
from tests.forking import in_a_fork
from tests.issuer_server import StrictIssuer, fingerprint

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stored")]

Later = Callable[[float], None]


@pytest.fixture
def client(user: User) -> ServiceClient:
    return ServiceClient("billing", user)


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(path))


def tokens_at(server: StrictIssuer) -> list[str | None]:
    """Fingerprints of the tokens that came to the API, oldest first."""
    return [each["token"] for each in server.requests("api")]


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("invoices/", "/api/invoices/"),
            ("/invoices/", "/api/invoices/"),
            ("invoices/7?page=2#top", "/api/invoices/7"),
            ("", "/api/"),
            (b"invoices/", "/api/invoices/"),
            ("a//b", "/api/a//b"),
            ("a:b", "/api/a:b"),
        ],
    )
    def test_relative_ones_are_below_the_base(
        self,
        client: ServiceClient,
        issuer: StrictIssuer,
        stored: dict[str, str],
        url: Any,
        path: str,
    ) -> None:
        answer = client.get(url)
        assert (answer.status_code, answer.json()["path"]) == (200, path)
        assert tokens_at(issuer) == [fingerprint(stored["access"])]

    def test_absolute_ones_of_the_service_are_as_they_are(
        self, client: ServiceClient, issuer: StrictIssuer
    ) -> None:
        assert client.get(f"{issuer.url}/api/me").json()["user"] == "alice"
        assert client.post(f"{issuer.base_url}me").json()["method"] == "POST"

    @pytest.mark.parametrize("base", ["/api", "/api/"])
    def test_a_missing_last_slash_of_the_base_is_added(
        self, client: ServiceClient, issuer: StrictIssuer, configure: Configure, base: str
    ) -> None:
        configure(BASE_URL=issuer.url + base)
        assert client.get("me").json()["path"] == "/api/me"

    @pytest.mark.parametrize(
        "url",
        [
            "http://elsewhere.example/",
            "//elsewhere.example/",
            "https://127.0.0.1:{port}/api/",
            "http://127.0.0.1/api/",
            "http://localhost:{port}/api/",
            "http://127.0.0.1:{port}@elsewhere.example/",
            "http://user:pass@127.0.0.1:{port}/api/",
            "http://127.0.0.1:{port}\\@elsewhere.example/",
            "ftp://127.0.0.1:{port}/api/",
            "../token/",
            "a/../../token/",
            "%2e%2e/token/",
        ],
    )
    def test_foreign_ones_raise_before_anything_is_sent(
        self, client: ServiceClient, user: User, issuer: StrictIssuer, url: str
    ) -> None:
        url = url.format(port=issuer.port)
        with pytest.raises(ForeignOrigin) as caught:
            client.get(url)
        assert isinstance(caught.value, ValueError)
        assert caught.value.service == "billing"
        if "://" in url and "\\" not in url:
            with pytest.raises((ForeignOrigin, requests.RequestException)):
                client.send(client.prepare_request(requests.Request("GET", url)))
            with pytest.raises((ForeignOrigin, requests.RequestException)):
                requests.get(url, auth=TokenPairAuth("billing", user))
        assert issuer.requests() == []

    def test_further_origins_can_be_allowed(
        self,
        client: ServiceClient,
        elsewhere: StrictIssuer,
        configure: Configure,
        stored: dict[str, str],
    ) -> None:
        configure(ALLOWED_ORIGINS=[elsewhere.url])
        client.get(f"{elsewhere.base_url}me")
        assert tokens_at(elsewhere)[0] == fingerprint(stored["access"])


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.usefixtures("netrc")
    def test_within_the_service_keep_the_token_whatever_netrc_says(
        self, client: ServiceClient, issuer: StrictIssuer, stored: dict[str, str], status: int
    ) -> None:
        answer = client.get("redirect", params={"to": "/api/there", "status": status})
        assert answer.json()["path"] == "/api/there"
        assert tokens_at(issuer) == [fingerprint(stored["access"])] * 2

    @pytest.mark.parametrize("session", ["ours", "a caller's own"])
    def test_elsewhere_lose_it_and_a_401_there_does_not_bring_it_back(
        self, client: ServiceClient, user: User, issuer: StrictIssuer, elsewhere: StrictIssuer,
        later: Later, session: str,
    ) -> None:  # fmt: skip
        later(30)
        url = f"{issuer.base_url}redirect"
        to = {"to": f"{elsewhere.base_url}me"}
        if session == "ours":
            answer = client.get(url, params=to)
        else:
            answer = requests.get(url, params=to, auth=TokenPairAuth("billing", user))
        assert answer.status_code == 401
        assert tokens_at(elsewhere) == [None]
        assert elsewhere.requests()[0]["scheme"] == ""
        assert issuer.presentations() == []


class TestWhatIsShared:
    def test_connections_are_and_cookies_are_not(
        self, client: ServiceClient, issuer: StrictIssuer, bob: User
    ) -> None:
        assert client.get("cookie").cookies["whose"] == "alice"
        bobs = ServiceClient("billing", bob)
        bobs.get("me")
        client.get("me")
        bobs.get("cookie")
        seen = issuer.requests("api")
        assert [each["cookies"].get("whose") for each in seen] == [None, None, "alice", None]
        assert len({each["client"] for each in seen}) == 1
        assert [each["user"] for each in seen] == ["alice", "bob", "alice", "bob"]

    def test_close_drops_its_own_and_leaves_the_connections_to_others(
        self, client: ServiceClient, user: User, issuer: StrictIssuer,
        django_assert_num_queries: DjangoAssertNumQueries,
    ) -> None:  # fmt: skip
        with client:
            client.get("cookie")
        assert not client.cookies
        with django_assert_num_queries(1):
            client.get("me")
        assert issuer.requests("api")[1]["cookies"] == {}
        assert len({each["client"] for each in issuer.requests("api")}) == 1

    def test_a_forked_child_makes_connections_of_its_own(self, client: ServiceClient) -> None:
        client.get("me")
        adapters = dict(own._adapters)
        assert in_a_fork(lambda: [len(own._adapters), len(own._forgotten)]) == [0, 1]
        assert own._adapters == adapters
