import json
import uuid
from dataclasses import replace
from typing import Any

import jwt
import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from jwt_outbound.ciphers import ACCESS, REFRESH, sealer
from jwt_outbound.clock import SECOND
from jwt_outbound.inspection import (
    State,
    facts_of,
    freshness_of,
    moment,
    moment_seen_from,
    state_of,
    words_for,
)
from jwt_outbound.rows import IssuerHealth, Pair

NOW = 1_800_000_000 * SECOND
HOUR = 3600 * SECOND
KEY = "the tests sign with this; nobody verifies it"


def pair(**columns: Any) -> Pair:
    """A fresh pair: 100 s old, with 200 s left."""
    seal = sealer("billing", 7).seal
    fresh = Pair(
        pk=uuid.UUID(int=1),
        user_id=7,
        service="billing",
        access_sealed=seal("access", ACCESS),
        refresh_sealed=seal("refresh", REFRESH),
        lifetime=300 * SECOND,
        expires_at=NOW + 200 * SECOND,
        refresh_at=NOW + 100 * SECOND,
        refresh_expires_at=NOW + 24 * HOUR,
        refresh_lifetime=24 * HOUR,
    )
    return replace(fresh, **columns)


def with_token(access: str, **columns: Any) -> Pair:
    return pair(access_sealed=sealer("billing", 7).seal(access, ACCESS), **columns)


OVER = {"expires_at": NOW - 1, "refresh_at": NOW - 1}


@pytest.mark.parametrize(
    ("columns", "state"),
    [
        ({}, State.FRESH),
        ({"refresh_at": NOW}, State.STALE),
        (OVER, State.EXPIRED),
        ({"access_sealed": b"", "expires_at": None}, State.EXPIRED),
        ({"expires_at": None, "refresh_at": None}, State.UNKNOWN),
        ({"cooldown_until": NOW + 1}, State.COOLING_DOWN),
        ({**OVER, "cooldown_until": NOW + 1}, State.COOLING_DOWN),
        ({"cooldown_until": NOW}, State.FRESH),
        ({"pending_until": NOW + 1, "cooldown_until": NOW + 1}, State.PENDING),
        ({"refused_at": NOW - 1, "reason": "refused", "pending_until": 1}, State.REFUSED),
        ({"refused_at": NOW - 1, "reason": "rotation_lost"}, State.REFUSED),
        ({"refused_at": NOW - 1, "reason": "expired"}, State.RUN_OUT),
        ({"revoked_at": NOW - 1, "access_sealed": b"", "refresh_sealed": b""}, State.REVOKED),
        ({**OVER, "refresh_expires_at": NOW - 3 * HOUR}, State.RUN_OUT),
        ({**OVER, "refresh_expires_at": NOW - HOUR}, State.EXPIRED),
        ({"refresh_expires_at": NOW - 3 * HOUR}, State.FRESH),
    ],
)
def test_the_word_for_a_state(columns: dict[str, Any], state: State) -> None:
    assert state_of(pair(**columns), NOW) is state


def test_an_issuer_in_a_cool_down_cools_its_pairs() -> None:
    assert state_of(pair(), NOW, IssuerHealth(cooling_until=NOW + 1)) is State.COOLING_DOWN
    assert state_of(pair(), NOW, IssuerHealth(cooling_until=NOW)) is State.FRESH


def test_a_service_that_is_not_configured_any_more() -> None:
    assert state_of(pair(service="gone"), NOW) is State.FRESH


def test_the_service_s_own_windows_count() -> None:
    late = pair(expires_at=NOW + 40 * SECOND)
    assert freshness_of(late, NOW).name == "FRESH"
    wide = {"SERVICES": {"billing": {"LEEWAY": 60}}}
    with override_settings(JWT_OUTBOUND=wide):
        assert freshness_of(late, NOW).name == "EXPIRED"
        assert freshness_of(late, NOW, to_the_end=True).name == "FRESH"


def test_the_claims_of_a_token() -> None:
    token = jwt.encode({"sub": "alice", "exp": 1_800_000_000, "iat": True}, KEY)
    facts = facts_of(with_token(token), ACCESS)
    assert json.loads(facts.header) == {"alg": "HS256", "typ": "JWT"}
    assert json.loads(facts.payload) == {"sub": "alice", "exp": 1_800_000_000, "iat": True}
    assert facts.dates == (("exp", "2027-01-15 08:00:00 UTC"),)
    assert facts.fault == ""


@pytest.mark.parametrize("token", ["token-text", "a.b.c", "e30.e30", "x" * 60_000])
def test_an_opaque_token_says_so(token: str) -> None:
    facts = facts_of(with_token(token), ACCESS)
    assert "opaque" in facts.fault
    assert (facts.header, facts.payload, facts.dates) == ("", "", ())
    assert token not in repr(facts)


def test_no_token_says_so() -> None:
    assert facts_of(pair(access_sealed=b""), ACCESS).fault == "There is none."


def test_what_can_not_be_decrypted_says_so() -> None:
    sealed = pair().access_sealed
    for broken in (sealed[:-1], b"\x01", b"junk", sealed[:20] + bytes(20)):
        assert "can't be decrypted" in facts_of(pair(access_sealed=broken), ACCESS).fault
    sealed_before = pair()
    with override_settings(SECRET_KEY="another"):
        assert "put the old key back" in facts_of(sealed_before, REFRESH).fault
    with override_settings(JWT_OUTBOUND={"ENCRYPTION_KEYS": ["sesame"]}):
        fault = facts_of(sealed_before, REFRESH).fault
    assert "urlsafe base64" in fault
    assert "sesame" not in fault


def test_a_ciphertext_of_the_other_kind_is_not_shown() -> None:
    fault = facts_of(pair(access_sealed=pair().refresh_sealed), ACCESS).fault
    assert "belongs to another row" in fault


@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    )
)
def test_any_claims_can_be_shown_on_a_page(payload: dict[str, Any]) -> None:
    token = jwt.encode({"some": "claim"}, KEY)
    header, _, signature = token.split(".")
    body = jwt.utils.base64url_encode(json.dumps(payload).encode()).decode()
    facts = facts_of(with_token(f"{header}.{body}.{signature}"), ACCESS)
    assert (facts.payload + facts.header + facts.fault).encode()
    if not facts.fault:
        assert json.loads(facts.header)["alg"] == "HS256"


def test_claims_nested_too_deeply() -> None:
    header, _, signature = jwt.encode({"some": "claim"}, KEY).split(".")
    nested = b'{"a":' + b"[" * 900 + b"]" * 900 + b"}"
    body = jwt.utils.base64url_encode(nested).decode()
    facts = facts_of(with_token(f"{header}.{body}.{signature}"), ACCESS)
    assert facts.payload or facts.fault


@pytest.mark.parametrize(
    ("microseconds", "words"),
    [
        (0, "0 s"),
        (999_999, "0 s"),
        (SECOND, "1 s"),
        (-61 * SECOND, "1 min 1 s"),
        (250 * SECOND, "4 min 10 s"),
        (HOUR, "1 h"),
        (HOUR + SECOND, "1 h"),
        (49 * HOUR + 60 * SECOND, "2 d 1 h"),
    ],
)
def test_lengths_of_time(microseconds: int, words: str) -> None:
    assert words_for(microseconds) == words


def test_moments() -> None:
    assert moment(None) == moment(0) == moment_seen_from(NOW, 0) == ""
    assert moment(NOW) == "2027-01-15 08:00:00 UTC"
    assert moment(10**18) == "beyond the year 9999"
    assert moment_seen_from(NOW, NOW + HOUR).endswith("(in 1 h)")
    assert moment_seen_from(NOW, NOW - HOUR).endswith("(1 h ago)")
