"""The refresh, written once and without I/O: a generator of steps (design section 3.3).

Whoever drives it carries the steps out and sends back what came of them: the driver on a real
database and issuer, the simulation on models of both. Nothing in here blocks, sleeps or knows a
clock but the `monotonic` that it is given; all times are microseconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final
from uuid import UUID

from jwt_outbound import swaps
from jwt_outbound.clock import SECOND
from jwt_outbound.compare_and_swap import Swap, applied
from jwt_outbound.issuers.answers import Answer, Meaning
from jwt_outbound.refresh import steps
from jwt_outbound.refresh.budget import in_budget, take_place
from jwt_outbound.refresh.columns import learned_lifetime, new_columns
from jwt_outbound.refresh.cooldown import cooldown, due_after, is_shaky, service_changes
from jwt_outbound.refresh.decisions import presentable_until
from jwt_outbound.refresh.failures import in_progress, of_answer
from jwt_outbound.refresh.persisting import FIRST_PAUSE, jittered, persist
from jwt_outbound.refresh.steps import Flow, Outcome, Prepared, Reply
from jwt_outbound.refresh.words import Act, Ask, Policy
from jwt_outbound.rows import SUSPENDED, Pair, Reading

LONGEST_PAUSE: Final = SECOND // 5


@dataclass(frozen=True, kw_only=True)
class Refresh:
    """One flight's work: `run()` is the flow."""

    ask: Ask
    policy: Policy
    monotonic: Callable[[], int]
    chance: Random
    """For jitter and event ids."""
    holder: Mapping[str, Any]
    """Who takes the lease, for display."""

    def run(self) -> Flow[Outcome]:
        """From the first read to the outcome. `JWTOutboundError`s of the steps pass through."""
        give_up_at, losses = self.monotonic() + self.policy.wait, 0
        while True:
            reading: Reading = yield steps.Read(self.ask)
            if self.ask.generation > (reading.pair.generation if reading.pair else -1):
                return Outcome(reading=reading, yours=True)
            verdict = in_budget(reading, self.ask, self.policy)
            if verdict.serve and (verdict.act is None or not self.ask.ahead):
                return Outcome(reading=reading)
            if verdict.failure is not None or (verdict.wait and self.ask.ahead):
                return Outcome(reading=reading, failure=verdict.failure)
            left = give_up_at - self.monotonic()
            if left <= 0:
                return Outcome(reading=reading, failure=in_progress(self.policy))
            if verdict.act is not None:
                outcome = yield from self._act(verdict.act, reading)
                if outcome is not None:
                    return outcome
                losses += 1
            if verdict.act is None or losses > 1:
                # An eighth of what was waited: that much later than need be is soon enough.
                pause = min(max(FIRST_PAUSE, (self.policy.wait - left) // 8), LONGEST_PAUSE)
                yield steps.Pause(min(left, jittered(pause, self.chance)))

    def _act(self, act: Act, reading: Reading) -> Flow[Outcome | None]:
        """The outcome, or None where the row has to be read again."""
        pair = reading.pair
        if act is Act.INSERT or pair is None:
            yield steps.Insert(self.ask)
            return None
        if act is Act.PRESENT:
            return (yield from self._present(reading, pair))
        yield from self._conclude(act, reading, pair)
        return None

    # The exchange

    def _present(self, reading: Reading, pair: Pair) -> Flow[Outcome | None]:
        prepared: Prepared = yield steps.Prepare(pair)
        taken_at = self.monotonic()
        if not (yield steps.Change(pair, self._lease(pair, present=True))):
            return None
        start_by = self._start_by(reading, pair, taken_at)
        if not (yield from take_place(self.ask, self.policy, start_by - self.monotonic())):
            given_back = swaps.released(pair, spent=False, outcome="crowded", in_hand=True)
            yield steps.Change(pair, given_back)
            return None
        reply: Reply = yield steps.Exchange(
            pair=pair,
            prepared=prepared,
            first=self.policy.needs_first_pair(pair, reading.now),
            start_by=start_by,
        )
        if reply.answer is None:
            yield steps.Change(pair, swaps.released(pair, spent=False, outcome="unsent"))
            yield self._line(reading, pair, reply, kind="unsent")
            return None
        answer = reply.answer.settled(proven=reading.issuer.proven)
        if answer.meaning is Meaning.GRANTED:
            return (yield from self._granted(reading, pair, prepared, answer, reply))
        if answer.meaning is Meaning.REFUSED:
            yield from self._refused(reading, pair, answer, reply)
            return None
        return (yield from self._unavailable(reading, pair, answer, reply))

    def _start_by(self, reading: Reading, pair: Pair, taken_at: int) -> int:
        """The last moment at which the exchange still ends within its lease, and a replay that
        rests on the issuer's window is still inside it."""
        start_by = taken_at + self.policy.lease - self.policy.deadline
        until = presentable_until(pair, self.ask, self.policy, reading.now)
        return start_by if until is None else min(start_by, reading.at + until - reading.now)

    def _granted(
        self, reading: Reading, pair: Pair, prepared: Prepared, answer: Answer, reply: Reply
    ) -> Flow[Outcome | None]:
        """Nothing that can raise stands between the answer and the commit."""
        rules = self.policy.rules.drawn(self.chance.random(), shaky=is_shaky(reading))
        sent_at = reading.earliest(reply.started)
        learned, used = learned_lifetime(self.ask, reading, pair), not self.ask.ahead
        columns = new_columns(
            pair, answer, prepared, sent_at=sent_at, rules=rules, learned=learned, used=used
        )
        swap = swaps.saved(pair, columns)
        latest = yield from persist(pair, swap, self.chance)
        if latest is not None:
            yield self._line(reading, pair, reply, kind="superseded")
            if latest.pair is not None and latest.pair.revoked_at:
                yield steps.Revoke(answer)
            return None
        outcome = Outcome(reading=self._after(reading, pair, self._lease(pair, present=True), swap))
        yield steps.Committed(outcome)
        changes = service_changes(answer, pair, reading.issuer, 0)
        if changes:
            yield steps.Health(changes)
        event_id, reason = self._event_id(), self._why(pair)
        new = outcome.reading.pair or pair
        line = {"id": event_id, "reason": reason, "skew": columns.get("skew")}
        yield self._line(reading, new, reply, kind="refreshed", **line)
        yield steps.Announce(pair=new, failed=False, reason=reason, code="", event_id=event_id)
        return outcome

    def _unavailable(
        self, reading: Reading, pair: Pair, answer: Answer, reply: Reply
    ) -> Flow[Outcome]:
        now = reading.time(self.monotonic())
        length, failures = cooldown(answer, pair, self.policy.replay_window, now, self.chance)
        swap = swaps.released(
            pair,
            spent=answer.ambiguous,
            outcome=answer.meaning.value,
            cooldown=length,
            failures=failures,
            due_after=due_after(pair, length, now),
        )
        yield steps.Change(pair, swap)
        changes = service_changes(answer, pair, reading.issuer, length)
        if changes:
            yield steps.Health(changes)
        yield self._line(reading, pair, reply, kind=answer.meaning.value)
        reading = self._after(reading, pair, self._lease(pair, present=True), swap)
        return Outcome(reading=reading, failure=of_answer(answer, self.policy, length))

    # The end of a login

    def _refused(self, reading: Reading, pair: Pair, answer: Answer, reply: Reply) -> Flow[None]:
        """Believed only while the refused generation is the current one.

        A replay is refused also where the first presentation succeeded. If that flight never
        ended, it may still bring the new pair: the refusal is held for one more lease. It is
        held too where staff have suspended logouts, perhaps since the first reading.
        """
        if pair.presented and (pair.unended or pair.lease_until):
            yield from self._hold(reading, pair, reply, answer.code)
            return
        latest: Reading = yield steps.Read(self.ask)
        if latest.issuer.suspended:
            yield from self._hold(reading, pair, reply, answer.code, SUSPENDED)
            return
        reason = "rotation_lost" if pair.presented else "refused"
        yield from self._end(reading, pair, reason, answer.code, reply)

    def _hold(
        self, reading: Reading, pair: Pair, reply: Reply, code: str, reason: str = ""
    ) -> Flow[None]:
        """A suspended refusal leaves no trace in the journal: once logouts are not suspended any
        more the token is presented again, and that is no replay."""
        yield steps.Change(pair, swaps.held(pair, self.policy.lease, code, reason))
        yield steps.Change(pair, swaps.released(pair, spent=not reason, outcome="pending"))
        yield self._line(reading, pair, reply, kind="pending", reason=reason)

    def _conclude(self, act: Act, reading: Reading, pair: Pair) -> Flow[None]:
        """Ends a login without asking the issuer, or announces an end; one flight does."""
        if not (yield steps.Change(pair, self._lease(pair, present=False))):
            return
        if act is Act.ANNOUNCE and pair.event_id is not None:
            yield from self._announce(pair, pair.reason, pair.code, pair.event_id)
        elif act is Act.EXPIRE:
            yield from self._end(reading, pair, "expired", "")
        else:
            yield from self._end(reading, pair, "rotation_lost", pair.code)

    def _end(
        self, reading: Reading, pair: Pair, reason: str, code: str, reply: Reply | None = None
    ) -> Flow[None]:
        event_id = self._event_id()
        swap = swaps.refused(pair, reason=reason, code=code, event_id=event_id)
        if not (yield steps.Change(pair, swap)):
            return
        ended = self._after(reading, pair, self._lease(pair, present=False), swap)
        yield steps.Committed(Outcome(reading=ended))
        yield self._line(reading, pair, reply, kind="refused", id=event_id, reason=reason)
        yield from self._announce(pair, reason, code, event_id)

    def _announce(self, pair: Pair, reason: str, code: str, event_id: UUID) -> Flow[None]:
        """Where a receiver that must not fail has failed, the next caller announces it again."""
        told = yield steps.Announce(
            pair=pair, failed=True, reason=reason, code=code, event_id=event_id
        )
        if told:
            yield steps.Change(pair, swaps.announced(pair, event_id))

    def _after(self, reading: Reading, pair: Pair, *done: Swap) -> Reading:
        """What a reading would show now, after the swaps that held; no query is needed."""
        at = self.monotonic()
        now = reading.time(at)
        for swap in done:
            pair = applied(pair, swap, now)
        return replace(reading, pair=pair, now=now, at=at)

    def _lease(self, pair: Pair, *, present: bool) -> Swap:
        return swaps.leased(pair, self.policy.lease, present=present, holder=self.holder)

    def _line(self, reading: Reading, pair: Pair, reply: Reply | None, **line: Any) -> steps.Record:
        if reply is not None and reading.pair is not None:
            line = {**reply.facts(reading.pair), **line}
        return steps.Record(pair=pair, line=line, now=reading.time(self.monotonic()))

    def _why(self, pair: Pair) -> str:
        if self.ask.rejected == pair.generation:
            return "rejected"
        if self.ask.ahead:
            return "stale"
        return "asked for" if self.ask.renew == pair.generation else "expired"

    def _event_id(self) -> UUID:
        return UUID(int=self.chance.getrandbits(128), version=4)
