"""The strict issuer is itself the measure of the other tests, so it is measured here."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import jwt
import pytest
import requests

from tests.issuer_server import StrictIssuer, fingerprint, serve
from tests.issuer_server.book import Book
from tests.issuer_server.knobs import Clock, Knobs
from tests.issuer_server.records import Account, Outcome


@pytest.fixture
def issuer() -> Iterator[StrictIssuer]:
    with serve() as serving:
        yield serving


def refresh(issuer: StrictIssuer, token: str) -> requests.Response:
    return requests.post(issuer.refresh_url, json={"refresh": token}, timeout=10)


def claims(token: str) -> dict[str, object]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def call(issuer: StrictIssuer, access: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {access}"}
    return requests.get(f"{issuer.base_url}me", headers=headers, timeout=10)


class TestSingleUse:
    def test_a_refresh_rotates_and_numbers_the_generations(self, issuer: StrictIssuer) -> None:
        first = issuer.pair_for("alice")
        second = refresh(issuer, first["refresh"]).json()
        third = refresh(issuer, second["refresh"]).json()
        pairs = (first, second, third)
        assert [claims(pair["access"])["number"] for pair in pairs] == [1, 2, 3]
        assert [issuer.times_presented("alice", number) for number in (1, 2, 3)] == [1, 1, 0]
        assert issuer.reuses() == 0

    @pytest.mark.parametrize("callers", [2, 16])
    def test_of_presentations_at_once_one_is_granted_and_the_family_dies(
        self, issuer: StrictIssuer, callers: int
    ) -> None:
        token = issuer.pair_for("alice")["refresh"]
        issuer.hold(until=callers)
        with ThreadPoolExecutor(callers) as pool:
            answers = list(pool.map(lambda _: refresh(issuer, token), range(callers)))
        granted = [answer.json() for answer in answers if answer.status_code == 200]
        assert len(granted) == 1
        assert issuer.families("alice")[0]["ended"] == "reuse"
        assert issuer.most_presented() == issuer.times_presented("alice", 1) == callers
        assert issuer.reuses() == callers - 1
        assert refresh(issuer, granted[0]["refresh"]).status_code == 401

    def test_nobody_else_is_let_in_between_the_look_and_the_spending(self) -> None:
        book, knobs = Book(), Knobs()
        token = book.open_family(Account("1", "alice", ""), time.time(), knobs).refresh
        now = _Meeting(time.time())
        now.barrier = threading.Barrier(2)
        with ThreadPoolExecutor(2) as pool:
            spent = list(pool.map(lambda _: book.spend(token, now, knobs), range(2)))
        assert {each.outcome for each in spent} == {Outcome.GRANTED, Outcome.REUSED}
        assert now.barrier.broken, "two looked at the token at once"

    def test_another_login_of_the_user_lives_on(self, issuer: StrictIssuer) -> None:
        lost, kept = issuer.pair_for("alice"), issuer.pair_for("alice")
        refresh(issuer, lost["refresh"])
        assert refresh(issuer, lost["refresh"]).status_code == 401
        assert refresh(issuer, kept["refresh"]).status_code == 200

    def test_the_record_has_fingerprints_in_order_and_no_token(self, issuer: StrictIssuer) -> None:
        first = issuer.pair_for("alice")["refresh"]
        second = refresh(issuer, first).json()["refresh"]
        for token in (second, second, "made up"):
            refresh(issuer, token)
        seen = issuer.presentations()
        assert [each["fingerprint"] for each in seen] == [
            fingerprint(token) for token in (first, second, second, "made up")
        ]
        assert [each["outcome"] for each in seen] == ["granted", "granted", "reused", "unknown"]
        assert [each["user"] for each in seen] == ["alice", "alice", "alice", None]
        assert second not in repr(seen)


class _Meeting(float):
    """A time at which those who look at it wait for one another, or give up for good."""

    barrier: threading.Barrier

    def __ge__(self, other: float) -> bool:
        with suppress(threading.BrokenBarrierError):
            self.barrier.wait(0.2)
        return super().__ge__(other)


class TestGrace:
    def test_within_it_the_same_pair_comes_again(self, issuer: StrictIssuer) -> None:
        issuer.configure(grace=60)
        token = issuer.pair_for("alice")["refresh"]
        assert refresh(issuer, token).json() == refresh(issuer, token).json()
        issuer.advance(61)
        assert refresh(issuer, token).status_code == 401
        assert issuer.families("alice")[0]["ended"] == "reuse"

    def test_fresh_pairs_within_it_are_both_good(self, issuer: StrictIssuer) -> None:
        issuer.configure(grace=60, grace_answer="fresh")
        token = issuer.pair_for("alice")["refresh"]
        siblings = [refresh(issuer, token).json()["refresh"] for _ in range(2)]
        assert len(set(siblings)) == 2
        assert [refresh(issuer, sibling).status_code for sibling in siblings] == [200, 200]

    def test_it_ends_when_the_successor_is_spent(self, issuer: StrictIssuer) -> None:
        issuer.configure(grace=60)
        token = issuer.pair_for("alice")["refresh"]
        refresh(issuer, refresh(issuer, token).json()["refresh"])
        assert refresh(issuer, token).status_code == 401
        assert issuer.reuses() == 1


class TestKnobs:
    def test_without_rotation_the_refresh_token_stays(self, issuer: StrictIssuer) -> None:
        issuer.configure(rotate=False)
        token = issuer.pair_for("alice")["refresh"]
        answers = [refresh(issuer, token).json() for _ in range(2)]
        assert [set(answer) for answer in answers] == [{"access"}, {"access"}]
        assert [claims(answer["access"])["number"] for answer in answers] == [2, 3]

    def test_tokens_run_out_on_the_issuers_clock(self, issuer: StrictIssuer) -> None:
        issuer.configure(lifetime=60, refresh_lifetime=600)
        pair = issuer.pair_for("alice")
        assert call(issuer, pair["access"]).status_code == 200
        issuer.advance(61)
        assert call(issuer, pair["access"]).status_code == 401
        issuer.advance(600)
        assert refresh(issuer, pair["refresh"]).json()["detail"] == "Token is expired"

    def test_one_pair_can_be_made_expired(self, issuer: StrictIssuer) -> None:
        pair = issuer.pair_for("alice", lifetime=-10)
        assert call(issuer, pair["access"]).status_code == 401
        assert refresh(issuer, pair["refresh"]).status_code == 200

    def test_a_skewed_clock_shows_in_the_claims(self, issuer: StrictIssuer) -> None:
        issuer.set_clock(skew=-3600)
        issued_at = claims(issuer.pair_for("alice")["access"])["iat"]
        assert isinstance(issued_at, int)
        assert -3700 < issued_at - time.time() < -3500

    def test_a_drifting_clock_gains(self) -> None:
        clock = Clock()
        clock.set(drift=1e12)
        assert clock.now() - time.time() > 3600
        clock.set(skew=0, drift=0)
        assert abs(clock.now() - time.time()) < 60

    def test_iat_and_other_claims_can_be_left_out_or_laid_over(self, issuer: StrictIssuer) -> None:
        issuer.configure(iat=False, claims={"exp": "soon", "jti": None})
        access = issuer.pair_for("alice")["access"]
        assert claims(access).keys() & {"iat", "jti"} == set()
        assert claims(access)["exp"] == "soon"
        assert call(issuer, access).status_code == 200

    def test_opaque_tokens(self, issuer: StrictIssuer) -> None:
        issuer.configure(opaque=True)
        pair = refresh(issuer, issuer.pair_for("alice")["refresh"]).json()
        assert "." not in pair["access"] + pair["refresh"]
        assert call(issuer, pair["access"]).json()["token_number"] == 2

    def test_expires_in_is_told_when_asked_for(self, issuer: StrictIssuer) -> None:
        token = issuer.pair_for("alice")["refresh"]
        plain = refresh(issuer, token).json()
        issuer.configure(expires_in=True, lifetime=15)
        assert "expires_in" not in plain
        assert refresh(issuer, plain["refresh"]).json()["expires_in"] == 15

    def test_an_unknown_knob_is_an_error(self, issuer: StrictIssuer) -> None:
        with pytest.raises(TypeError, match="lifetimes"):
            issuer.configure(lifetimes=3)


class TestUsers:
    def test_a_refused_user_spends_nothing(self, issuer: StrictIssuer) -> None:
        token = issuer.pair_for("alice")["refresh"]
        issuer.refuse("alice")
        assert refresh(issuer, token).json()["code"] == "token_not_valid"
        issuer.refuse("alice", on=False)
        assert refresh(issuer, token).status_code == 200

    def test_a_deactivated_user(self, issuer: StrictIssuer) -> None:
        pair = issuer.pair_for("alice")
        issuer.set_active("alice", False)
        assert call(issuer, pair["access"]).json()["code"] == "user_inactive"
        assert refresh(issuer, pair["refresh"]).status_code == 401
        issuer.set_active("alice", True)
        assert refresh(issuer, pair["refresh"]).status_code == 200

    def test_revoked_logins_keep_their_access_tokens_unless_told(
        self, issuer: StrictIssuer
    ) -> None:
        pair = issuer.pair_for("alice")
        issuer.revoke("alice")
        assert refresh(issuer, pair["refresh"]).status_code == 401
        assert call(issuer, pair["access"]).status_code == 200
        issuer.reject_access("alice")
        assert call(issuer, pair["access"]).status_code == 401

    def test_old_access_dies_with_the_rotation_when_told(self, issuer: StrictIssuer) -> None:
        issuer.configure(access_dies_early=True)
        old = issuer.pair_for("alice")
        new = refresh(issuer, old["refresh"]).json()
        statuses = [call(issuer, pair["access"]).status_code for pair in (old, new)]
        assert statuses == [401, 200]

    def test_a_user_who_does_not_exist_is_named(self, issuer: StrictIssuer) -> None:
        with pytest.raises(LookupError, match="no user 'nobody'"):
            issuer.refuse("nobody")
