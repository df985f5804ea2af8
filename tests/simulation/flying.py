"""The flow's other driver: carries its steps out on the world's parts, one scheduled move each.

Between any two moves somebody else may come, and the process may be paused or killed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final

from jwt_outbound import swaps
from jwt_outbound.clock import SECOND
from jwt_outbound.compare_and_swap import matches
from jwt_outbound.exceptions import JWTOutboundError, TokenStoreUnavailable
from jwt_outbound.issuers.answers import Answer
from jwt_outbound.refresh import steps, words
from jwt_outbound.refresh.flow import Refresh
from jwt_outbound.refresh.steps import Outcome, Prepared, Reply
from jwt_outbound.refresh.words import Ask, Failure
from jwt_outbound.rows import IssuerHealth, Reading
from tests.simulation import outside
from tests.simulation.network import ask as ask_issuer
from tests.simulation.scenes import DEADLINE
from tests.simulation.sealing import secret
from tests.simulation.table import DatabaseFailed
from tests.simulation.telling import told_of_step
from tests.simulation.world import AT_ONCE

if TYPE_CHECKING:
    from tests.simulation.table import Transaction
    from tests.simulation.world import Actor, Course, World

LOCK_TIMEOUT: Final = 3 * SECOND // 10
TRY_LOCK: Final = SECOND // 50
STEPS: Final = steps.Step.__args__
CODES: Final = {kind: code for code, kind in enumerate(STEPS)}


class Pilot:
    """Drives one flow, in a flight or, inside a caller's transaction, in the caller."""

    def __init__(
        self, world: World, actor: Actor, ask: Ask, *,
        committed: Callable[[Outcome], None] = lambda outcome: None,
        transaction: Transaction | None = None,
        known: Reading | None = None,
    ) -> None:  # fmt: skip
        self.world, self.actor, self.ask, self._known = world, actor, ask, known
        self.table, self.transaction = world.table, transaction
        self._committed = committed

    def fly(self) -> Course[Outcome]:
        """As `Driver.run`: whatever goes wrong is an outcome too."""
        world, actor = self.world, self.actor
        refresh = Refresh(
            ask=self.ask, policy=world.scene.policy, monotonic=world.monotonic,
            chance=world.rng, holder={},
        )  # fmt: skip
        actor.flow = refresh.run()
        try:
            outcome = yield from self._drive(actor.flow)
        except DatabaseFailed:
            actor.failed = True
            outcome = _failed(TokenStoreUnavailable)
        except JWTOutboundError as error:
            outcome = _failed(type(error))
        world.ledger.attempt_over(actor)
        return outcome

    def _drive(self, flow: Generator[Any, Any, Outcome]) -> Course[Outcome]:
        result, kind = None, steps.Read
        world, actor = self.world, self.actor
        while True:
            try:
                step = flow.send(result)
            except StopIteration as stop:
                outcome: Outcome = stop.value or _failed(TokenStoreUnavailable)
                outside.check_given_up(world, outcome, looked=kind is steps.Read)
                return outcome
            kind = type(step)
            world.went(CODES[kind])
            if world.trace is not None:
                world.say(told_of_step(step), actor)
            yield AT_ONCE
            result = yield from _CARRY_OUT[kind](self, step)

    def _read(self, step: steps.Read) -> Course[Reading]:
        known, self._known = self._known, None
        if known is not None:
            self.actor.looked_at = known.now
            return known
        self.world.ledger.looked_again(self.actor)
        self._meet("read failed")
        world = self.world
        at = world.monotonic()
        yield AT_ONCE
        row, health, now = self.table.read(self.transaction), self.table.health, world.now
        self.actor.looked_at = now
        yield AT_ONCE
        if step.ask.pk is not None and row is not None and row.pk != step.ask.pk:
            row = None
        return Reading(pair=row, issuer=health, now=now, at=at, took=world.monotonic() - at)

    def _insert(self, step: steps.Insert) -> Course[None]:
        self.table.insert(self.actor, self.transaction)
        yield AT_ONCE

    def _prepare(self, step: steps.Prepare) -> Course[Prepared]:
        yield AT_ONCE
        return Prepared(refresh=secret(step.pair.refresh_sealed), seal=self.world.seal)

    def _change(self, step: steps.Change) -> Course[bool]:
        yield from self._get_lock()
        self._meet("write failed")
        held = self._swap(step, "change")
        self._meet("commit unknown")
        yield AT_ONCE
        return held

    def _save(self, step: steps.Save) -> Course[bool | None]:
        try:
            yield from self._get_lock()
            self._meet("write failed")
            held = self._swap(step, "save")
            if self.actor.attempt is not None and self._is_due("commit unknown"):
                self.actor.attempt.unsure = True
                return None
        except DatabaseFailed:
            return None
        yield AT_ONCE
        return held

    def _settle(self, step: steps.Settle) -> Course[Reading | None]:
        yield AT_ONCE
        if self._is_due("read failed"):
            return None
        row, world = self.table.read(self.transaction), self.world
        if row is not None and row.pk != step.pair.pk:
            row = None
        return Reading(pair=row, issuer=self.table.health, now=world.now, at=world.monotonic())

    def _admit(self, step: steps.Admit) -> Course[int | None]:
        """`IssuerStateQuerySet.take_place`: a compare-and-swap, over and over."""
        table, world = self.table, self.world
        while True:
            taken, now = table.health.next_exchange_at, world.now
            place = max(taken, now)
            yield AT_ONCE
            if place - now > step.patience:
                return None
            if table.health.next_exchange_at == taken:
                table.change_health({"next_exchange_at": place + step.spacing})
                return place - now

    def _exchange(self, step: steps.Exchange) -> Course[Reply]:
        world, actor = self.world, self.actor
        started = world.monotonic()
        if not words.may_send(step.start_by, started):
            return Reply(answer=None, started=started, ended=started)
        token = "" if step.first else step.prepared.refresh.reveal()
        attempt = world.ledger.sending(actor, step, token, self.ask.rejected)
        yield AT_ONCE
        request = ask_issuer(world, actor, attempt)
        until = world.now + DEADLINE
        while request.answer is None and world.now < until:
            yield until
        if request.answer is None:
            request.given_up = True
            attempt.lost = attempt.lost or attempt.spent
            attempt.answer = Answer.unavailable(ambiguous=True, code="timeout")
        assert attempt.answer is not None
        return Reply(answer=attempt.answer, started=started, ended=world.monotonic())

    def _acknowledge(self, step: steps.Committed) -> Course[None]:
        self.world.ledger.acknowledged(self.actor, step.outcome)
        self._committed(step.outcome)
        yield AT_ONCE

    def _announce(self, step: steps.Announce) -> Course[bool]:
        world = self.world
        if not world.scene.calm and world.rng.random() < world.scene.profile.slow_receiver:
            world.faults["slow receiver"] += 1
            yield world.now + 2 * SECOND
        world.ledger.announced(self.actor, step)
        if step.failed and self._is_due("receiver failed"):
            self.actor.failed = True
            return False
        if step.failed:
            self._end_sessions(step)
        yield AT_ONCE
        return True

    def _end_sessions(self, step: steps.Announce) -> None:
        """The shipped receiver: one transaction, which has the pair's row locked."""
        table, row = self.table, self.table.row
        stands = swaps.standing(step.pair.generation)
        if row is None or not matches(row, stands, self.world.now):
            return
        if table.last_event != step.event_id:
            table.epoch, table.last_event = table.epoch + 1, step.event_id
            self.world.ledger.epoch_raised(step.event_id)

    def _change_health(self, step: steps.Health) -> Course[None]:
        self.table.change_health(step.changes)
        yield AT_ONCE

    def _record(self, step: steps.Record) -> Course[None]:
        yield AT_ONCE

    def _revoke(self, step: steps.Revoke) -> Course[None]:
        if step.answer.refresh is not None:
            self.world.issuer.revoke(step.answer.refresh.reveal())
        yield AT_ONCE

    def _pause(self, step: steps.Pause) -> Course[None]:
        yield self.world.now + step.length

    # The database

    def _swap(self, step: steps.Change | steps.Save, how: str) -> bool:
        return self.table.swap(self.actor, step.swap, how, self.transaction, step.pair.pk)

    def _get_lock(self) -> Course[None]:
        """Waits for the row a short while, as the flights' own connections do."""
        until = self.world.now + LOCK_TIMEOUT
        while self.table.is_locked(self.transaction):
            if self.world.now >= until:
                raise DatabaseFailed
            yield min(self.world.now + TRY_LOCK, until)

    def _meet(self, fault: str) -> None:
        if self._is_due(fault):
            raise DatabaseFailed

    def _is_due(self, fault: str) -> bool:
        if fault not in self.table.due or self.transaction is not None:
            return False
        self.table.due.remove(fault)
        self.world.faults[fault] += 1
        self.world.say(f"** {fault}", self.actor)
        return True


_CARRY_OUT: Final[dict[type, Any]] = {
    steps.Read: Pilot._read,
    steps.Insert: Pilot._insert,
    steps.Prepare: Pilot._prepare,
    steps.Admit: Pilot._admit,
    steps.Change: Pilot._change,
    steps.Save: Pilot._save,
    steps.Settle: Pilot._settle,
    steps.Exchange: Pilot._exchange,
    steps.Committed: Pilot._acknowledge,
    steps.Announce: Pilot._announce,
    steps.Health: Pilot._change_health,
    steps.Record: Pilot._record,
    steps.Revoke: Pilot._revoke,
    steps.Pause: Pilot._pause,
}


def _failed(kind: type[JWTOutboundError]) -> Outcome:
    nothing = Reading(pair=None, issuer=IssuerHealth(), now=0, at=0)
    return Outcome(reading=nothing, failure=Failure(kind=kind, message="The flight failed."))
