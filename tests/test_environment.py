"""What a call takes from the environment is what `requests` itself would take, in every case."""

import os
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jwt_outbound import environment

PROXIES = ["http://proxy.example:3128", "socks5://proxy.example", "proxy.example:8080", ""]
HOSTS = [
    *["", "*", "billing.example", ".billing.example", "example", "billing.example:8443"],
    *["10.0.0.0/8", "10.1.2.3", " crm.example , 10.1.2.3", "localhost,127.0.0.1"],
]
VALUES = {
    **{f"{scheme}_proxy": PROXIES for scheme in ("http", "https", "all", "ftp")},
    "no_proxy": HOSTS,
    "REQUEST_METHOD": ["GET", ""],
    "REQUESTS_CA_BUNDLE": ["/etc/one.pem", ""],
    "CURL_CA_BUNDLE": ["/etc/two.pem", ""],
    "PATH": ["/bin"],
}
URLS = [
    *["https://billing.example/a", "http://billing.example:8443/a?b=//c#d", "http://10.1.2.3/"],
    *["https://crm.example", "http://localhost:8000/", "http://[::1]:8000/", "HTTP://EXAMPLE/a"],
]


def spelled(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from([name, name.upper(), name.title()])


variables = st.lists(
    st.sampled_from(sorted(VALUES)).flatmap(
        lambda name: st.tuples(spelled(name), st.sampled_from(VALUES[name]))
    ),
    max_size=6,
).map(dict)
proxies = st.none() | st.dictionaries(
    st.sampled_from(["http", "https", "all", "no_proxy", "http://billing.example"]),
    st.sampled_from([*PROXIES, None, "billing.example"]),
    max_size=3,
)
verify = st.sampled_from([None, True, False, "/own.pem", ""])
cert = st.sampled_from([None, "/cert.pem", ("/cert.pem", "/key.pem")])
flag = st.sampled_from([None, True, False])
sessions = st.fixed_dictionaries(
    {"trust_env": st.booleans(), "proxies": proxies, "verify": verify, "cert": cert, "stream": flag}
)
calls = st.fixed_dictionaries({"proxies": proxies, "stream": flag, "verify": verify, "cert": cert})


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    environment._known.clear()
    yield
    environment._known.clear()


def answer(function: Any, call: dict[str, Any], url: str) -> Any:
    """What it returns, and what it makes of the caller's own dict of proxies; or its error."""
    own = {**call, "proxies": None if call["proxies"] is None else dict(call["proxies"])}
    try:
        return dict(function(url, **own)), own["proxies"]
    except Exception as error:  # noqa: BLE001 - whatever requests says of such a call
        return type(error)


@settings(max_examples=400)
@given(variables, sessions, st.lists(calls, min_size=1, max_size=3), st.sampled_from(URLS))
@example({"http_proxy": PROXIES[0]}, {"trust_env": True}, [{"proxies": {}}], URLS[1])
@example(
    {"HTTP_PROXY": PROXIES[0], "REQUEST_METHOD": "GET"}, {}, [{"proxies": {}}], "http://a.example/"
)
def test_it_is_what_requests_finds(
    found: dict[str, str], own: dict[str, Any], made: list[dict[str, Any]], url: str
) -> None:
    session = requests.Session()
    vars(session).update(own)

    def ours(url: str, **call: Any) -> Any:
        return environment.merge(session, url, **call)

    whole: dict[str, Any] = {"proxies": None, "stream": None, "verify": None, "cert": None}
    with mock.patch.dict(os.environ, found, clear=True):
        for call in made * 2:  # the second time it is known
            theirs = answer(session.merge_environment_settings, {**whole, **call}, url)
            assert answer(ours, {**whole, **call}, url) == theirs


def test_a_changed_environment_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    url = "https://billing.example/"
    assert environment.proxies_for(url) == {}
    monkeypatch.setenv("HTTPS_PROXY", "http://one.example")
    assert environment.proxies_for(url) == {"https": "http://one.example"}
    monkeypatch.setenv("HTTPS_PROXY", "http://two.example")
    assert environment.proxies_for(url) == {"https": "http://two.example"}
    monkeypatch.setenv("no_proxy", "billing.example")
    assert environment.proxies_for(url) == {}
    assert environment.proxies_for("https://crm.example/")["https"] == "http://two.example"


def test_in_a_cgi_script_a_visitors_header_is_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("REQUEST_METHOD", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://evil.example")
    assert environment.proxies_for("http://billing.example/") == {"http": "http://evil.example"}
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    assert environment.proxies_for("http://billing.example/") == {}


def test_a_host_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    asked, real = [], requests.utils.get_environ_proxies

    def note(url: str, no_proxy: str | None = None) -> Any:
        asked.append(url)
        return real(url, no_proxy=no_proxy)

    monkeypatch.setattr("requests.utils.get_environ_proxies", note)
    for path in ("a", "b", "a?c"):
        environment.proxies_for(f"https://billing.example/{path}")
    environment.proxies_for("https://billing.example:8443/")
    assert asked == ["https://billing.example/a", "https://billing.example:8443/"]


def test_no_more_hosts_are_kept_than_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    for number in range(environment.MOST_HOSTS + 10):
        environment.proxies_for(f"https://host{number}.example/a/b?c")
        environment.proxies_for(f"https://host{number}.example/another/path")
    assert 0 < len(environment._known) <= environment.MOST_HOSTS


def test_another_source_of_proxies_is_asked_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's settings, on macOS and Windows: nothing tells that they have changed."""
    found = iter([{"https": "http://one.example"}, {"https": "http://two.example"}])
    monkeypatch.setattr("requests.utils.getproxies", lambda: next(found))
    url = "https://billing.example/"
    assert environment.proxies_for(url) == {"https": "http://one.example"}
    assert environment.proxies_for(url) == {"https": "http://two.example"}


def test_another_way_of_bypassing_them_is_asked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    answers = iter([False, True])
    monkeypatch.setattr("requests.utils.proxy_bypass", lambda host: next(answers))
    url = "https://billing.example/"
    assert environment.proxies_for(url) != {}
    assert environment.proxies_for(url) == {}
