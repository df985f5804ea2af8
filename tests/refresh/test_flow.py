"""The flow with `next` and `send` alone: the way of a refresh that the issuer grants."""

import pytest

from jwt_outbound import swaps
from jwt_outbound.clock import SECOND
from jwt_outbound.compare_and_swap import NEXT, OVER, Now
from jwt_outbound.exceptions import RefreshInProgress, TokenPairNotFound
from jwt_outbound.issuers.answers import Answer
from jwt_outbound.refresh import steps
from jwt_outbound.rows import IssuerHealth
from tests.refresh.pairs import (
    EXPIRED,
    HERE,
    LEASE,
    LEASE_RAN_OUT,
    LEASED,
    NOW,
    PRESENTED,
    STALE,
    UNKNOWN,
    a_pair,
    a_policy,
    a_reading,
    an_ask,
)
from tests.refresh.pairs import (
    OVER as RUN_OVER,
)
from tests.refresh.walking import PREPARED, Walk

PROVEN = IssuerHealth(proven=True)
GRANTED = Answer.granted("new", "next", expires_in=300)


class TestReading:
    def test_a_good_token_needs_nothing(self) -> None:
        walk = Walk()
        reading = a_reading(a_pair())
        walk.take(steps.Read, reading)
        assert walk.outcome == steps.Outcome(reading=reading)

    def test_a_stale_one_is_refreshed_only_for_those_who_ask_ahead(self) -> None:
        waiting, ahead = Walk(), Walk(an_ask(ahead=True))
        for walk in (waiting, ahead):
            walk.take(steps.Read, a_reading(a_pair(STALE)))
        assert waiting.outcome is not None
        assert isinstance(ahead.step, steps.Prepare)

    def test_a_row_that_only_the_caller_sees_is_his(self) -> None:
        for seen in (None, a_pair(EXPIRED, generation=2)):
            walk = Walk(an_ask(generation=3))
            walk.take(steps.Read, a_reading(seen))
            assert walk.outcome is not None
            assert walk.outcome.yours

    def test_nobodys_row_is_not_found(self) -> None:
        walk = Walk(an_ask(generation=-1))
        walk.take(steps.Read, a_reading(None))
        assert walk.outcome is not None
        assert walk.outcome.failure is not None
        assert walk.outcome.failure.kind is TokenPairNotFound

    def test_for_a_first_pair_a_row_is_made_and_read_again(self) -> None:
        walk = Walk(an_ask(generation=-1), a_policy(makes_first_pair=True))
        walk.take(steps.Read, a_reading(None))
        walk.take(steps.Insert)
        empty = a_pair(UNKNOWN, generation=0, access_sealed=b"", refresh_sealed=b"")
        assert walk.exchange(a_reading(empty), GRANTED).first


class TestLeasing:
    def test_the_lease_is_fenced_and_is_the_journal_too(self) -> None:
        walk = Walk()
        walk.take(steps.Read, a_reading(a_pair(EXPIRED, LEASE_RAN_OUT, PRESENTED, RUN_OVER)))
        walk.take(steps.Prepare, PREPARED)
        change = walk.take(steps.Change, True)
        fences = {"generation": 3, "lease_id": 7, "lease_until": OVER}
        assert change.swap.where.items() >= fences.items()
        assert change.swap.changes == {
            "lease_id": NEXT,
            "lease_until": Now(LEASE),
            "lease_host": "here",
            "lease_pid": 1,
            "presented_generation": 3,
            "presented_at": Now(),
            "presentations": 2,
            "unended": True,
        }

    def test_who_loses_it_reads_again(self) -> None:
        walk = Walk()
        walk.take(steps.Read, a_reading(a_pair(EXPIRED)))
        walk.take(steps.Prepare, PREPARED)
        walk.take(steps.Change, False)
        walk.take(steps.Read, a_reading(a_pair(generation=4)))
        assert walk.outcome is not None
        assert walk.outcome.failure is None

    def test_another_ones_lease_is_waited_for_in_growing_pauses(self) -> None:
        walk = Walk()
        pauses = []
        for _ in range(20):
            walk.take(steps.Read, a_reading(a_pair(EXPIRED, LEASED)))
            pauses.append(walk.take(steps.Pause).length)
            walk.pass_time(pauses[-1] / SECOND)
        assert all(0.005 * SECOND <= pause <= 0.2 * SECOND for pause in pauses)
        assert max(pauses[:2]) < min(pauses[-5:])
        walk.pass_time(15)
        walk.take(steps.Read, a_reading(a_pair(EXPIRED, LEASED)))
        assert 0.1 * SECOND <= walk.take(steps.Pause).length <= 0.2 * SECOND

    def test_ahead_nobody_waits(self) -> None:
        walk = Walk(an_ask(ahead=True))
        walk.take(steps.Read, a_reading(a_pair(EXPIRED, LEASED)))
        assert walk.outcome is not None

    @pytest.mark.parametrize("arrived", [False, True])
    def test_before_giving_up_it_reads_once_more(self, arrived: bool) -> None:
        walk = Walk()
        walk.take(steps.Read, a_reading(a_pair(EXPIRED, LEASED)))
        walk.pass_time(20)
        walk.take(steps.Pause)
        walk.take(
            steps.Read, a_reading(a_pair(generation=4) if arrived else a_pair(RUN_OVER, LEASED))
        )
        assert walk.outcome is not None
        failure = walk.outcome.failure
        assert (failure is None) if arrived else (failure and failure.kind is RefreshInProgress)

    def test_the_last_pause_ends_with_the_budget(self) -> None:
        walk = Walk()
        walk.pass_time(19.999)
        walk.take(steps.Read, a_reading(a_pair(EXPIRED, LEASED)))
        assert walk.take(steps.Pause).length <= SECOND // 1000


class TestAsking:
    def test_nothing_may_be_sent_when_the_lease_is_too_old_for_the_deadline(self) -> None:
        walk = Walk(policy=a_policy(lease=12 * SECOND, deadline=8 * SECOND))
        walk.take(steps.Read, a_reading(a_pair(EXPIRED)))
        walk.pass_time(1)
        walk.take(steps.Prepare, PREPARED)
        walk.pass_time(3)
        walk.take(steps.Change, True)
        assert isinstance(walk.step, steps.Exchange)
        assert walk.step.start_by == HERE + SECOND + 4 * SECOND
        assert not walk.step.first

    def test_what_was_not_sent_is_as_if_it_had_not_been_leased(self) -> None:
        pair = a_pair(RUN_OVER, PRESENTED)
        walk = Walk()
        walk.exchange(a_reading(pair), None)
        change = walk.take(steps.Change, True)
        assert change.swap == swaps.released(pair, spent=False, outcome="unsent")
        assert change.swap.changes["presentations"] == 1
        assert walk.take(steps.Record).line["kind"] == "unsent"
        assert isinstance(walk.step, steps.Read)


class TestSaving:
    def walk(self, **health: bool) -> Walk:
        walk = Walk()
        walk.exchange(a_reading(a_pair(EXPIRED), IssuerHealth(**health)), GRANTED)
        return walk

    def test_the_save_comes_first_and_is_fenced_on_the_generation_alone(self) -> None:
        walk = self.walk(proven=True)
        save = walk.take(steps.Save, True)
        assert save.swap.where == {"generation": 3}
        assert save.swap.changes["generation"] is NEXT
        assert save.swap.changes["access_sealed"] == b"access:new"
        assert save.swap.changes["expires_at"] == NOW + 300 * SECOND
        committed = walk.take(steps.Committed)
        line = walk.take(steps.Record)
        said = walk.take(steps.Announce, True)
        assert walk.outcome == committed.outcome
        assert walk.outcome.reading.pair is not None
        assert walk.outcome.reading.pair.generation == line.pair.generation == 4
        assert (line.line["kind"], line.line["reason"]) == ("refreshed", "expired")
        assert line.line["duration_ms"] == 1000
        assert (said.failed, said.reason, said.event_id) == (False, "expired", line.line["id"])

    def test_the_first_success_proves_the_issuer(self) -> None:
        walk = self.walk()
        walk.take(steps.Save, True)
        walk.take(steps.Committed)
        assert walk.take(steps.Health).changes["proven"]

    def test_an_answer_that_cannot_be_stored_is_never_let_go(self) -> None:
        walk = self.walk()
        pauses = []
        for _ in range(50):
            walk.take(steps.Save, None)
            walk.take(steps.Settle, None)
            walk.pass_time(60)
            pauses.append(walk.take(steps.Pause).length)
        assert max(pauses) <= SECOND
        walk.take(steps.Save, True)
        assert isinstance(walk.step, steps.Committed)

    def test_a_commit_whose_fate_is_unknown_is_settled_by_reading(self) -> None:
        walk = self.walk()
        walk.take(steps.Save, None)
        ours = a_pair(generation=4, access_sealed=b"access:new")
        walk.take(steps.Settle, a_reading(ours))
        assert isinstance(walk.step, steps.Committed)

    def test_one_that_did_not_happen_is_tried_again(self) -> None:
        walk = self.walk()
        walk.take(steps.Save, None)
        walk.take(steps.Settle, a_reading(a_pair(EXPIRED)))
        walk.take(steps.Pause)
        assert isinstance(walk.step, steps.Save)

    @pytest.mark.parametrize("deleted", [False, True])
    def test_a_newer_pair_stays(self, deleted: bool) -> None:
        walk = self.walk()
        walk.take(steps.Save, False)
        walk.take(steps.Settle, a_reading(None if deleted else a_pair(generation=4)))
        assert walk.take(steps.Record).line["kind"] == "superseded"
        assert isinstance(walk.step, steps.Read)

    def test_a_pair_that_was_revoked_meanwhile_has_its_successor_revoked(self) -> None:
        walk = self.walk()
        walk.take(steps.Save, False)
        walk.take(steps.Settle, a_reading(a_pair(generation=4, revoked_at=NOW)))
        walk.take(steps.Record)
        assert walk.take(steps.Revoke).answer is GRANTED
        assert isinstance(walk.step, steps.Read)


class TestWhy:
    @pytest.mark.parametrize(
        ("asked", "state", "reason"),
        [({}, EXPIRED, "expired"), ({"ahead": True}, STALE, "stale"),
         ({"rejected": 3}, {}, "rejected"), ({"rejected": 3, "ahead": True}, {}, "rejected")],
    )  # fmt: skip
    def test_a_refresh_has_a_reason(
        self, asked: dict[str, object], state: dict[str, object], reason: str
    ) -> None:
        walk = Walk(an_ask(**asked))
        walk.exchange(a_reading(a_pair(state), PROVEN), GRANTED)
        walk.take(steps.Save, True)
        walk.take(steps.Committed)
        assert walk.take(steps.Record).line["reason"] == reason

    def test_a_401_teaches_the_lifetime_of_a_token_that_told_none(self) -> None:
        opaque = Answer.granted("new", "next")
        for known, learned in ((None, 100), (30, 30), (500, 100)):
            old = None if known is None else known * SECOND
            walk = Walk(an_ask(rejected=3))
            walk.exchange(a_reading(a_pair(UNKNOWN, learned_lifetime=old), PROVEN), opaque)
            changes = walk.take(steps.Save, True).swap.changes
            assert changes["learned_lifetime"] == changes["lifetime"] == learned * SECOND
