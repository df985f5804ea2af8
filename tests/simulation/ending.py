"""What must hold once all has come to rest, and one more caller has been there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jwt_outbound import sessions
from tests.simulation.rules import Rule, violated

if TYPE_CHECKING:
    from tests.simulation.world import World


def check_ending(world: World) -> None:
    if not world.faults:
        _check_one_refresh(world)
    _check_announced(world)
    _check_usable(world)
    _check_sessions(world)


def _check_one_refresh(world: World) -> None:
    """Where nothing goes wrong a generation's refresh token is presented once."""
    for attempts in world.ledger.attempts.values():
        if len(attempts) > 1:
            violated(Rule.ONE_REFRESH)


def _check_announced(world: World) -> None:
    row = world.table.row
    if row is None or not row.refused_at or row.event_id is None:
        return
    refusal = world.ledger.refusals[row.event_id]
    if not refusal.announced_by or not row.announced_at:
        violated(Rule.REFUSAL_IN_THE_END, f"{row.event_id}")
    if not refusal.counted:
        violated(Rule.SESSIONS_END)


def _check_usable(world: World) -> None:
    """A pair that is neither refused nor revoked still serves."""
    row = world.table.row
    if row is None or row.refused_at or row.revoked_at or world.ledger.last_call_served:
        return
    if not row.refresh_sealed and not world.scene.policy.makes_first_pair:
        return
    violated(Rule.NOT_LOGGED_OUT, f"{row}")


def _check_sessions(world: World) -> None:
    """A session is over by a refusal of its login's pair or of a later one's, and by no other."""
    counted = [refusal for refusal in world.ledger.refusals.values() if refusal.counted]
    for session in world.sessions:
        over = sessions.is_over(session.data)
        after = [refusal for refusal in counted if refusal.login >= session.login]
        if over and not after:
            violated(Rule.LATER_LOGIN)
        if not over and any(refusal.counted_at > session.stamped_at for refusal in after):
            violated(Rule.SESSIONS_END)
