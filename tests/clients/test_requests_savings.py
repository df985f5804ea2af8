"""What the client does in another way than `requests`, for speed: the outcome is the same."""

from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from requests.adapters import HTTPAdapter

from jwt_outbound.clients import ServiceClient
from jwt_outbound.clients import requests as own
from tests.conftest import Configure
from tests.issuer_server import StrictIssuer, fingerprint


def get(url: str) -> requests.PreparedRequest:
    return requests.Request("GET", url).prepare()


class TestThePoolOfAHost:
    def pool(self, adapter: Any, url: str, **options: Any) -> Any:
        return adapter.get_connection_with_tls_context(get(url), **{"verify": True, **options})

    def urllib3s(self, adapter: Any, url: str, **options: Any) -> Any:
        given = {"verify": True, **options}
        return HTTPAdapter.get_connection_with_tls_context(adapter, get(url), **given)

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"verify": False},
            {"verify": "/ca.pem"},
            {"cert": "/cert.pem"},
            {"cert": ("/cert.pem", "/key.pem")},
            {"cert": ["/cert.pem", "/key.pem"]},
            {"proxies": {"https": "http://proxy.example:3128"}},
            {"proxies": {"no_proxy": "billing.example"}},
        ],
    )
    def test_it_is_the_one_that_urllib3_has_for_these_settings(
        self, options: dict[str, Any]
    ) -> None:
        adapter = own._Adapter()
        self.pool(adapter, "https://billing.example/")  # another one is known already
        for path in ("", "/a", "?b", "#c"):
            url = f"https://billing.example{path}"
            if isinstance(options.get("cert"), list):
                with pytest.raises(TypeError):
                    self.urllib3s(adapter, url, **options)
                continue
            assert self.pool(adapter, url, **options) is self.urllib3s(adapter, url, **options)

    @pytest.mark.parametrize(
        "url",
        [
            "http://billing.example/",
            "https://billing.example:8443/",
            "https://billing.example.evil.example/",
            "https://evil.example/?https://billing.example/",
            "https://evil.example#https://billing.example/",
        ],
    )
    def test_another_origin_has_another(self, url: str) -> None:
        adapter = own._Adapter()
        ours = self.pool(adapter, "https://billing.example/")
        assert self.pool(adapter, url) is not ours
        assert self.pool(adapter, url) is self.urllib3s(adapter, url)

    def test_a_closed_one_is_not_used_any_more(self) -> None:
        adapter = own._Adapter()
        closed = self.pool(adapter, "https://billing.example/")
        adapter.close()
        closed.close()
        assert self.pool(adapter, "https://billing.example/") is not closed

    def test_no_more_are_remembered_than_urllib3_keeps(self) -> None:
        adapter = own._Adapter()
        for number in range(own.MOST_POOLS * 2 + 1):
            self.pool(adapter, f"https://host{number}.example/")
        assert len(adapter._pools) <= own.MOST_POOLS

    def test_none_of_them_prints_what_it_sends(self) -> None:
        adapter = own._Adapter()
        for options in ({}, {}, {"cert": "/cert.pem"}):
            pool = self.pool(adapter, "https://billing.example/", **options)
            assert pool.ConnectionCls.debuglevel == 0
            assert "debuglevel" in vars(pool.ConnectionCls)


@pytest.mark.django_db
class TestThePreparedRequest:
    @pytest.mark.parametrize(
        "call",
        [
            {},
            {"params": {"a": "1"}},
            {"params": {"own": None}},
            {"params": "a=1"},
            {"headers": {"X-Own": None}},
            {"headers": {"X-Call": "2"}},
            {"data": {"a": "1"}},
            {"json": {"a": 1}},
        ],
    )
    @pytest.mark.parametrize(
        "kept",
        [
            {},
            {"params": {"own": "1"}},
            {"params": {"own": None}},
            {"headers": {"X-Own": "1"}},
            {"headers": {"Accept": None}},
        ],
    )
    def test_it_is_the_one_that_requests_prepares(
        self,
        user: User,
        stored: dict[str, str],
        issuer: StrictIssuer,
        call: dict[str, Any],
        kept: dict[str, Any],
    ) -> None:
        prepared = []
        for session in (requests.Session(), ServiceClient("billing", user)):
            session.params = dict(kept.get("params", {}))
            session.headers.update(kept.get("headers", {}))
            prepared.append(
                session.prepare_request(
                    requests.Request("POST", f"{issuer.base_url}invoices/", **call)
                )
            )
        theirs, ours = prepared
        assert ours.headers.pop("Authorization").startswith("Bearer ")
        assert (ours.url, ours.body, dict(ours.headers)) == (
            theirs.url,
            theirs.body,
            dict(theirs.headers),
        )


@pytest.mark.django_db
def test_a_call_goes_through_the_proxy_of_its_environment(
    user: User, stored: dict[str, str], issuer: StrictIssuer, elsewhere: StrictIssuer,
    configure: Configure, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    configure(BASE_URL="http://billing.example/api/", ALLOW_HTTP=True)
    monkeypatch.setenv("http_proxy", elsewhere.url)
    with ServiceClient("billing", user) as client:
        client.get("me")
        assert elsewhere.requests()[0]["token"] == fingerprint(stored["access"])
        monkeypatch.setenv("no_proxy", "billing.example")
        with pytest.raises(requests.ConnectionError):
            client.get("me")


class TestANewClient:
    def test_begins_as_any_session_does(self, user: User) -> None:
        plain, client = vars(requests.Session()), vars(ServiceClient("billing", user))
        assert plain.keys() <= client.keys()
        for name in plain.keys() - {"auth", "adapters", "cookies"}:
            assert client[name] == plain[name], name
        assert type(client["cookies"]) is type(plain["cookies"])
        assert list(client["adapters"]) == list(plain["adapters"])

    def test_shares_with_no_other_what_may_be_changed(self, user: User) -> None:
        one = ServiceClient("billing", user)
        one.headers["X-Of"] = one.params["of"] = one.proxies["of"] = "one"
        one.hooks["response"].append(print)
        one.cookies.set("of", "one")
        one.mount("https://elsewhere/", HTTPAdapter())
        self.test_begins_as_any_session_does(user)
        assert list(ServiceClient("billing", user).cookies) == []
