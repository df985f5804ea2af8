import json
import math
from typing import Any

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jwt.utils import base64url_encode

from jwt_outbound.claims import (
    LATEST,
    LONGEST_TEXT,
    MAX_LENGTH,
    Claims,
    numeric_date,
    plain_text,
    read_claims,
)

KEY = "the tests sign with this; nobody verifies it"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = ["alg", "typ", "kid", "crit", "b64", "zip", "exp", "iat", "nbf", "aud", "iss", "sub", "jti"]
json_objects = st.dictionaries(st.sampled_from(NAMES) | st.text(), json_values, max_size=5)


def compact(header: Any, payload: Any) -> str:
    """A JWT of these two parts, whatever they are, with some signature."""
    parts = (json.dumps(part).encode() for part in (header, payload))
    return ".".join([*(base64url_encode(part).decode() for part in parts), "c2ln"])


def ensure_sane(claims: Claims) -> None:
    assert isinstance(claims.header, dict)
    assert isinstance(claims.payload, dict)
    for date in (claims.exp, claims.iat):
        assert date is None or 0 <= date <= LATEST
    assert claims.lifetime is None or 0 < claims.lifetime <= LATEST


def test_a_jwt() -> None:
    token = jwt.encode({"sub": "alice", "iat": 100, "exp": 400.5}, KEY, headers={"kid": "k1"})
    claims = read_claims(token)
    assert claims.header == {"alg": "HS256", "typ": "JWT", "kid": "k1"}
    assert claims.payload == {"sub": "alice", "iat": 100, "exp": 400.5}
    assert (claims.iat, claims.exp, claims.lifetime) == (100, 400.5, 300.5)


def test_an_expired_and_an_unsigned_one_are_read_too() -> None:
    assert read_claims(jwt.encode({"exp": 1, "nbf": 9e9, "aud": "x"}, KEY)).exp == 1
    assert read_claims(jwt.encode({"exp": 1}, None, algorithm="none")).exp == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "...",
        "opaque",
        "a.b.c",
        "e30.e30",
        "e30.W10.x",
        "e30..",
        "\ud800.\ud800.\ud800",
        "e30.e30.\xff",
        "x" * (1024 * 1024),
        compact([], {}),
        compact({}, []),
        compact({"alg": "HS256"}, "text"),
        compact({"alg": "HS256", "b64": False, "crit": ["b64"]}, {"exp": 1}),
    ],
)
def test_what_is_no_jwt_has_no_claims(text: str) -> None:
    assert read_claims(text) == Claims()


def test_what_is_too_long_is_not_read() -> None:
    long = jwt.encode({"exp": 1, "pad": "x" * MAX_LENGTH}, KEY)
    assert read_claims(long) == Claims()
    short = jwt.encode({"exp": 1, "pad": "x" * (MAX_LENGTH // 2)}, KEY)
    assert read_claims(short).exp == 1


def test_what_is_nested_too_deeply_is_survived() -> None:
    nested = b'{"exp":1,"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    for parts in ([b'{"alg":"HS256"}', nested], [nested, b"{}"]):
        token = ".".join([*(base64url_encode(part).decode() for part in parts), "c2ln"])
        ensure_sane(read_claims(token))


@pytest.mark.parametrize(
    ("iat", "exp", "lifetime"),
    [
        (100, 400, 300),
        (400, 100, None),
        (100, 100, None),
        (None, 400, None),
        (100, None, None),
        ("100", 400, None),
        (True, 400, None),
    ],
)
def test_the_lifetime(iat: Any, exp: Any, lifetime: float | None) -> None:
    assert read_claims(compact({"alg": "none"}, {"iat": iat, "exp": exp})).lifetime == lifetime


@pytest.mark.parametrize(
    ("value", "date"),
    [
        (0, 0),
        (1_800_000_000, 1_800_000_000),
        (1.5, 1.5),
        (LATEST, LATEST),
        (LATEST + 1, None),
        (-1, None),
        (True, None),
        (False, None),
        ("1800000000", None),
        ("soon", None),
        (None, None),
        ([], None),
        ({}, None),
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
        (10**400, None),
    ],
)
def test_a_numeric_date(value: Any, date: float | None) -> None:
    assert numeric_date(value) == date


@pytest.mark.parametrize(
    ("payload", "subject"),
    [
        ({"sub": "alice", "user_id": 7}, "alice"),
        ({"user_id": 7}, "7"),
        ({"user_id": "7"}, "7"),
        ({"sub": True, "user_id": None}, ""),
        ({"sub": {"name": "alice"}}, ""),
        ({}, ""),
    ],
)
def test_whose_token_it_is(payload: Any, subject: str) -> None:
    claims = read_claims(compact({"alg": "none"}, {**payload, "jti": "n1"}))
    assert (claims.subject, claims.token_id) == (subject, "n1")


@given(json_values)
@example(10**5000)
@example("\x00")
@example("x" * 1000)
def test_plain_text_fits_every_database(value: Any) -> None:
    text = plain_text(value)
    assert len(text) <= LONGEST_TEXT
    assert text.isascii()
    assert text.isprintable()


def test_numbers_that_json_lets_through() -> None:
    for number in ("1e400", "NaN", "-Infinity", "1" * 5000):
        payload = base64url_encode(b'{"exp":' + number.encode() + b"}").decode()
        assert read_claims(f"eyJhbGciOiJub25lIn0.{payload}.c2ln").exp is None


@given(st.text() | st.lists(st.text(alphabet="eyJ0.-_=abc", max_size=9)).map(".".join))
@example("eyJhbGciOiJIUzI1NiJ9.e30.")
def test_any_text_is_read(text: str) -> None:
    ensure_sane(read_claims(text))


@given(header=json_objects | json_values, payload=json_objects | json_values)
def test_any_json_is_read(header: Any, payload: Any) -> None:
    ensure_sane(read_claims(compact(header, payload)))


@given(payload=json_objects)
def test_the_claims_are_those_in_the_token(payload: dict[str, Any]) -> None:
    claims = read_claims(compact({"alg": "HS256", "typ": "JWT"}, payload))
    assert json.dumps(claims.payload) == json.dumps(payload)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_in_the_parts_are_read(header: bytes, payload: bytes) -> None:
    parts = [base64url_encode(part).decode() for part in (header, payload)]
    ensure_sane(read_claims(".".join([*parts, "c2ln"])))
