"""What the network does to an exchange has a meaning too: nothing is raised or followed."""

from collections.abc import Iterator

import pytest

from jwt_outbound.issuers import Answer, Meaning, SimpleJWTIssuer
from jwt_outbound.issuers.http import check_urls
from tests.issuer_server import StrictIssuer, serve

UNAVAILABLE = Meaning.UNAVAILABLE


@pytest.fixture
def strict() -> Iterator[StrictIssuer]:
    with serve() as issuer:
        yield issuer


def exchange(strict: StrictIssuer, seconds: float = 5) -> Answer:
    token = strict.pair_for("alice")["refresh"]
    return SimpleJWTIssuer(**strict.options).exchange(token, seconds)


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("html", ""),
        ("empty", ""),
        ("garbage", ""),
        ("huge", "oversized"),
        ("huge-chunked", "oversized"),
        ("bomb", "oversized"),
        ("drop-before", "connection_lost"),
        ("drop-after", "connection_lost"),
        ("truncate", "connection_lost"),
    ],
)
def test_nonsense_and_broken_connections_are_ambiguous(
    strict: StrictIssuer, mode: str, code: str
) -> None:
    strict.fail(mode)
    answer = exchange(strict)
    assert (answer.meaning, answer.ambiguous, answer.code) == (UNAVAILABLE, True, code)
    assert len(strict.presentations()) == 1


@pytest.mark.parametrize("mode", ["drip", "drip-headers", "slow"])
def test_what_lasts_too_long_is_ambiguous(strict: StrictIssuer, mode: str) -> None:
    strict.fail(mode, seconds=60 if mode == "slow" else 0.1)
    answer = exchange(strict, 0.3)
    assert (answer.meaning, answer.ambiguous, answer.code) == (UNAVAILABLE, True, "timeout")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://no-such-host.invalid/", "https://127.0.0.1:1/"]
)
def test_where_nobody_is_nothing_was_sent(url: str) -> None:
    answer = SimpleJWTIssuer(refresh_url=url).exchange("token", 5)
    assert (answer.meaning, answer.ambiguous) == (UNAVAILABLE, False)
    assert answer.code == "not_connected"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(strict: StrictIssuer, status: int) -> None:
    with serve() as elsewhere:
        strict.fail(status, headers={"Location": elsewhere.refresh_url})
        answer = exchange(strict)
        assert elsewhere.requests() == []
    assert (answer.meaning, answer.status) == (Meaning.MISCONFIGURED, status)
    assert len(strict.requests()) == 1


@pytest.mark.parametrize("url", ["", "billing.example/token/", "ftp://billing.example/"])
def test_what_is_no_url_is_the_operators_fault(url: str) -> None:
    answer = SimpleJWTIssuer(refresh_url=url).exchange("token", 5)
    assert (answer.meaning, answer.code) == (Meaning.MISCONFIGURED, "invalid_url")


@pytest.mark.parametrize("scheme", ["socks4", "socks5h", "SOCKS5"])
def test_nor_is_anybody_asked_through_a_socks_proxy(
    scheme: str, strict: StrictIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:1")
    answer = exchange(strict)
    assert (answer.meaning, answer.code) == (Meaning.MISCONFIGURED, "socks_proxy")
    assert strict.requests() == []


def test_urls_are_checked_by_name() -> None:
    urls = {
        "refresh_url": "billing.example",
        "revoke_url": None,
        "obtain_url": "https://ok.example",
    }
    (error,) = check_urls("billing", **urls)
    assert error.id == "jwt_outbound.E021"
    assert "'refresh_url' of service 'billing'" in error.msg
