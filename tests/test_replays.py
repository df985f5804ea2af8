"""A lost answer: when the same refresh token is shown a second time, and when it is not."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from jwt_outbound.exceptions import IssuerUnavailable, RefreshTokenRefused
from jwt_outbound.rows import Pair
from jwt_outbound.testing import drain, shift_clock
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import OVER_AFTER, STALE_AFTER, Configure, Heard
from tests.issuer_server import StrictIssuer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("stored"),
]

Row = Callable[[], Pair]
Later = Callable[[float], None]
AFTER_ROTATION = ["drop-after", "drip", "truncate", "slow"]


def fetch(user: User) -> str:
    return fetch_valid_access_token("billing", user)


def fetch_ahead(user: User) -> str:
    """Also waits for the refresh that it has started."""
    token = fetch(user)
    assert drain()
    return token


@pytest.fixture
def forgiving(issuer: StrictIssuer, configure: Configure) -> None:
    """The issuer answers a spent token once more for a minute, and we know it."""
    issuer.configure(grace=60)
    configure(REPLAY_WINDOW=60)


class TestWithoutAWindow:
    def test_while_the_access_token_serves_nobody_risks_a_second_showing(
        self, user: User, row: Row, issuer: StrictIssuer, heard: Heard, later: Later
    ) -> None:
        issuer.fail("drop-after")
        later(STALE_AFTER)
        tokens = {fetch_ahead(user)}
        for _ in range(4):
            later(4)
            tokens.add(fetch_ahead(user))
        assert len(tokens) == 1
        assert (issuer.times_presented("alice", 1), heard) == (1, [])
        assert row().presented

    def test_when_it_is_over_the_token_is_shown_again_and_the_refusal_says_why(
        self, user: User, issuer: StrictIssuer, heard: Heard
    ) -> None:
        issuer.fail("drop-after")
        shift_clock(OVER_AFTER)
        with pytest.raises(IssuerUnavailable) as lost:
            fetch(user)
        assert lost.value.ambiguous
        shift_clock(3)
        with pytest.raises(RefreshTokenRefused) as caught:
            fetch(user)
        assert caught.value.reason == "rotation_lost"
        assert [(name, said["reason"]) for name, said in heard] == [("failed", "rotation_lost")]
        assert issuer.families("alice")[0]["ended"] == "reuse"

    def test_an_outage_that_had_not_rotated_is_over_when_it_is_over(
        self, user: User, issuer: StrictIssuer, heard: Heard
    ) -> None:
        issuer.fail("drop-before", times=3)
        shift_clock(OVER_AFTER)
        for _ in range(3):
            with pytest.raises(IssuerUnavailable):
                fetch(user)
            shift_clock(60)
        assert fetch(user)
        assert [name for name, _ in heard] == ["refreshed"]
        assert issuer.times_presented("alice", 1) == 4


@pytest.mark.usefixtures("forgiving")
class TestInsideTheWindow:
    @pytest.mark.parametrize("mode", AFTER_ROTATION)
    def test_a_lost_answer_is_not_noticed_by_the_user(
        self, user: User, row: Row, issuer: StrictIssuer, heard: Heard, later: Later, mode: str
    ) -> None:
        issuer.fail(mode, seconds=0.3 if mode != "slow" else 60)
        later(STALE_AFTER)
        fetch_ahead(user)
        assert (row().generation, row().presented) == (1, True)
        later(3)
        fetch_ahead(user)
        assert (row().generation, row().presented) == (2, False)
        assert [name for name, _ in heard] == ["refreshed"]
        assert [each["outcome"] for each in issuer.presentations()] == ["granted", "grace"]

    def test_there_is_one_replay_while_the_access_token_serves(
        self, user: User, issuer: StrictIssuer, later: Later
    ) -> None:
        issuer.fail("drop-after", times=2)
        later(STALE_AFTER)
        for _ in range(4):
            fetch_ahead(user)
            later(4)
        assert issuer.times_presented("alice", 1) == 2

    def test_after_it_the_token_is_not_shown_while_another_serves(
        self, user: User, configure: Configure, issuer: StrictIssuer, later: Later
    ) -> None:
        configure(REPLAY_WINDOW=10)
        issuer.fail("drop-after")
        later(STALE_AFTER)
        fetch_ahead(user)
        later(11)
        fetch_ahead(user)
        assert issuer.times_presented("alice", 1) == 1
        later(OVER_AFTER - STALE_AFTER - 11)
        assert fetch(user)
        assert issuer.times_presented("alice", 1) == 2


def test_a_rejected_token_has_nothing_left_to_lose(
    user: User, issuer: StrictIssuer, later: Later, stored: dict[str, str]
) -> None:
    issuer.fail("drop-before")
    later(60)
    for attempt in ("lost", "replayed"):
        if attempt == "lost":
            with pytest.raises(IssuerUnavailable):
                fetch_valid_access_token("billing", user, rejected=stored["access"])
        else:
            later(3)
            assert fetch_valid_access_token("billing", user, rejected=stored["access"])
    assert issuer.times_presented("alice", 1) == 2
