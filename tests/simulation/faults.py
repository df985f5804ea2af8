"""What may go wrong between any two steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from jwt_outbound.clock import SECOND
from tests.simulation import actors, logins
from tests.simulation.issuer import BY_OPERATOR
from tests.simulation.scenes import LEASE, weighted
from tests.simulation.sealing import opened

if TYPE_CHECKING:
    from jwt_outbound.rows import Pair
    from tests.simulation.issuer import Family
    from tests.simulation.world import Actor, Process, World

PAUSES: Final = (0.4, 1.05, 1.3, 2.2, 4.0)
"""In leases."""


def inject(world: World) -> None:
    kind = weighted(world.rng, world.scene.profile.kinds)
    world.went(-1 - list(_INJECTIONS).index(kind))
    if _INJECTIONS[kind](world):
        world.faults[kind] += 1
        world.say(f"** {kind}")


def _crash(world: World) -> bool:
    world.crash(_busy_process(world))
    return True


def _pause_process(world: World) -> bool:
    until = world.now + _long(world)
    process = _busy_process(world)
    for actor in world.actors:
        if actor.process is process:
            actor.paused_until = until
    return True


def _pause_thread(world: World) -> bool:
    flying = [actor for actor in world.actors if actor.kind == "flight"] or world.actors
    if world.actor in flying and world.rng.random() < 0.5:
        flying = [world.actor]
    if flying:
        world.rng.choice(flying).paused_until = world.now + _long(world)
    return bool(flying)


def _send_caller_away(world: World) -> bool:
    """Cancelled, timed out, gone: his transaction is rolled back, the flight goes on."""
    waiting = [actor for actor in world.actors if actor.future is not None]
    if not waiting:
        return False
    actor = world.rng.choice(waiting)
    world.remove(actor)
    if actor.future is not None:
        actor.future.cancel()
    return True


def _move_wall_clock(world: World) -> bool:
    process = world.rng.choice(world.processes)
    process.wall = world.rng.randrange(-3600 * SECOND, 3600 * SECOND)
    return True


def _log_in(world: World) -> bool:
    rolls_back = world.rng.random() < 0.25
    _spawn(world, "login", partial(logins.log_in, rolls_back=rolls_back))
    return True


def _revoke(world: World) -> bool:
    _spawn(world, "admin", logins.revoke)
    return True


def _delete(world: World) -> bool:
    _spawn(world, "deletion", logins.delete)
    return True


def _end_at_issuer(world: World) -> bool:
    family = _current_family(world)
    if family is None:
        return False
    world.issuer.end(family, BY_OPERATOR)
    world.issuer.first_pairs_refused = world.rng.random() < 0.5
    return True


def _end_access(world: World) -> bool:
    family = _current_family(world)
    if family is not None:
        world.issuer.reject_access(family)
    return family is not None


def _lock_row(world: World) -> bool:
    """Somebody else's transaction has the row for a while."""
    table = world.table
    if table.writer is not None:
        return False
    lock = table.writer = object()

    def let_go() -> None:
        if table.writer is lock:
            table.writer = None

    world.at(world.now + int(world.rng.random() * 2 * LEASE), let_go)
    return True


def _fail_next(fault: str, world: World) -> bool:
    """Counted when a statement meets it."""
    world.table.due.append(fault)
    return False


def _let_time_pass(world: World) -> bool:
    """Everybody stands still meanwhile."""
    world.now += _long(world)
    return True


def _suspend_logouts(world: World) -> bool:
    """Staff want nobody logged out for a while."""
    if world.table.health.suspended:
        return False
    world.table.suspend(True)
    world.at(world.now + _long(world), lambda: world.table.suspend(False))
    return True


def _long(world: World) -> int:
    return int(world.rng.choice(PAUSES) * LEASE * (0.9 + 0.2 * world.rng.random()))


def _busy_process(world: World) -> Process:
    """Most often that of a flight, and of those the one that has just made a move."""
    flying = [actor.process for actor in world.actors if actor.kind == "flight"]
    if world.actor.process in flying and world.rng.random() < 0.5:
        return world.actor.process
    return world.rng.choice(flying or world.processes)


def _spawn(world: World, kind: str, course: actors.Coming) -> Actor:
    process = world.rng.choice(world.processes)
    return world.spawn(kind, process, partial(course, world))


def _current_family(world: World) -> Family | None:
    row: Pair | None = world.table.row
    token = None if row is None else world.issuer.refresh.get(opened(row.refresh_sealed))
    return None if token is None else token.family


_INJECTIONS: Final[dict[str, Callable[[World], bool]]] = {
    "crash": _crash,
    "pause of a process": _pause_process,
    "pause of a thread": _pause_thread,
    "caller gone": _send_caller_away,
    "wall clock moved": _move_wall_clock,
    "login": _log_in,
    "revocation": _revoke,
    "deletion": _delete,
    "login ended at the issuer": _end_at_issuer,
    "access token ended at the API": _end_access,
    "row locked": _lock_row,
    "write failed": partial(_fail_next, "write failed"),
    "commit unknown": partial(_fail_next, "commit unknown"),
    "read failed": partial(_fail_next, "read failed"),
    "receiver failed": partial(_fail_next, "receiver failed"),
    "time passed": _let_time_pass,
    "logouts suspended": _suspend_logouts,
}
