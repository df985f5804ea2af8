"""Between the answer and the commit nothing may raise: what can't be read is left unknown."""

from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_outbound.clock import SECOND
from jwt_outbound.freshness import Windows
from jwt_outbound.issuers.answers import Answer
from jwt_outbound.refresh import columns
from jwt_outbound.refresh.steps import Prepared
from jwt_outbound.secret import Secret
from jwt_outbound.terms import Rules
from tests.refresh.pairs import NOW, a_pair

RULES = Rules(windows=Windows())


def seal(token: str, kind: str) -> bytes:
    return f"{kind}:{token}".encode()


def new_columns(answer: Answer, learned: int | None = None, **old: Any) -> dict[str, Any]:
    prepared = Prepared(refresh=Secret("old"), seal=seal)
    return columns.new_columns(
        a_pair(**old), answer, prepared, sent_at=NOW, rules=RULES, learned=learned
    )


def a_jwt(**claims: Any) -> str:
    return jwt.encode(claims, "a key of the issuer that nobody here knows", algorithm="HS256")


def test_both_tokens_are_sealed_as_what_they_are() -> None:
    new = new_columns(Answer.granted("new", "next"))
    assert new["access_sealed"] == b"access:new"
    assert new["refresh_sealed"] == b"refresh:next"
    assert new["obtained_at"] == NOW


def test_an_answer_without_a_refresh_token_keeps_the_old_one_and_its_end() -> None:
    old = {"refresh_expires_at": NOW + 9, "refresh_lifetime": 99}
    new = new_columns(Answer.granted("new"), **old)
    assert "refresh_sealed" not in new
    assert (new["refresh_expires_at"], new["refresh_lifetime"]) == (NOW + 9, 99)


def test_lifetimes_count_from_our_own_clock() -> None:
    hour_ahead = NOW // SECOND + 3600
    token = a_jwt(iat=hour_ahead, exp=hour_ahead + 300)
    new = new_columns(Answer.granted(token, "next", expires_in=200))
    assert (new["lifetime"], new["expires_at"]) == (200 * SECOND, NOW + 200 * SECOND)
    assert new["skew"] == 3600 * SECOND
    assert (new["refresh_expires_at"], new["refresh_lifetime"]) == (None, None)


def test_a_lifetime_that_was_learned_is_kept_for_the_next() -> None:
    new = new_columns(Answer.granted("opaque"), learned=50 * SECOND)
    assert new["learned_lifetime"] == new["lifetime"] == 50 * SECOND


def test_what_cannot_be_read_is_unknown_and_saved_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ArithmeticError("an odd token")

    monkeypatch.setattr(columns, "of_issued", broken)
    new = new_columns(Answer.granted("new", "next"))
    assert new["access_sealed"] == b"access:new"
    assert new["refresh_sealed"] == b"refresh:next"
    assert new["expires_at"] is new["lifetime"] is new["refresh_at"] is None


ODD = (
    st.none()
    | st.booleans()
    | st.text(max_size=5)
    | st.integers()
    | st.floats()
    | st.just(10**400)
    | st.lists(st.integers(), max_size=1)
)


@given(
    claims=st.dictionaries(st.sampled_from(["iat", "exp", "nbf"]), ODD),
    expires_in=ODD,
    refresh_in=st.none() | st.floats(),
    issuer_time=st.none() | st.floats(0, 253_402_300_799),
)
def test_whatever_the_issuer_says_the_columns_fit_the_table(
    claims: dict[str, Any], expires_in: Any, refresh_in: float | None, issuer_time: float | None
) -> None:
    token = a_jwt(**claims)
    answer = Answer.granted(
        token, token, expires_in=expires_in, refresh_in=refresh_in, issuer_time=issuer_time
    )
    new = new_columns(answer)
    for name, value in new.items():
        assert isinstance(value, bytes | int | str | None), name
        assert not isinstance(value, int) or -(2**63) <= value < 2**63, name
    lifetime, expires_at = new["lifetime"], new["expires_at"]
    assert (lifetime is None) == (expires_at is None)
    assert lifetime is None or expires_at == NOW + lifetime
