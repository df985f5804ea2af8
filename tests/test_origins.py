from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from jwt_outbound.exceptions import ForeignOrigin, JWTOutboundError
from jwt_outbound.origins import ensure_own, fault_of_url, is_own, is_plain_http, origin_of

OWN = ("https://billing.example/api/", "https://cdn.example:8443")

PIECES = [
    *("http:", "https:", "HTTPS:", "javascript:", "//", "/", "\\", "@", ":", ":443", ":80"),
    *("billing.example", "evil.example", "..", ".", "%2e", "%2F", "%5c", "%00", "%25", "#", "?"),
    *("\t", "\n", "\r", " ", "\x00", "\x7f", "\xa0", "[", "]", "::1", "0", ";", "xn--", "user"),
    *("\u3002", "\uff0e", "\uff05", "\u2100", "\xdf", "\xe9", "*", "=", "&"),
]
odd_text = st.lists(st.sampled_from(PIECES) | st.text(max_size=2), max_size=9).map("".join)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://billing.example", ("https", "billing.example", 443)),
        ("HTTPS://Billing.EXAMPLE:443/x?y#z", ("https", "billing.example", 443)),
        ("http://billing.example:8000/", ("http", "billing.example", 8000)),
        ("http://billing.example:/", ("http", "billing.example", 80)),
        ("http://[::1]:8000/", ("http", "::1", 8000)),
        ("https://m\xfcnchen.example/", ("https", "xn--mnchen-3ya.example", 443)),
        ("https://xn--mnchen-3ya.example/", ("https", "xn--mnchen-3ya.example", 443)),
        ("https://billing.example/a b\\c\n@evil.example", ("https", "billing.example", 443)),
        ("https://billing.example?@evil.example", ("https", "billing.example", 443)),
    ],
)
def test_an_origin(url: str, origin: tuple[str, str, int]) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/invoices/",
        "//billing.example/",
        "https:",
        "https:/billing.example/",
        "https:///billing.example/",
        "https://",
        "https://:443/",
        "ftp://billing.example/",
        "javascript://billing.example/",
        "https://user@billing.example/",
        "https://user:password@billing.example/",
        "https://billing.example\\@evil.example/",
        "https://billing.example%2eevil.example/",
        "https://billing.example\t.evil.example/",
        "https://billing .example/",
        " https://billing.example/",
        "\nhttps://billing.example/",
        "ht\ntps://billing.example/",
        "https://billing.example\x7f/",
        "https://billing.example:port/",
        "https://billing.example:99999/",
        "https://billing.example:-1/",
        "https://[::1/",
        "https://[evil]/",
        "https://[fe80::1%25eth0]/",
        "https://bill\u2100ing.example/",
        "https://-\xe9.example/",
    ],
)
def test_no_origin(url: str) -> None:
    assert origin_of(url) is None
    assert not is_own(url, [url])


@pytest.mark.parametrize(
    "url",
    [
        "https://billing.example/",
        "https://BILLING.example:443/other/",
        "https://billing.example/?next=https://evil.example/",
        "https://cdn.example:8443/file",
    ],
)
def test_a_url_of_the_service(url: str) -> None:
    assert is_own(url, OWN)
    ensure_own(url, OWN, "billing")


@pytest.mark.parametrize(
    "url",
    [
        "http://billing.example/",
        "https://billing.example:8443/",
        "https://cdn.example/",
        "https://billing.example./",
        "https://billing.example.evil.example/",
        "https://evilbilling.example/",
        "https://evil.example/billing.example/",
        "https://evil.example?billing.example",
        "https://evil.example#https://billing.example/",
        "https://billing.example@evil.example/",
        "https://evil.example\\@billing.example/",
        "https://xn--billing-.example/",
        "https://b\u0131lling.example/",
        "https://\u212billing.example/",
        "//evil.example/",
        "data:text/plain,billing.example",
    ],
)
def test_a_foreign_url(url: str) -> None:
    assert not is_own(url, OWN)
    with pytest.raises(ForeignOrigin, match="ALLOWED_ORIGINS") as raised:
        ensure_own(url, OWN, "billing")
    assert isinstance(raised.value, JWTOutboundError)
    assert raised.value.service == "billing"


def test_the_message_does_not_repeat_the_url() -> None:
    with pytest.raises(ForeignOrigin) as raised:
        ensure_own("https://evil.example/?key=sesame", OWN, "billing")
    assert "sesame" not in str(raised.value)


@given(odd_text)
@example("https://billing.example\\@evil.example/")
def test_what_counts_as_own_is_where_requests_goes(url: str) -> None:
    if not is_own(url, OWN[:1]):
        return
    try:
        prepared = requests.Request("GET", url).prepare().url or ""
    except (requests.RequestException, ValueError):
        return
    parts = urlsplit(prepared)
    assert (parts.scheme, parts.hostname) == ("https", "billing.example")
    assert parts.port in (None, 443)
    assert parts.username is None


@given(odd_text)
def test_a_prepared_url_keeps_its_origin(url: str) -> None:
    """Checked before and after `requests` has made its own of it, the answer is the same."""
    try:
        prepared = requests.Request("GET", url).prepare().url or ""
    except (requests.RequestException, ValueError):
        return
    if origin_of(url) is not None:
        assert origin_of(prepared) == origin_of(url)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://billing.example/", ""),
        (None, "is not a URL"),
        (7, "is not a URL"),
        ("", "is not a URL"),
        ("billing.example", "is not an http(s) URL that names a host"),
        ("https://billing.example/a b", "has a space or a control character in it"),
    ],
)
def test_the_fault_of_a_url(url: object, fault: str) -> None:
    assert fault_of_url(url) == fault


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("http://billing.example/", True),
        ("HTTP://billing.example/", True),
        ("http://10.0.0.1/", True),
        ("http://127.0.0.1.evil.example/", True),
        ("http://localhost.evil.example/", True),
        ("http://0.0.0.0/", True),
        ("https://billing.example/", False),
        ("http://127.0.0.1:8001/", False),
        ("http://127.8.9.10/", False),
        ("http://[::1]/", False),
        ("http://localhost/", False),
        ("http://billing.localhost:8001/", False),
        ("nonsense", False),
    ],
)
def test_plain_http(url: str, plain: bool) -> None:
    assert is_plain_http(url) is plain
