"""The refresh, written once and without I/O: a generator of steps (design section 3.3).

Whoever drives it carries the steps out and sends back what came of them: the driver on a real
database and issuer, the simulation on models of both. Nothing in here blocks, sleeps or knows a
clock but the `monotonic` that it is given; all times are microseconds.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final, TypeVar
from uuid import UUID

from jwt_outbound import swaps
from jwt_outbound.clock import SECOND
from jwt_outbound.issuers.answers import Answer, Meaning
from jwt_outbound.refresh import steps
from jwt_outbound.refresh.columns import new_columns
from jwt_outbound.refresh.cooldown import cooldown, service_changes
from jwt_outbound.refresh.decisions import decide
from jwt_outbound.refresh.failures import in_progress, of_answer
from jwt_outbound.refresh.steps import Outcome, Prepared, Reply, Step
from jwt_outbound.refresh.words import Act, Ask, Policy
from jwt_outbound.rows import Pair, Reading

FIRST_PAUSE: Final = SECOND // 100
LONGEST_PAUSE: Final = SECOND // 5

Result = TypeVar("Result")
Flow = Generator[Step, Any, Result]


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
        give_up_at = self.monotonic() + self.policy.wait
        pause = FIRST_PAUSE
        while True:
            reading: Reading = yield steps.Read(self.ask)
            if self.ask.generation > (reading.pair.generation if reading.pair else -1):
                return Outcome(reading=reading, yours=True)
            verdict = decide(reading, self.ask, self.policy, reading.now)
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
            else:
                yield steps.Pause(min(left, self._jittered(pause)))
                pause = min(pause * 3 // 2, LONGEST_PAUSE)

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
        reply: Reply = yield steps.Exchange(
            pair=pair,
            prepared=prepared,
            first=self.policy.needs_first_pair(pair, reading.now),
            start_by=taken_at + self.policy.lease - self.policy.deadline,
        )
        if reply.answer is None:
            yield steps.Change(pair, swaps.released(pair, spent=False))
            yield self._line(reading, pair, reply, kind="unsent")
            return None
        answer = reply.answer.settled(proven=reading.issuer.proven)
        if answer.meaning is Meaning.GRANTED:
            return (yield from self._granted(reading, pair, prepared, answer, reply))
        if answer.meaning is Meaning.REFUSED:
            yield from self._refused(reading, pair, answer, reply)
            return None
        return (yield from self._unavailable(reading, pair, answer, reply))

    def _granted(
        self, reading: Reading, pair: Pair, prepared: Prepared, answer: Answer, reply: Reply
    ) -> Flow[Outcome | None]:
        """Nothing that can raise stands between the answer and the commit."""
        rules = replace(self.policy.rules, jitter=self.chance.random())
        sent_at = reading.earliest(reply.started)
        learned = self._learned(reading, pair)
        columns = new_columns(pair, answer, prepared, sent_at=sent_at, rules=rules, learned=learned)
        swap = swaps.saved(pair, columns)
        latest = yield from self._save(pair, swap)
        if latest is not None:
            yield self._line(reading, pair, reply, kind="superseded")
            if latest.pair is not None and latest.pair.revoked_at:
                yield steps.Revoke(answer)
            return None
        after = self._after(reading, pair, swap)
        outcome = Outcome(reading=after)
        yield steps.Committed(outcome)
        changes = service_changes(answer, pair, reading.issuer, 0)
        if changes:
            yield steps.Health(changes)
        event_id, reason = self._event_id(), self._why(pair)
        new = after.pair or pair
        yield self._line(reading, new, reply, kind="refreshed", id=event_id, reason=reason)
        yield steps.Announce(pair=new, failed=False, reason=reason, code="", event_id=event_id)
        return outcome

    def _save(self, pair: Pair, swap: swaps.Swap) -> Flow[Reading | None]:
        """None once the new pair is stored; the row as it is where its generation has moved.

        An answer that can't be stored is a login lost, so there is no giving up. After a COMMIT
        whose fate is unknown the row tells whether the sealed token in it is ours.
        """
        pause = FIRST_PAUSE
        while not (yield steps.Save(pair, swap)):
            latest: Reading | None = yield steps.Settle(pair)
            if latest is not None:
                row = latest.pair
                if row is not None and row.access_sealed == swap.changes["access_sealed"]:
                    return None
                if row is None or row.generation != pair.generation:
                    return latest
            yield steps.Pause(self._jittered(pause))
            pause = min(pause * 2, SECOND)
        return None

    def _unavailable(
        self, reading: Reading, pair: Pair, answer: Answer, reply: Reply
    ) -> Flow[Outcome]:
        length = cooldown(answer, pair.failures, self.policy.replay_window, self.chance)
        failures = pair.failures + 1
        swap = swaps.released(pair, spent=answer.ambiguous, cooldown=length, failures=failures)
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
        ended, it may still bring the new pair: the refusal is held for one more lease.
        """
        if pair.presented and (pair.unended or pair.lease_until):
            yield steps.Change(pair, swaps.held(pair, self.policy.lease, answer.code))
            yield steps.Change(pair, swaps.released(pair, spent=True))
            yield self._line(reading, pair, reply, kind="pending")
            return
        reason = "rotation_lost" if pair.presented else "refused"
        yield from self._end(reading, pair, reason, answer.code, reply)

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

    # Words

    def _after(self, reading: Reading, pair: Pair, *done: swaps.Swap) -> Reading:
        """What a reading would show now, after the swaps that held; no query is needed."""
        at = self.monotonic()
        now = reading.time(at)
        for swap in done:
            pair = swaps.applied(pair, swap, now)
        return replace(reading, pair=pair, now=now, at=at)

    def _lease(self, pair: Pair, *, present: bool) -> swaps.Swap:
        return swaps.leased(pair, self.policy.lease, present=present, holder=self.holder)

    def _line(self, reading: Reading, pair: Pair, reply: Reply | None, **line: Any) -> steps.Record:
        answer = reply.answer if reply else None
        if reply is not None and answer is not None:
            line = {
                "code": answer.code,
                "status": answer.status,
                "ambiguous": answer.ambiguous,
                "replay": bool(reading.pair and reading.pair.presented),
                "duration_ms": (reply.ended - reply.started) // 1000,
                **line,
            }
        return steps.Record(pair=pair, line=line, now=reading.time(self.monotonic()))

    def _learned(self, reading: Reading, pair: Pair) -> int | None:
        """The lifetime of a token that had none known, from the 401 that it was met by."""
        if self.ask.rejected != pair.generation or pair.expires_at is not None:
            return pair.learned_lifetime
        lived = reading.now - pair.obtained_at
        return min(lived, pair.learned_lifetime or lived)

    def _why(self, pair: Pair) -> str:
        if self.ask.rejected == pair.generation:
            return "rejected"
        return "stale" if self.ask.ahead else "expired"

    def _event_id(self) -> UUID:
        return UUID(int=self.chance.getrandbits(128), version=4)

    def _jittered(self, pause: int) -> int:
        return int(pause * self.chance.uniform(0.5, 1.0))
