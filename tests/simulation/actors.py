"""Who comes: callers, visitors of the API, sweepers, logins, admins. Each is a course of moves."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model

from jwt_outbound import swaps
from jwt_outbound.clock import SECOND
from jwt_outbound.exceptions import JWTOutboundError, RefreshInProgress
from jwt_outbound.fleet.lanes import BELIEVED
from jwt_outbound.fleet.plans import Do, plan_for
from jwt_outbound.refresh import flight as one_flight
from jwt_outbound.refresh import flights
from jwt_outbound.refresh.steps import Outcome
from jwt_outbound.refresh.words import Ask
from jwt_outbound.rows import IssuerHealth, Reading
from jwt_outbound.tokens import Call, Waiting
from tests.simulation import outside
from tests.simulation.flying import Pilot
from tests.simulation.scenes import SERVICE, USER
from tests.simulation.sealing import opened
from tests.simulation.world import AT_ONCE

if TYPE_CHECKING:
    from jwt_outbound.refresh.flight import Flight
    from tests.simulation.world import Actor, Course, World

GRACE: Final = int(one_flight.GRACE * SECOND)
CALLER: Final = get_user_model()(pk=USER)


class SimulatedCall(Call):
    """The caller's real way to a token, over the world's row and flights."""

    def __init__(self, world: World, actor: Actor, **asked: Any) -> None:
        self.world, self.actor = world, actor
        self.service: Any = None
        self.policy, self.user = world.scene.policy, CALLER
        self._rejected_token = None
        self._ask = Ask(service=SERVICE, user_id=USER, **asked)
        self._give_up_at = world.monotonic() + self.policy.wait

    @property
    def rejected(self) -> int | None:
        return self._ask.rejected

    def ask_for(self, reading: Reading, **how: bool) -> Ask:
        """What a flight for this caller has to bring."""
        return self._driver(reading, **how).ask

    def _read(self) -> Reading:
        world, actor = self.world, self.actor
        reading = look(world, actor)
        generation = reading.pair.generation if reading.pair else None
        world.say(f"reads generation {generation}", actor)
        if reading.pair is not None:
            actor.seen = (reading.pair.pk, reading.pair.generation)
        return reading

    def _health(self) -> IssuerHealth:
        return self.world.table.health

    def _start_ahead(self, reading: Reading) -> None:
        start(self.world, self.actor, self.ask_for(reading, ahead=True))

    def _fly(self, reading: Reading) -> Waiting:
        return start(self.world, self.actor, self.ask_for(reading)).join()

    def _grant(self, reading: Reading) -> Any:
        return reading


def look(world: World, actor: Actor) -> Reading:
    """A caller's own SELECT, in his transaction if he has one."""
    row = world.table.read(actor.transaction)
    return Reading(pair=row, issuer=world.table.health, now=world.now, at=world.monotonic())


def start(world: World, actor: Actor, ask: Ask) -> Flight:
    """The process's flight for what is asked, by the real registry."""

    def journey(pilot: Actor, flight: Flight) -> Course[Outcome]:
        def committed(outcome: Outcome) -> None:
            world.at(world.now + GRACE, lambda: flight.deliver(outcome))

        return Pilot(world, pilot, ask, committed=committed).fly()

    work: Any = journey
    return actor.process.flights.start(flights.key_of(ask), SERVICE, work)


def call(world: World, actor: Actor, **asked: Any) -> Course[Reading | None]:
    """One call of `fetch_valid_access_token`; None where it raised."""
    yield AT_ONCE
    actor.began_at, actor.stalled = world.now, 0
    fetching = SimulatedCall(world, actor, **asked)
    inline = False
    try:
        step: Any = fetching._begin()
        while isinstance(step, Future):
            yield from _wait(world, actor, fetching, step)
            if not step.done():
                step = _look_once_more(world, actor, fetching)
                continue
            outcome: Outcome = step.result()
            while outcome.yours:
                inline = True
                ask = fetching.ask_for(outcome.reading, inline=True)
                outcome = yield from Pilot(world, actor, ask, transaction=actor.transaction).fly()
            step = fetching._proceed(outcome)
    except JWTOutboundError as error:
        world.ledger.failed(actor, error, patient=not inline)
        return None
    world.ledger.served(actor, step, fetching.rejected, patient=not inline)
    if actor.transaction is None and step.pair is not None:
        yield AT_ONCE
        world.table.swap(actor, swaps.used(step.pair), "change", pk=step.pair.pk)
    return step  # type: ignore[no-any-return]


def _wait(world: World, actor: Actor, fetching: SimulatedCall, step: Waiting) -> Course[None]:
    actor.future = step
    step.add_done_callback(lambda _: world.wake(actor))
    yield AT_ONCE
    while not step.done() and fetching._left() > 0:
        yield world.now + int(fetching._left() * SECOND) + 1
    actor.future = None


def _look_once_more(world: World, actor: Actor, fetching: SimulatedCall) -> Any:
    try:
        return fetching._look_once_more()
    except RefreshInProgress:
        outside.check_caller_given_up(world, actor)
        raise


def visit(world: World, actor: Actor) -> Course[None]:
    """A call to the API, with the reactive second line (design section 3.5)."""
    served = yield from call(world, actor)
    if served is None or _is_accepted(world, served):
        return
    refused = served.pair
    assert refused is not None
    again = yield from call(world, actor, rejected=refused.generation)
    if again is None or again.pair is None or again.pair.generation == refused.generation:
        return
    if not _is_accepted(world, again):
        yield AT_ONCE
        swap = swaps.unhelped(again.pair, 10 * SECOND)
        world.table.swap(actor, swap, "change", pk=again.pair.pk)


def _is_accepted(world: World, served: Reading) -> bool:
    assert served.pair is not None
    return world.issuer.accepts(opened(served.pair.access_sealed), world.now)


def renew(world: World, actor: Actor) -> Course[None]:
    """Somebody wants the pair replaced although it may be good."""
    pair = world.table.row
    yield from call(world, actor, renew=pair.generation if pair else None)


def call_in_a_transaction(world: World, actor: Actor) -> Course[None]:
    """A caller with an old snapshot, who rolls back in the end."""
    yield AT_ONCE
    transaction = world.table.begin(actor)
    yield AT_ONCE
    yield from call(world, actor)
    transaction.roll_back()


def sweep(world: World, actor: Actor) -> Course[None]:
    """Refreshes ahead what is due, as the command and the runners do; waits for nothing."""
    yield AT_ONCE
    reading = look(world, actor)
    pair = reading.pair
    yield AT_ONCE
    start(
        world, actor,
        Ask(service=SERVICE, user_id=USER, pk=pair.pk if pair else None,
            generation=pair.generation if pair else -1, ahead=True),
    )  # fmt: skip


def work(world: World, actor: Actor) -> Course[None]:
    """The fleet's worker meets the pair: by its plan, and in no flight that others could join."""
    yield AT_ONCE
    reading = look(world, actor)
    pair, policy = reading.pair, world.scene.policy
    if pair is None or pair.refresh_at is None or pair.refresh_at > reading.now:
        return
    chance = world.rng.random()
    plan = plan_for(pair, reading.issuer, policy, reading.now, active=True, chance=chance)
    yield AT_ONCE
    if plan.do is Do.PARK:
        world.table.swap(actor, swaps.parked(pair, plan.until), "change", pk=pair.pk)
    elif plan.do is Do.FORGET:
        world.table.swap(actor, swaps.postponed(pair, plan.until), "change", pk=pair.pk)
    elif plan.do is not Do.PUT_OFF:
        ask = Ask(service=SERVICE, user_id=USER, pk=pair.pk, generation=pair.generation,
                  renew=pair.generation, ahead=True)  # fmt: skip
        known = reading if chance < 0.5 else None
        yield world.now + int(chance * 2 * BELIEVED)
        yield from Pilot(world, actor, ask, known=known).fly()


Coming = Callable[["World", "Actor"], "Course[Any]"]
