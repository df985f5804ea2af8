"""The world of one schedule: its time, its hosts with their clocks, and who is at work in it."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

from jwt_outbound.clock import SECOND
from jwt_outbound.refresh.flights import Flights
from jwt_outbound.refresh.steps import Outcome
from tests.simulation.issuer import Issuer
from tests.simulation.ledger import Ledger
from tests.simulation.scenes import Scene
from tests.simulation.table import Table, Transaction

if TYPE_CHECKING:
    from concurrent.futures import Future

    from jwt_outbound.refresh.flight import Flight
    from tests.simulation.records import Attempt, Lease

BEGINNING: Final = 1_800_000_000 * SECOND
AT_ONCE: Final = 0
"""What an actor yields that could go on at once: whoever wants may come between."""
STEP: Final = SECOND // 1000

Result = TypeVar("Result")
Course = Generator[int, None, Result]
"""An actor's course: it yields the time until which it can wait."""


class Process:
    """One process on a host of its own, with that host's clocks."""

    def __init__(self, world: World, index: int) -> None:
        self.index = index
        self.shift = world.rng.randrange(10**12)
        """Between the host's monotonic clock and the database's time."""
        self.wall = world.rng.randrange(-3600 * SECOND, 3600 * SECOND)
        """By how much the host's wall clock is wrong."""
        self.flights = Registry(world, self)


class Registry(Flights):
    """The real registry of flights, which launches actors in place of threads."""

    def __init__(self, world: World, process: Process) -> None:
        super().__init__()
        self._world, self._process = world, process

    def _launch(self, flight: Flight) -> bool:
        journey: Any = flight._work

        def fly(actor: Actor) -> Course[None]:
            outcome: Outcome = yield from journey(actor, flight)
            flight.deliver(outcome)
            yield AT_ONCE
            self._landed(flight)

        self._world.spawn("flight", self._process, fly).flight = flight
        return True


class Actor:
    """Somebody at work: a flight, a caller, a login."""

    def __init__(self, index: int, kind: str, process: Process, now: int) -> None:
        self.index, self.kind, self.process = index, kind, process
        self.course: Course[Any]
        self.began_at = self.ready_at = now
        self.paused_until = self.stalled = self.looked_at = 0
        self.ended_at = 0
        self.crashed = self.failed = False
        """Killed; or what it needed did not do its part."""
        self.transaction: Transaction | None = None
        self.future: Future[Outcome] | None = None
        self.flight: Flight | None = None
        self.flow: Generator[Any, Any, Any] | None = None
        self.lease: Lease | None = None
        self.attempt: Attempt | None = None
        self.seen: tuple[UUID | None, int] = (None, -1)
        """The newest pair that it has read: primary key and generation."""

    def __str__(self) -> str:
        return f"{self.kind} {self.index} in process {self.process.index}"


@dataclass(frozen=True, slots=True)
class Session:
    """A user's session, and the login whose request stamped it."""

    login: int
    data: Any
    stamped_at: int


class World:
    """Everything that the actors share."""

    def __init__(self, rng: Random, scene: Scene) -> None:
        self.rng, self.scene = rng, scene
        self.now = BEGINNING
        self.issuer = Issuer(scene.kind)
        self.ledger = Ledger(self)
        self.table = Table(self)
        self.processes = [Process(self, index) for index in range(scene.processes)]
        self.actors: list[Actor] = []
        self.actor: Actor
        """Whose turn it is."""
        self.sessions: list[Session] = []
        self.faults: Counter[str] = Counter()
        self.trace: list[str] | None = None
        self.path = 0
        """A hash of the way that this schedule took."""
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = self._sealed = 0

    # Clocks

    def monotonic(self) -> int:
        """The monotonic clock of the host whose turn it is."""
        return self.now + self.actor.process.shift

    def wall(self) -> int:
        """The wall clock of that host, which nothing may go by."""
        return self.now + self.actor.process.wall

    # Actors

    def spawn(self, kind: str, process: Process, course: Callable[[Actor], Course[Any]]) -> Actor:
        self._count += 1
        actor = Actor(self._count, kind, process, self.now)
        actor.course = course(actor)
        self.actors.append(actor)
        return actor

    def wake(self, actor: Actor) -> None:
        actor.ready_at = min(actor.ready_at, self.now)

    def step(self, actor: Actor) -> None:
        """Lets the actor go on to where it waits next."""
        lag = self.now - actor.ready_at
        if lag > 0:
            actor.stalled += lag
        self.actor = actor
        self.path = hash((self.path, actor.index))
        try:
            until = next(actor.course)
        except StopIteration:
            self.actors.remove(actor)
            actor.ended_at = self.now
            return
        self.now += 100 + int(self.rng.random() * STEP)
        actor.ready_at = max(until, self.now)

    def crash(self, process: Process) -> None:
        """`kill -9`: nothing of the process is left but what the others have of it."""
        for actor in [a for a in self.actors if a.process is process]:
            self.remove(actor)
            actor.crashed = True
        process.flights = Registry(self, process)

    def remove(self, actor: Actor) -> None:
        self.actors.remove(actor)
        if actor.transaction is not None:
            actor.transaction.roll_back()

    # Events: what happens by itself

    def at(self, time: int, happen: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (time, self._count, happen))

    def next_event_at(self) -> int | None:
        return self._events[0][0] if self._events else None

    def happen(self) -> None:
        """All events that are due."""
        while self._events and self._events[0][0] <= self.now:
            heapq.heappop(self._events)[2]()

    # Sealing: bytes with a tag, never twice the same, as the real ones

    def seal(self, text: str, kind: str) -> bytes:
        self._sealed += 1
        return f"{text}~{self._sealed}".encode() if text else b""

    # What is kept for the reader

    def went(self, code: int) -> None:
        self.path = hash((self.path, code))

    def say(self, what: str, who: object = "") -> None:
        if self.trace is not None:
            at = (self.now - BEGINNING) / SECOND
            self.trace.append(f"{at:10.4f}  {who!s:26}  {what}")
