"""Design 3.4, row by row: what each answer of a token endpoint means."""

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_outbound.exceptions import (
    CredentialsRefused,
    IssuerMisconfigured,
    IssuerUnavailable,
    JWTOutboundError,
)
from jwt_outbound.issuers import Answer, Meaning, Profile, SimpleJWTIssuer
from jwt_outbound.issuers.answers import read_answer, said
from jwt_outbound.secret import Secret

GRANTED, REFUSED = Meaning.GRANTED, Meaning.REFUSED
MISCONFIGURED, UNAVAILABLE = Meaning.MISCONFIGURED, Meaning.UNAVAILABLE

OAUTH2 = Profile()
SIMPLEJWT = SimpleJWTIssuer.profile
LOGIN = SimpleJWTIssuer.login_profile
DRF = {"WWW-Authenticate": 'Bearer realm="api"'}
DATE = "Tue, 24 Nov 2026 12:00:00 GMT"


class Case(NamedTuple):
    status: int
    body: Any
    meaning: Meaning
    code: str = ""
    ambiguous: bool = False
    profile: Profile = OAUTH2
    headers: dict[str, str] = {}

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def oauth2_error(code: str, status: int = 400) -> tuple[int, Any]:
    return status, {"error": code, "error_description": "said by the issuer"}


CASES = [
    # Refused: the definite no to this refresh token.
    Case(*oauth2_error("invalid_grant"), REFUSED, "invalid_grant"),
    Case(*oauth2_error("invalid_grant", 401), REFUSED, "invalid_grant"),
    Case(*oauth2_error("invalid_grant", 404), REFUSED, "invalid_grant"),
    Case(*oauth2_error("invalid_grant"), REFUSED, "invalid_grant", profile=SIMPLEJWT),
    Case(401, {"code": "token_not_valid"}, REFUSED, "token_not_valid", profile=SIMPLEJWT),
    Case(401, {"code": "password_changed"}, REFUSED, "password_changed", profile=SIMPLEJWT),
    Case(200, {"code": "token_not_valid"}, REFUSED, "token_not_valid", profile=SIMPLEJWT),
    Case(401, {"detail": "no"}, REFUSED, "no_active_account", profile=SIMPLEJWT, headers=DRF),
    Case(401, {"detail": "no"}, REFUSED, "no_active_account", profile=LOGIN, headers=DRF),
    Case(401, {"code": "no_active_account"}, REFUSED, "no_active_account", profile=LOGIN),
    # Misconfigured: the operator's fault.
    Case(*oauth2_error("invalid_client", 401), MISCONFIGURED, "invalid_client"),
    Case(*oauth2_error("unauthorized_client"), MISCONFIGURED, "unauthorized_client"),
    Case(*oauth2_error("unsupported_grant_type"), MISCONFIGURED, "unsupported_grant_type"),
    Case(*oauth2_error("invalid_scope"), MISCONFIGURED, "invalid_scope"),
    Case(404, b"<h1>Not found</h1>", MISCONFIGURED),
    Case(405, {"detail": "Method not allowed"}, MISCONFIGURED),
    *(Case(status, b"", MISCONFIGURED) for status in (301, 302, 303, 307, 308)),
    # Unavailable, and the token was surely not used.
    Case(429, b"", UNAVAILABLE),
    Case(425, b"", UNAVAILABLE),
    # Unavailable and ambiguous: the issuer may have rotated.
    *(Case(status, b"", UNAVAILABLE, ambiguous=True) for status in (408, 409, 500, 502, 503, 599)),
    Case(*oauth2_error("invalid_grant", 500), UNAVAILABLE, "invalid_grant", ambiguous=True),
    Case(*oauth2_error("invalid_client", 503), UNAVAILABLE, "invalid_client", ambiguous=True),
    Case(401, {"detail": "no"}, UNAVAILABLE, ambiguous=True),
    Case(401, {"detail": "no"}, UNAVAILABLE, ambiguous=True, profile=SIMPLEJWT),
    Case(401, {"detail": "no", "x": 1}, UNAVAILABLE, "", True, SIMPLEJWT, DRF),
    Case(401, {"code": "token_not_valid"}, UNAVAILABLE, ambiguous=True),
    Case(403, b"<h1>Forbidden</h1>", UNAVAILABLE, ambiguous=True),
    Case(400, {"refresh": ["required"]}, UNAVAILABLE, ambiguous=True, profile=SIMPLEJWT),
    Case(*oauth2_error("temporarily_unavailable"), UNAVAILABLE, "temporarily_unavailable", True),
    Case(200, b"<h1>Sign in</h1>", UNAVAILABLE, ambiguous=True),
    Case(200, b"", UNAVAILABLE, ambiguous=True),
    Case(200, b"\xff\xfe\x00", UNAVAILABLE, ambiguous=True),
    Case(200, b"[" * 100_000, UNAVAILABLE, ambiguous=True),
    Case(200, ["a", "list"], UNAVAILABLE, ambiguous=True),
    Case(200, {"access_token": ""}, UNAVAILABLE, ambiguous=True),
    Case(200, {"access_token": 5}, UNAVAILABLE, ambiguous=True),
    Case(200, {"access_token": "two words"}, UNAVAILABLE, ambiguous=True),
    Case(200, {"access_token": "a\r\nHost: b"}, UNAVAILABLE, ambiguous=True),
    Case(200, {"access_token": "a" * 65_537}, UNAVAILABLE, ambiguous=True),
    Case(200, {"access": "a"}, UNAVAILABLE, ambiguous=True),
    Case(200, {"access_token": "a"}, UNAVAILABLE, ambiguous=True, profile=SIMPLEJWT),
    # Granted.
    Case(200, {"access_token": "a", "refresh_token": "r"}, GRANTED),
    Case(201, {"access_token": "a"}, GRANTED),
    Case(200, {"access": "a"}, GRANTED, profile=SIMPLEJWT),
    Case(200, {"access": "a", "refresh": "r"}, GRANTED, profile=LOGIN),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.status} {case.content[:30]!r}")
def test_each_answer_has_its_meaning(case: Case) -> None:
    answer = read_answer(case.status, case.headers, case.content, case.profile)
    assert (answer.meaning, answer.code, answer.ambiguous) == (
        case.meaning,
        case.code,
        case.ambiguous,
    )
    assert answer.status == case.status


def test_a_bare_401_is_a_refusal_only_from_a_proven_issuer() -> None:
    bare = {"detail": "No active account found for the given token."}
    content = json.dumps(bare).encode()
    assert read_answer(401, DRF, content, SIMPLEJWT).if_proven
    assert not read_answer(401, DRF, content, LOGIN).if_proven


@given(
    status=st.integers(100, 599),
    body=st.binary() | st.builds(lambda value: json.dumps(value).encode(), st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.dictionaries(
            st.sampled_from(["access", "refresh", "code", "error", "expires_in"]), inner
        ),
    )),
    headers=st.dictionaries(st.sampled_from(["Retry-After", "Date", "date"]), st.text()),
    profile=st.sampled_from([OAUTH2, SIMPLEJWT, LOGIN]),
)  # fmt: skip
def test_whatever_comes_it_has_a_meaning(
    status: int, body: bytes, headers: dict[str, str], profile: Profile
) -> None:
    answer = read_answer(status, headers, body, profile)
    assert answer.meaning is not GRANTED or answer.access
    assert answer.retry_after is None or 0 <= answer.retry_after <= 3600


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "120"}, 120),
        ({"Retry-After": " 7 "}, 7),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "1000000"}, 3600),
        ({"Retry-After": "9" * 5000}, 3600),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "Tue, 24 Nov 2026 12:00:30 GMT", "Date": DATE}, 30),
        ({"Retry-After": "Tue, 24 Nov 2026 11:00:00 GMT", "Date": DATE}, 0),
        ({"Retry-After": "Wed, 24 Nov 2027 12:00:00 GMT", "Date": DATE}, 3600),
        ({"Retry-After": "Tue, 24 Nov 2026 12:00:30 GMT"}, None),
        ({"Retry-After": "Tue, 99 Nov 2026 12:00:30 GMT", "Date": DATE}, None),
    ],
)
@pytest.mark.parametrize("status", [425, 429, 503])
def test_retry_after_is_read_by_the_issuers_own_clock_and_capped(
    status: int, headers: dict[str, str], seconds: float | None
) -> None:
    assert read_answer(status, headers, b"", OAUTH2).retry_after == seconds


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (300, 300.0), (1.5, 1.5), ("300", 300.0), (0, 0.0), (-5, 0.0), ("-5", 0.0),
        ("soon", None), (True, None), (None, None), ([300], None), (float("nan"), None),
        ("nan", None), ("1" * 30, None), (10**400, None),
    ],
)  # fmt: skip
def test_lifetimes_are_numbers_or_unknown(sent: object, read: float | None) -> None:
    body = json.dumps({"access_token": "a", "expires_in": sent, "refresh_in": sent}).encode()
    answer = read_answer(200, {"Date": DATE}, body, OAUTH2)
    assert (answer.expires_in, answer.refresh_in) == (read, read)
    assert answer.terms()["issuer_time"] == 1795521600.0


def test_a_code_that_is_no_word_is_not_repeated() -> None:
    for code in ("eyJhbGciOi.J9.secret", "a b", "x" * 65, ["invalid_grant"]):
        body = json.dumps({"error": code}).encode()
        assert read_answer(400, {}, body, OAUTH2).code == ""


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer.refused("no_active_account", status=401), CredentialsRefused),
        (Answer.misconfigured("no_obtain_url"), IssuerMisconfigured),
        (Answer.unavailable(ambiguous=True, retry_after=7.0, status=503), IssuerUnavailable),
    ],
)
def test_a_login_that_was_not_granted_raises(answer: Answer, kind: type[JWTOutboundError]) -> None:
    with pytest.raises(kind) as caught:
        answer.ensure_granted(service="billing", user_id=7)
    error = caught.value
    assert (error.service, error.user_id) == ("billing", 7)
    assert "'billing'" in str(error)
    if isinstance(error, IssuerUnavailable):
        assert (error.retry_after, error.ambiguous) == (7.0, True)
    if isinstance(error, CredentialsRefused):
        assert error.code == "no_active_account"


def test_a_granted_answer_shows_no_token() -> None:
    answer = Answer.granted("access-secret", "refresh-secret", status=200)
    answer.ensure_granted(service="billing", user_id=7)
    assert "secret" not in repr(answer) + said(answer)
    assert said(Answer.refused("invalid_grant", status=400)) == " (status 400, code invalid_grant)"


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "é", "x" * 65_537])
def test_an_issuer_of_ones_own_cannot_grant_what_no_header_carries(token: str) -> None:
    for pair in ((token, None), ("good", token)):
        with pytest.raises(ValueError, match="visible ASCII") as caught:
            Answer.granted(*pair)
        assert token not in str(caught.value)


@pytest.mark.parametrize("token", ["two words", "a\r\nX-Header: b", "\ud800", "x" * 70_000])
def test_a_grant_with_a_token_that_no_header_carries_can_not_be_made(token: str) -> None:
    """However it is made: it must fail in the issuer's code, not on the way to the commit."""
    with pytest.raises(ValueError, match="visible ASCII"):
        Answer.granted(token)
    with pytest.raises(ValueError, match="visible ASCII"):
        Answer.granted("good", token)
    with pytest.raises(ValueError, match="visible ASCII"):
        Answer(meaning=Meaning.GRANTED, access=Secret(token))


def test_the_code_of_a_grant_is_not_looked_at() -> None:
    nonsense: Any = None
    granted = Answer.granted("good", code=nonsense)
    assert granted.without(Secret("good-refresh")) is granted
