"""Design 3.4 the whole way: what the issuer says over HTTP, and what caller and row then have."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.models import User

from jwt_outbound.exceptions import (
    IssuerMisconfigured,
    IssuerUnavailable,
    JWTOutboundError,
    RefreshTokenRefused,
)
from jwt_outbound.models import IssuerState, TokenPair, TokenPairEvent
from jwt_outbound.rows import Pair
from jwt_outbound.testing import shift_clock
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import EXPIRED_AFTER, OVER_AFTER, Configure, Heard
from tests.issuer_server import StrictIssuer

pytestmark = pytest.mark.django_db(transaction=True)

Row = Callable[[], Pair]
DRF = {"WWW-Authenticate": 'Bearer realm="api"'}
DETAIL = '{"detail": "No active account found for the given token."}'


class Answer(NamedTuple):
    """An order to the issuer, and the code that the row and the exception then show."""

    mode: str | int
    code: str = ""
    body: str | None = None
    headers: dict[str, str] = {}

    def order(self, issuer: StrictIssuer, times: int | None = 1) -> None:
        issuer.fail(self.mode, times=times, body=self.body, headers=self.headers, seconds=60)

    def __str__(self) -> str:
        return f"{self.mode} {self.code}".strip()


def coded(status: int, code: str, field: str = "error") -> Answer:
    return Answer(status, code, f'{{"{field}": "{code}"}}')


REFUSALS = [
    coded(400, "invalid_grant"),
    coded(401, "token_not_valid", "code"),
    coded(401, "password_changed", "code"),
    coded(200, "token_not_valid", "code"),
]
OPERATORS_FAULTS = [
    coded(401, "invalid_client"),
    coded(400, "unauthorized_client"),
    coded(400, "unsupported_grant_type"),
    coded(400, "invalid_scope"),
    Answer(404),
    Answer(405),
    Answer(302, headers={"Location": "/elsewhere/"}),
    Answer(308, headers={"Location": "/elsewhere/"}),
]
BUSY = [Answer(425), Answer(429), Answer(429, headers={"Retry-After": "30"})]
UNCLEAR = [
    Answer(408),
    Answer(409),
    Answer(500),
    Answer(502),
    Answer(503, headers={"Retry-After": "30"}),
    coded(500, "invalid_grant"),
    Answer(401),
    Answer(403, body="<h1>Forbidden</h1>"),
    coded(400, "temporarily_unavailable"),
    Answer(200),
    Answer(200, body='{"access": "no token"}'),
    Answer("html"),
    Answer("garbage"),
    Answer("empty"),
    Answer("huge", "oversized"),
    Answer("huge-chunked", "oversized"),
    Answer("drop-before", "connection_lost"),
]
each = pytest.mark.parametrize


def fetch(user: User) -> str:
    return fetch_valid_access_token("billing", user)


def failing(user: User, kind: type[JWTOutboundError]) -> Any:
    with pytest.raises(JWTOutboundError) as caught:
        fetch(user)
    assert type(caught.value) is kind
    assert (caught.value.service, caught.value.user_id) == ("billing", user.pk)
    return caught.value


def last_line() -> TokenPairEvent:
    return TokenPairEvent.objects.order_by("-at").first()


@pytest.mark.usefixtures("stored")
class TestEachAnswer:
    @each("answer", REFUSALS, ids=str)
    def test_refused(
        self, user: User, row: Row, issuer: StrictIssuer, heard: Heard, answer: Answer
    ) -> None:
        answer.order(issuer)
        shift_clock(EXPIRED_AFTER)
        error = failing(user, RefreshTokenRefused)
        assert (error.reason, error.code) == ("refused", answer.code)
        assert (row().reason, row().code) == ("refused", answer.code)
        assert [name for name, _ in heard] == ["failed"]
        assert last_line().kind == "refused"

    @each("answer", OPERATORS_FAULTS, ids=str)
    def test_misconfigured(
        self, user: User, row: Row, issuer: StrictIssuer, heard: Heard, answer: Answer
    ) -> None:
        answer.order(issuer)
        shift_clock(OVER_AFTER)
        error = failing(user, IssuerMisconfigured)
        assert 0 < error.retry_after <= 15
        assert f"status {answer.mode}" in str(error)
        pair = row()
        assert (pair.presented, pair.presentations, pair.failures) == (False, 0, 1)
        assert last_line().kind == "misconfigured"
        self._nobody_is_logged_out_and_all_is_well_again(user, issuer, heard, after=15)

    @each("answer", BUSY, ids=str)
    def test_unavailable(
        self, user: User, row: Row, issuer: StrictIssuer, heard: Heard, answer: Answer
    ) -> None:
        answer.order(issuer)
        shift_clock(OVER_AFTER)
        error = failing(user, IssuerUnavailable)
        longest = int(answer.headers.get("Retry-After", 2))
        assert (error.ambiguous, 0.7 * longest < error.retry_after <= longest) == (False, True)
        pair = row()
        assert (pair.presented, pair.presentations) == (False, 0)
        assert (last_line().kind, last_line().ambiguous) == ("unavailable", False)
        self._nobody_is_logged_out_and_all_is_well_again(user, issuer, heard, after=longest)

    @each("answer", UNCLEAR, ids=str)
    def test_ambiguous(
        self, user: User, row: Row, issuer: StrictIssuer, heard: Heard, answer: Answer
    ) -> None:
        answer.order(issuer)
        shift_clock(OVER_AFTER)
        error = failing(user, IssuerUnavailable)
        longest = int(answer.headers.get("Retry-After", 2))
        assert (error.ambiguous, 0.7 * longest < error.retry_after <= longest) == (True, True)
        pair = row()
        assert (pair.presented, pair.presentations, pair.unended) == (True, 1, False)
        line = last_line()
        assert (line.kind, line.ambiguous, line.code) == ("unavailable", True, answer.code)
        self._nobody_is_logged_out_and_all_is_well_again(user, issuer, heard, after=longest)

    def _nobody_is_logged_out_and_all_is_well_again(
        self, user: User, issuer: StrictIssuer, heard: Heard, *, after: int
    ) -> None:
        """In the cool-down nothing is sent; then the same refresh token works."""
        asked = len(issuer.presentations())
        assert 0 < failing(user, IssuerUnavailable).retry_after <= after
        assert len(issuer.presentations()) == asked
        assert heard == []
        shift_clock(after)
        assert fetch(user)
        assert [name for name, _ in heard] == ["refreshed"]
        pair = TokenPair.objects.get()
        assert (pair.generation, pair.failures, pair.cooldown_until) == (2, 0, 0)


@pytest.mark.usefixtures("stored")
class TestWhereNobodyAnswers:
    @each("url", ["http://127.0.0.1:1/", "http://nowhere.invalid/", "https://127.0.0.1:1/"])
    def test_nothing_was_sent(
        self,
        user: User,
        row: Row,
        issuer: StrictIssuer,
        configure: Configure,
        heard: Heard,
        url: str,
    ) -> None:
        configure(OPTIONS={"refresh_url": url})
        shift_clock(OVER_AFTER)
        assert not failing(user, IssuerUnavailable).ambiguous
        assert (row().presented, heard) == (False, [])
        configure(OPTIONS=issuer.options)
        shift_clock(3)
        assert fetch(user)

    def test_an_issuer_that_restarts(self, user: User, issuer: StrictIssuer) -> None:
        issuer.stop()
        shift_clock(OVER_AFTER)
        assert not failing(user, IssuerUnavailable).ambiguous
        issuer.start()
        shift_clock(3)
        assert fetch(user)
        assert issuer.most_presented() == 1


@pytest.mark.usefixtures("stored")
class TestADeactivatedUser:
    def test_is_refused_by_an_issuer_that_has_refreshed_before(
        self, user: User, issuer: StrictIssuer, heard: Heard, later: Callable[[float], None]
    ) -> None:
        later(EXPIRED_AFTER)
        fetch(user)
        issuer.set_active("alice", False)
        later(EXPIRED_AFTER)
        error = failing(user, RefreshTokenRefused)
        assert (error.reason, error.code) == ("refused", "no_active_account")
        assert [name for name, _ in heard] == ["refreshed", "failed"]

    def test_looks_like_a_wrong_url_before(
        self, user: User, issuer: StrictIssuer, heard: Heard
    ) -> None:
        assert not IssuerState.objects.health("billing").proven
        Answer(401, body=DETAIL, headers=DRF).order(issuer)
        shift_clock(OVER_AFTER)
        failing(user, IssuerMisconfigured)
        assert heard == []
