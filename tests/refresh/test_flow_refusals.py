"""The flow with `next` and `send` alone: outages, refusals, and the end of a login."""

from typing import Any
from uuid import UUID

import pytest

from jwt_outbound import swaps
from jwt_outbound.clock import SECOND
from jwt_outbound.compare_and_swap import NOW as AT_THE_WRITE
from jwt_outbound.compare_and_swap import Now
from jwt_outbound.exceptions import (
    IssuerMisconfigured,
    IssuerUnavailable,
    RefreshTokenExpired,
    RefreshTokenRefused,
)
from jwt_outbound.issuers.answers import Answer
from jwt_outbound.refresh import steps
from jwt_outbound.refresh.words import Failure
from jwt_outbound.rows import IssuerHealth, Pair
from tests.refresh.pairs import (
    LEASE,
    LEASE_RAN_OUT,
    NOW,
    OVER,
    PRESENTED,
    a_pair,
    a_policy,
    a_reading,
    an_ask,
)
from tests.refresh.walking import Walk

REFUSED = Answer.refused("invalid_grant", status=400)
BARE_401 = Answer.refused("no_active_account", status=401, if_proven=True)
PROVEN = IssuerHealth(proven=True)


def asked(pair: Pair, answer: Answer, health: IssuerHealth = PROVEN) -> Walk:
    walk = Walk(policy=a_policy(replay_window=4 * SECOND))
    walk.exchange(a_reading(pair, health), answer)
    return walk


def failed(walk: Walk) -> Failure:
    assert walk.outcome is not None
    assert walk.outcome.failure is not None
    return walk.outcome.failure


class TestOutages:
    @pytest.mark.parametrize("ambiguous", [False, True])
    def test_only_what_may_have_spent_the_token_stays_in_the_journal(self, ambiguous: bool) -> None:
        pair = a_pair(OVER, failures=2)
        walk = asked(pair, Answer.unavailable(ambiguous=ambiguous, status=503))
        changes = walk.take(steps.Change, True).swap.changes
        assert changes["lease_until"] == 0
        assert changes["failures"] == 3
        assert changes["cooldown_until"].plus <= (SECOND if ambiguous else 8 * SECOND)
        assert ("presentations" in changes) is not ambiguous
        line = walk.take(steps.Record)
        assert (line.line["kind"], line.line["status"]) == ("unavailable", 503)
        failure = failed(walk)
        assert failure.kind is IssuerUnavailable
        assert failure.attributes["ambiguous"] is ambiguous
        assert failure.attributes["retry_after"] == changes["cooldown_until"].plus / SECOND

    def test_a_pairs_first_failure_counts_for_the_service(self) -> None:
        walk = asked(a_pair(OVER), Answer.unavailable(ambiguous=True), IssuerHealth(failures=2))
        walk.take(steps.Change, True)
        health = walk.take(steps.Health)
        assert isinstance(health.changes["cooling_until"], Now)

    @pytest.mark.parametrize("answer", [Answer.misconfigured("invalid_client"), BARE_401])
    def test_the_operators_fault_has_spent_nothing(self, answer: Answer) -> None:
        walk = asked(a_pair(OVER, PRESENTED), answer, IssuerHealth())
        changes = walk.take(steps.Change, True).swap.changes
        assert changes["presentations"] == 1
        assert walk.take(steps.Record).line["kind"] == "misconfigured"
        assert failed(walk).kind is IssuerMisconfigured
        assert f"code {answer.code}" in failed(walk).message


class TestARefusal:
    def refused(self, pair: Pair, answer: Answer = REFUSED) -> tuple[Walk, dict[str, Any]]:
        walk = asked(pair, answer)
        walk.take(steps.Read, a_reading(pair, PROVEN))
        swap = walk.take(steps.Change, True).swap
        assert swap.where == {"generation": 3, "refused_at": 0}
        return walk, dict(swap.changes)

    def test_is_committed_then_announced_then_marked_as_announced(self) -> None:
        walk, changes = self.refused(a_pair(OVER))
        assert (changes["reason"], changes["code"]) == ("refused", "invalid_grant")
        assert changes["refused_at"] is AT_THE_WRITE
        assert changes["refresh_at"] is AT_THE_WRITE  # a crash here is found by the fleet
        committed = walk.take(steps.Committed).outcome
        line = walk.take(steps.Record)
        said = walk.take(steps.Announce, True)
        assert (said.failed, said.reason, said.code) == (True, "refused", "invalid_grant")
        assert said.event_id == changes["event_id"] == line.line["id"]
        assert said.pair.generation == line.pair.generation == 3
        noted = walk.take(steps.Change, True).swap
        assert noted.where == {"generation": 3, "event_id": said.event_id}
        over = {"lease_until": 0, "refresh_at": None}
        assert noted.changes == {"announced_at": AT_THE_WRITE, **over}
        assert isinstance(walk.step, steps.Read)
        woken = Walk()
        woken.take(steps.Read, committed.reading)
        assert failed(woken).kind is RefreshTokenRefused

    def test_is_believed_from_a_proven_issuer_where_only_that_can_make_it(self) -> None:
        _, changes = self.refused(a_pair(OVER), BARE_401)
        assert (changes["reason"], changes["code"]) == ("refused", "no_active_account")

    def test_of_a_pair_that_was_replaced_meanwhile_is_nothing(self) -> None:
        walk = asked(a_pair(OVER), REFUSED)
        walk.take(steps.Read, a_reading(a_pair(OVER), PROVEN))
        walk.take(steps.Change, False)
        walk.take(steps.Read, a_reading(a_pair(generation=4)))
        assert walk.outcome is not None
        assert walk.outcome.failure is None

    def test_of_a_replay_whose_first_answer_was_lost_says_so(self) -> None:
        _, changes = self.refused(a_pair(OVER, PRESENTED))
        assert changes["reason"] == "rotation_lost"

    @pytest.mark.parametrize("earlier", [LEASE_RAN_OUT, {"unended": True}])
    def test_of_a_replay_whose_first_flight_may_come_back_is_held(
        self, earlier: dict[str, Any]
    ) -> None:
        pair = a_pair(OVER, PRESENTED, earlier)
        walk = asked(pair, REFUSED)
        held = walk.take(steps.Change, True).swap
        assert held == swaps.held(pair, LEASE, "invalid_grant")
        assert held.where == {"generation": 3, "refused_at": 0, "pending_until": 0}
        assert walk.take(steps.Change, True).swap == swaps.released(
            pair, spent=True, outcome="pending"
        )
        assert walk.take(steps.Record).line["kind"] == "pending"
        assert isinstance(walk.step, steps.Read)

    def test_while_logouts_are_suspended_it_is_held_and_leaves_no_trace_in_the_journal(
        self,
    ) -> None:
        pair = a_pair(OVER)
        walk = asked(pair, REFUSED)
        suspended = IssuerHealth(proven=True, suspended=True)
        walk.take(steps.Read, a_reading(pair, suspended))
        held = walk.take(steps.Change, True).swap
        assert held == swaps.held(pair, LEASE, "invalid_grant", "suspended")
        released = walk.take(steps.Change, True).swap
        assert released.changes["presented_generation"] == pair.presented_generation
        line = walk.take(steps.Record).line
        assert (line["kind"], line["reason"]) == ("pending", "suspended")
        pending = a_pair(OVER, {"pending_until": NOW + SECOND, "reason": "suspended"})
        walk.take(steps.Read, a_reading(pending, suspended))
        assert failed(walk).kind is IssuerUnavailable


class TestTheEndWithoutAsking:
    PENDING = {"pending_until": NOW, "code": "invalid_grant"}
    RUN_OUT = {"refresh_expires_at": NOW - 4000 * SECOND, "refresh_lifetime": 600 * SECOND}
    UNANNOUNCED = {
        "refused_at": NOW - SECOND,
        "reason": "expired",
        "code": "x",
        "event_id": UUID(int=5),
    }

    def concluded(self, *states: dict[str, Any], won: bool = True) -> Walk:
        walk = Walk(an_ask())
        walk.take(steps.Read, a_reading(a_pair(OVER, *states)))
        lease = walk.take(steps.Change, won).swap
        assert "presentations" not in lease.changes, "nothing is presented"
        return walk

    @pytest.mark.parametrize(
        ("state", "reason", "code"),
        [(PENDING, "rotation_lost", "invalid_grant"), (RUN_OUT, "expired", "")],
    )
    def test_is_marked_and_announced_by_the_one_who_has_the_lease(
        self, state: dict[str, Any], reason: str, code: str
    ) -> None:
        walk = self.concluded(state)
        changes = walk.take(steps.Change, True).swap.changes
        assert (changes["reason"], changes["code"]) == (reason, code)
        walk.take(steps.Committed)
        walk.take(steps.Record)
        assert walk.take(steps.Announce, True).reason == reason

    def test_the_other_reads_again(self) -> None:
        walk = self.concluded(self.RUN_OUT, won=False)
        ended = {"refused_at": NOW, "announced_at": NOW, "reason": "expired"}
        walk.take(steps.Read, a_reading(a_pair(OVER, ended)))
        assert failed(walk).kind is RefreshTokenExpired

    def test_what_a_crash_left_unannounced_is_announced_with_the_same_id(self) -> None:
        walk = self.concluded(self.UNANNOUNCED)
        said = walk.take(steps.Announce, True)
        assert (said.event_id, said.reason, said.code) == (UUID(int=5), "expired", "x")
        walk.take(steps.Change, True)
        assert isinstance(walk.step, steps.Read)

    def test_it_stays_unannounced_where_a_receiver_failed_that_must_not(self) -> None:
        walk = self.concluded(self.UNANNOUNCED)
        walk.take(steps.Announce, False)
        assert isinstance(walk.step, steps.Read)

    def test_it_is_for_those_who_ask_ahead_too(self) -> None:
        walk = Walk(an_ask(ahead=True))
        walk.take(steps.Read, a_reading(a_pair(OVER, self.RUN_OUT)))
        assert "presentations" not in walk.take(steps.Change, True).swap.changes
        assert walk.take(steps.Change, True).swap.changes["reason"] == "expired"
