import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_outbound.log_filter import HIDDEN, LOGGERS, TokenFilter, install, without_tokens

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.sesame-signature"


@pytest.mark.parametrize(
    "text",
    [
        f"Adding b'authorization'=b'Bearer {TOKEN}' to the header table, sensitive:False",
        f"Decoded (b'authorization', b'Bearer {TOKEN}'), total consumed 23 bytes",
        f"send: b'GET / HTTP/1.1\\r\\nAuthorization: JWT {TOKEN}\\r\\n'",
        f"headers [('AUTHORIZATION', 'Token opaque-sesame')] and {TOKEN}",
        f"AUTHORIZATION:\n  opaque-sesame {TOKEN}",
        "bearer opaque-sesame, then",
        f"the token is {TOKEN}.",
    ],
)
def test_tokens_are_hidden(text: str) -> None:
    hidden = without_tokens(text)
    assert "sesame" not in hidden
    assert HIDDEN in hidden


@pytest.mark.parametrize(
    "text",
    [
        'HTTP Request: GET https://billing.example/api/ "HTTP/1.1 200 OK"',
        "the bearer of this letter",
        "eyJ is how a JWT begins",
        "",
    ],
)
def test_the_rest_is_left_alone(text: str) -> None:
    assert without_tokens(text) == text


@given(st.text(max_size=5000))
def test_any_text_passes(text: str) -> None:
    assert isinstance(without_tokens(text), str)


@pytest.mark.parametrize("piece", ["eyJaaaa.", "Bearer ", "authorization ", "eyJ-", "a.", "JWT  "])
def test_long_texts_take_no_long_time(piece: str) -> None:
    """A pattern that goes back over what it has read would not end with this one in a lifetime."""
    assert without_tokens(piece * 50_000) is not None


def test_it_is_on_from_the_start_and_once_only() -> None:
    install()
    for name in LOGGERS:
        found = [f for f in logging.getLogger(name).filters if isinstance(f, TokenFilter)]
        assert len(found) == 1


@pytest.mark.parametrize("name", LOGGERS)
def test_a_record_of_each_library(name: str, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger(name)
    with caplog.at_level(logging.DEBUG, name):
        logger.debug("Adding %r=%r", b"authorization", b"Bearer sesame")
        logger.debug("sent %d bytes", 7)
    assert [record.getMessage() for record in caplog.records[-2:]] == [
        f"Adding b'authorization {HIDDEN}",
        "sent 7 bytes",
    ]
    assert "sesame" not in str([vars(record) for record in caplog.records])
    assert caplog.records[-1].args == (7,)
