"""The book of one schedule: what was really committed, sent, answered, announced and served.

It is kept from outside of the flow, from what reaches the row, the issuer and the callers, so that
the invariants never take the flow's own word for anything.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING
from uuid import UUID

from jwt_outbound.exceptions import JWTOutboundError, LoginRequired
from jwt_outbound.refresh.steps import Announce, Exchange, Outcome
from jwt_outbound.rows import Pair, Reading
from tests.simulation import invariants, outside, residuals
from tests.simulation.records import Attempt, Lease, Refusal
from tests.simulation.sealing import opened
from tests.simulation.telling import told_of_row

if TYPE_CHECKING:
    from tests.simulation.issuer import RefreshToken
    from tests.simulation.table import Written
    from tests.simulation.world import Actor, World


class Ledger:
    def __init__(self, world: World) -> None:
        self.world = world
        self.holder: Lease | None = None
        self.attempts: dict[tuple[UUID, int, str], list[Attempt]] = defaultdict(list)
        """By primary key, generation and refresh token, which a rollback may give two of."""
        self.refusals: dict[UUID, Refusal] = {}
        self.revoked: set[UUID] = set()
        """Rows that an admin ended at some time."""
        self.deleted: set[UUID] = set()
        self.versions: set[bytes] = set()
        """Every sealed access token that was ever committed."""
        self.logins = 0
        """The number of the login whose pair is stored: it counts committed `store()`s."""
        self.held_at = 0
        self.refreshed: Counter[bytes] = Counter()
        self.residuals: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        """How calls ended: served, or the name of the exception."""
        self.last_call_served = self.last_call_settled = False

    # The row

    def wrote(self, written: Written) -> None:
        """Before the commit: who has taken a lease knows it already."""
        old, new, actor = written.old, written.new, written.actor
        if old is None or new is None:
            return
        if new.lease_id > old.lease_id and new.generation == old.generation:
            self.attempt_over(actor)
            actor.lease = Lease(actor, old, new.lease_id, written.at, new.lease_until)

    def committed(self, written: Written) -> None:
        old, new = written.old, written.new
        self.world.say(told_of_row(written), written.actor)
        if new is not None and new.access_sealed:
            self.versions.add(new.access_sealed)
        if old is None or new is None:
            if new is None and old is not None:
                self.deleted.add(old.pk)
            self.holder = None
            return
        invariants.check_order(old, new)
        self._replaced(written, old, new)
        if new.generation == old.generation:
            self._amended(written, old, new)
        if new.refused_at and not old.refused_at:
            self._refuse(written, old, new)

    def _replaced(self, written: Written, old: Pair, new: Pair) -> None:
        actor = written.actor
        if written.how == "store":
            invariants.check_login(new)
            self.logins += 1
        elif written.how == "revoke":
            self.revoked.add(new.pk)
        elif invariants.has_other_tokens(old, new):
            invariants.check_lineage(self.world.issuer, old, new)
            if actor.attempt is not None:
                actor.attempt.saved_at = written.at
                actor.attempt.saved_as = new.access_sealed
            if old.refused_at:
                self.residuals[residuals.BACK_AGAIN] += 1
        if new.generation != old.generation:
            self.holder = None
            self.held_at = 0

    def _amended(self, written: Written, old: Pair, new: Pair) -> None:
        actor = written.actor
        if new.lease_id > old.lease_id:
            invariants.check_lease_taken(old, new, written.at)
            self.holder = actor.lease
        elif old.lease_until and not new.lease_until and not new.announced_at:
            invariants.check_release(self.holder, actor)
            if actor.transaction is None:
                invariants.check_cooldown(self.world, actor, new)
        invariants.check_journal(actor, old, new)
        if new.pending_until and not old.pending_until:
            self.held_at = written.at

    def _refuse(self, written: Written, old: Pair, new: Pair) -> None:
        attempts = self.attempts_on(old)
        invariants.check_refusal(self.world, written, attempts)
        kind = residuals.kind_of_refusal(self.world, old, new, attempts)
        if kind:
            self.residuals[kind] += 1
        if new.event_id is not None:
            self.refusals[new.event_id] = Refusal(new, self.logins)

    def rolled_back(self, actor: Actor) -> None:
        if actor.attempt is not None and actor.attempt.inline and actor.attempt.spent:
            self.residuals[residuals.ROLLED_BACK] += 1

    # The exchange

    def sending(self, actor: Actor, step: Exchange, token: str, rejected: int | None) -> Attempt:
        """The check before the first byte has passed."""
        pair = step.pair
        lease = actor.lease
        invariants.check_lease_held(lease, pair)
        assert lease is not None
        attempt = Attempt(
            actor, lease, token, rejected == pair.generation, self.world.now,
            inline=actor.transaction is not None,
        )  # fmt: skip
        before = self.attempts[pair.pk, pair.generation, token]
        invariants.check_sending(self.world, attempt, before)
        before.append(attempt)
        actor.attempt = attempt
        return attempt

    def sent(self, attempt: Attempt) -> None:
        attempt.sent_at = self.world.now
        others = self.attempts[attempt.row.pk, attempt.row.generation, attempt.token]
        kind = residuals.kind_of_sending(self.world, attempt, others)
        if kind:
            self.residuals[kind] += 1
        else:
            invariants.check_alone(self.world.now, attempt, others)

    # Words to the outside

    def acknowledged(self, actor: Actor, outcome: Outcome) -> None:
        if actor.transaction is None:
            outside.check_acknowledged(self, outcome)

    def announced(self, actor: Actor, step: Announce) -> None:
        if not step.failed:
            if actor.transaction is None:
                outside.check_refresh_announced(self, step)
            self.refreshed[step.pair.access_sealed] += 1
            return
        refusal = self.refusals.get(step.event_id)
        outside.check_refusal_announced(refusal, actor, self.world.now)
        assert refusal is not None
        if refusal.announced_by:
            self.residuals[residuals.TOLD_AGAIN] += 1
        refusal.announced_by.append(actor)
        refusal.untidy = refusal.untidy or outside.outlived(actor, self.world.now)

    def epoch_raised(self, event_id: UUID) -> None:
        refusal = self.refusals[event_id]
        refusal.counted += 1
        refusal.counted_at = self.world.now
        invariants.check_epoch(refusal, self.logins)

    def looked_again(self, actor: Actor) -> None:
        """The flow has gone on to another look at the row; after a refusal that is no end yet."""
        attempt = actor.attempt
        if attempt is not None and attempt.answer is not None and not attempt.answer.is_refusal:
            self.attempt_over(actor)

    def attempt_over(self, actor: Actor) -> None:
        attempt, actor.attempt = actor.attempt, None
        if attempt is not None:
            attempt.ended_at = self.world.now
            if attempt.saved_at and not self.refreshed[attempt.saved_as] and attempt.unsure:
                self.residuals[residuals.NOT_TOLD] += 1
            invariants.check_nothing_dropped(self.world, attempt)

    # Calls

    def served(self, actor: Actor, served: Reading, rejected: int | None, *, patient: bool) -> None:
        pair = served.pair
        assert pair is not None
        self._end_call(actor, "served", patient=patient)
        outside.check_served(self.world, actor, pair, self.world.now, rejected)
        self.last_call_served = self.last_call_settled = True

    def failed(self, actor: Actor, error: JWTOutboundError, *, patient: bool) -> None:
        self._end_call(actor, type(error).__name__, patient=patient)
        outside.check_failed(self.world, actor, error)
        self.last_call_served = False
        self.last_call_settled = isinstance(error, LoginRequired)

    def _end_call(self, actor: Actor, how: str, *, patient: bool) -> None:
        self.calls[how] += 1
        self.world.say(f"<- {how}", actor)
        if patient:
            outside.check_patience(self.world, actor)

    def attempts_on(self, pair: Pair) -> list[Attempt]:
        """With its refresh token, or for a first pair in its place."""
        tokens = {"", opened(pair.refresh_sealed)}
        return [a for text in sorted(tokens) for a in self.attempts[pair.pk, pair.generation, text]]

    def token(self, pair: Pair) -> RefreshToken | None:
        """The refresh token in a row, as the issuer knows it."""
        return self.world.issuer.refresh.get(opened(pair.refresh_sealed))
