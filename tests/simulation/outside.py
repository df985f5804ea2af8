"""What must hold of every word to the outside: to receivers, to those who wait, to callers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jwt_outbound.clock import SECOND
from jwt_outbound.exceptions import (
    JWTOutboundError,
    LoginRequired,
    RefreshInProgress,
    TokenPairNotFound,
)
from jwt_outbound.refresh.steps import Announce, Outcome
from jwt_outbound.rows import Pair
from tests.simulation.invariants import serves
from tests.simulation.rules import Rule, violated
from tests.simulation.sealing import opened

if TYPE_CHECKING:
    from tests.simulation.ledger import Ledger
    from tests.simulation.records import Refusal
    from tests.simulation.world import Actor, World


def check_refusal_announced(refusal: Refusal | None, actor: Actor, now: int) -> None:
    """The signal comes after the commit, and once, unless somebody crashed, failed or outlived
    his lease in between: then at least once."""
    if refusal is None:
        violated(Rule.AFTER_COMMIT)
    if refusal.untidy or outlived(actor, now):
        return
    for other in refusal.announced_by:
        at_work = other is not actor and not other.ended_at
        if not (other.crashed or other.failed or at_work or outlived(other, other.ended_at)):
            violated(Rule.REFUSAL_ONCE)


def outlived(actor: Actor, now: int) -> bool:
    """Whether it goes on although its lease has run out."""
    return actor.lease is not None and actor.lease.until < now


def check_acknowledged(ledger: Ledger, outcome: Outcome) -> None:
    pair = outcome.reading.pair
    if pair is None or (pair.access_sealed and pair.access_sealed not in ledger.versions):
        violated(Rule.WOKEN_AFTER_COMMIT)


def check_refresh_announced(ledger: Ledger, step: Announce) -> None:
    if step.pair.access_sealed not in ledger.versions:
        violated(Rule.AFTER_COMMIT)
    if ledger.refreshed[step.pair.access_sealed]:
        violated(Rule.REFRESH_ONCE)


def check_given_up(world: World, outcome: Outcome, *, looked: bool) -> None:
    """A flight that gives up has looked a last time; `looked`: just now."""
    if looked or outcome.failure is None or outcome.failure.kind is not RefreshInProgress:
        return
    seen = outcome.reading.pair
    if _is_there(world, seen.generation if seen else -1):
        violated(Rule.LAST_LOOK)


def check_caller_given_up(world: World, actor: Actor) -> None:
    if actor.transaction is None and _is_there(world, actor.seen[1]):
        violated(Rule.LAST_LOOK)


def check_served(world: World, actor: Actor, pair: Pair, now: int, rejected: int | None) -> None:
    """What is served is good, and never older than what its caller has seen."""
    access = world.issuer.access[opened(pair.access_sealed)]
    if actor.seen[0] == pair.pk and pair.generation < actor.seen[1]:
        violated(Rule.NEVER_SERVED_OLDER)
    if pair.refused_at or pair.revoked_at:
        violated(Rule.SERVED_ALIVE)
    known = pair.expires_at is not None and world.scene.kind.tells_lifetime
    if known and access.expires_at <= now and rejected != pair.generation:
        violated(Rule.SERVED_GOOD, access.text)


def check_failed(world: World, actor: Actor, error: JWTOutboundError) -> None:
    """Only an end that was committed is told as one; where all went well, nothing fails."""
    ledger = world.ledger
    match error:
        case TokenPairNotFound():
            unknown = world.table.row is None or ledger.deleted or actor.transaction is not None
            if not unknown and world.scene.age >= 0 and not ledger.revoked:
                violated(Rule.NOT_LOGGED_OUT, "no pair is found")
        case LoginRequired(reason="revoked"):
            if not ledger.revoked:
                violated(Rule.NOT_LOGGED_OUT, "nothing was revoked")
        case LoginRequired():
            if not ledger.refusals:
                violated(Rule.NOT_LOGGED_OUT, error.reason)
        case _:
            if world.scene.calm and not world.faults:
                violated(Rule.CALM, type(error).__name__)


def check_patience(world: World, actor: Actor) -> None:
    """Every caller ends within its wait budget; what kept him from running does not count."""
    spent = world.now - actor.began_at - actor.stalled
    if spent > world.scene.policy.wait + SECOND // 10:
        violated(Rule.PATIENCE, f"{spent / SECOND:.3f} s")


def _is_there(world: World, seen: int) -> bool:
    """Whether the new pair, which somebody waited for, is in the row."""
    row, windows = world.table.row, world.scene.policy.rules.windows
    if row is None or row.generation <= seen or row.refused_at or row.revoked_at:
        return False
    leeway = windows.late(row.lifetime) if row.lifetime is not None else 0
    return serves(row, world.now + leeway)
