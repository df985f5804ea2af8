"""One schedule: who comes, whose turn it is, and what goes wrong, all from one seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any, Final
from unittest.mock import patch

from django.contrib.auth import SESSION_KEY

from jwt_outbound import clock, sessions, swaps
from jwt_outbound.clock import SECOND
from jwt_outbound.freshness import run_out_at
from tests.simulation import actors, faults, logins
from tests.simulation.ending import check_ending
from tests.simulation.rules import Rule, Violation, violated
from tests.simulation.scenes import LEASE, USER, Profile, draw
from tests.simulation.world import Actor, Session, World

MOST_STEPS: Final = 6000
MOST_LAST_CALLS: Final = 8
STANDARD: Final = Profile()

present: Final[list[World]] = []
"""The world of the schedule under way: planted bugs have no other way to it."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came of one schedule."""

    seed: int
    path: int
    steps: int
    violation: Violation | None = None
    faults: Counter[str] = field(default_factory=Counter)
    residuals: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    trace: list[str] | None = None


class Schedule:
    """Runs the world of one seed to its end."""

    def __init__(self, seed: int, profile: Profile = STANDARD, *, trace: bool = False) -> None:
        self.seed = seed
        self.rng = Random(seed)
        scene = draw(self.rng, profile)
        self.world = World(self.rng, scene)
        self.world.trace = [f"{scene.kind}", f"{scene.policy}"] if trace else None
        self._faults_left = scene.faults
        self._steps = 0
        self._last: Actor | None = None

    def run(self) -> Report:
        world, violation = self.world, None
        with _driven_by(world):
            try:
                self._begin()
                self._go_on()
                self._end()
            except Violation as broken:
                violation = broken
                world.say(f"VIOLATED: {broken}")
        return Report(
            seed=self.seed, path=world.path, steps=self._steps, violation=violation,
            faults=world.faults, residuals=world.ledger.residuals, calls=world.ledger.calls,
            trace=world.trace,
        )  # fmt: skip

    def _begin(self) -> None:
        world, profile, rng = self.world, self.world.scene.profile, self.rng
        world.actor = Actor(0, "beginning", world.processes[0], world.now)
        if world.scene.age >= 0:
            self._store_first_pair()
        if world.scene.crowd:
            world.table.change_health({"next_exchange_at": world.now + world.scene.crowd})
        for _ in range(rng.randint(*profile.callers)):
            self._come("caller", self._draw_caller())
        if rng.random() < profile.sweepers:
            for _ in range(rng.randint(1, 3)):
                is_worker = rng.random() < profile.workers
                self._come("sweeper", actors.work if is_worker else actors.sweep)
        if rng.random() < profile.logins:
            self._come("login", logins.log_in)
        if rng.random() < profile.revocations:
            self._come("admin", logins.revoke)

    def _store_first_pair(self) -> None:
        world = self.world
        then, world.now = world.now, world.now - world.scene.age
        issued = world.issuer.log_in(world.now)
        world.table.insert(world.actor)
        swap = swaps.stored(logins.columns_of(world, issued, world.now))
        world.table.swap(world.actor, swap, "store")
        if world.table.row is not None and self.rng.random() < world.scene.profile.used:
            world.table.swap(world.actor, swaps.used(world.table.row), "change")
        session: Any = {SESSION_KEY: str(USER)}
        world.sessions.append(Session(world.ledger.logins, session, world.now))
        world.now = then

    def _draw_caller(self) -> actors.Coming:
        """In a transaction that stores, the row is locked for others: that is no calm."""
        rng, scene = self.rng, self.world.scene
        profile = scene.profile
        storing = 0.0 if scene.calm else profile.storing
        at = rng.random()
        for share, course in (
            (profile.visitors, actors.visit),
            (profile.snapshots, actors.call_in_a_transaction),
            (profile.renewals, actors.renew),
            (storing, partial(logins.log_in, calls=True, rolls_back=rng.random() < 0.3)),
        ):
            at -= share
            if at < 0:
                return course
        if rng.random() < 0.8:
            return actors.call
        return partial(actors.call, min_validity=rng.randrange(self.world.scene.kind.lifetime))

    def _come(self, kind: str, course: actors.Coming) -> None:
        world, rng = self.world, self.rng
        process = rng.choice(world.processes)
        index = process.index

        def arrive() -> None:
            world.spawn(kind, world.processes[index], partial(course, world))

        world.at(world.now + self._draw_arrival(), arrive)

    def _draw_arrival(self) -> int:
        """Mostly together; else when something has just run out."""
        rng, kind, profile = self.rng, self.world.scene.kind, self.world.scene.profile
        if rng.random() < profile.together:
            return rng.randrange(20_000)
        if rng.random() < profile.long_after:
            return run_out_at(kind.refresh_lifetime, kind.refresh_lifetime) + SECOND
        whens = (SECOND // 2, LEASE, 2 * LEASE, kind.lifetime * 4 // 5, kind.lifetime)
        return rng.choice(whens) + rng.randrange(SECOND // 2)

    def _go_on(self) -> None:
        world = self.world
        pace = world.scene.profile.pace
        while True:
            world.happen()
            actor = self._choose()
            if actor is None:
                if not self._advance():
                    return
                continue
            self._steps += 1
            if self._steps > MOST_STEPS:
                violated(Rule.AN_END, ", ".join(map(str, world.actors)))
            world.step(actor)
            if self._faults_left and self.rng.random() < pace:
                self._faults_left -= 1
                faults.inject(world)

    def _choose(self) -> Actor | None:
        """Whose turn it is: often the same one's again, so that whole stretches are run too."""
        world, now, last = self.world, self.world.now, self._last
        ready = [a for a in world.actors if a.ready_at <= now and a.paused_until <= now]
        if not ready:
            return None
        if last in ready and self.rng.random() < world.scene.profile.stickiness:
            return last
        self._last = ready[int(self.rng.random() * len(ready))]
        return self._last

    def _advance(self) -> bool:
        """To the next moment at which somebody can go on or something happens."""
        world = self.world
        times = [max(a.ready_at, a.paused_until) for a in world.actors]
        event = world.next_event_at()
        if event is not None:
            times.append(event)
        if times:
            world.now = max(world.now, min(times))
        return bool(times)

    def _end(self) -> None:
        """All is well again: whoever comes now is served, or told why not."""
        world = self.world
        world.scene = replace(world.scene, calm=True)
        world.table.due.clear()
        world.table.suspend(False)
        self._faults_left = 0
        for attempt in range(MOST_LAST_CALLS):
            if attempt > 1 and world.ledger.last_call_settled:
                break
            row = world.table.row
            ends = [row.cooldown_until, row.pending_until, row.lease_until] if row else []
            world.now = max(world.now, world.table.health.cooling_until, *ends) + 2 * LEASE
            world.spawn("last caller", world.processes[0], partial(actors.call, world))
            self._go_on()
        check_ending(world)


@contextmanager
def _driven_by(world: World) -> Iterator[None]:
    """The package's one monotonic clock and its session epoch are this world's."""
    present.append(world)
    with ExitStack() as stack:
        stack.callback(present.pop)
        stack.enter_context(patch.object(clock, "monotonic", world.monotonic))
        stack.enter_context(patch.object(sessions, "_read", lambda owner: world.table.epoch))
        yield


def run(seed: int, profile: Profile = STANDARD, *, trace: bool = False) -> Report:
    return Schedule(seed, profile, trace=trace).run()
