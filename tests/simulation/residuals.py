"""What no client can close (design section 3.8): recognised by its cause, counted, printed.

A login that is lost without such a cause is a violation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.simulation.issuer import BY_OPERATOR, BY_REUSE
from tests.simulation.rules import Rule, violated
from tests.simulation.scenes import DEADLINE

if TYPE_CHECKING:
    from jwt_outbound.rows import Pair
    from tests.simulation.records import Attempt
    from tests.simulation.world import World

PAUSED: Final = "sent by a holder that was paused between the check and the first byte"
DELAYED: Final = "delivered by the network after our deadline"
LATE_SAVE: Final = "a late save between a takeover's lease and its send"
CRASHED: Final = "logged out: crash after the rotation"
LOST: Final = "logged out: answer lost after the rotation"
TAKEN_OVER: Final = "logged out: takeover of a live, paused holder"
OUTLIVED: Final = "logged out: holder paused longer than lease and hold"
ROLLED_BACK: Final = "stored, refreshed and rolled back in one transaction"
BACK_AGAIN: Final = "a good pair came back after the logout"
TOLD_AGAIN: Final = "announced again after a crash, a failure or a pause"
NOT_TOLD: Final = "stored and not announced: the commit was unknown, and the row moved on"


def kind_of_sending(world: World, attempt: Attempt, others: list[Attempt]) -> str:
    """Why a request may go out at a time at which none should."""
    if attempt.late:
        return DELAYED
    if was_held_up(attempt):
        return PAUSED
    late = any(attempt.lease.at < other.saved_at for other in others if other is not attempt)
    return LATE_SAVE if late else ""


def was_held_up(attempt: Attempt) -> bool:
    """Whether its process stood still between the check and the first byte."""
    return attempt.sent_at + DEADLINE > attempt.lease.until


def kind_of_refusal(world: World, old: Pair, new: Pair, attempts: list[Attempt]) -> str:
    """Why a login ended that nobody had ended; nothing where somebody had."""
    token = world.ledger.token(old)
    if new.reason == "expired" or token is None or token.family.ended == BY_OPERATOR:
        return ""
    if token.expires_at <= world.now:
        return ""
    if token.family.ended == BY_REUSE and token.family.reuse is not None:
        reused, again = token.family.reuse
        cause = _cause(world, reused.spent_by, again)
    else:
        refused = (a for a in reversed(attempts) if a.answer and a.answer.is_refusal)
        cause = _cause(world, token.spent_by, next(refused, None))
    return cause or violated(Rule.CAUSED)


def _cause(world: World, first: Attempt | None, again: Attempt | None) -> str:
    """`first` spent the token, and `again` presented it once more."""
    if first is None or again is None:
        return ""
    if again.late or first.late:
        return f"logged out: {DELAYED}"
    if was_held_up(again) or was_held_up(first):
        return f"logged out: {PAUSED}"
    if first.saved_at:
        return _cause_though_saved(world, first, again)
    if first.actor.crashed:
        return CRASHED
    if first.lost:
        return LOST
    return OUTLIVED if first.outlived_its_lease(world.now) else ""


def _cause_though_saved(world: World, first: Attempt, again: Attempt) -> str:
    if again.lease.at < first.saved_at <= again.arrived_at:
        return f"logged out: {LATE_SAVE}"
    after = first.saved_at > again.arrived_at
    return TAKEN_OVER if after and first.outlived_its_lease(world.now) else ""
