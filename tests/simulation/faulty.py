"""Parts of the flow as somebody might have written them: the longer ones of the planted bugs."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from jwt_outbound.compare_and_swap import Swap
from jwt_outbound.exceptions import RefreshTokenRefused
from jwt_outbound.issuers.answers import Answer
from jwt_outbound.refresh import steps
from jwt_outbound.refresh.failures import in_progress, login_required
from jwt_outbound.refresh.flight import Flight
from jwt_outbound.refresh.flow import Refresh
from jwt_outbound.refresh.steps import Flow, Outcome, Step
from jwt_outbound.refresh.words import Act, Verdict
from jwt_outbound.rows import Reading
from tests.simulation.planting import pass_on, the_world

# Swaps, decisions, measures


def fenced_on_the_owner(real: Any, pair: Any, columns: Any) -> Swap:
    swap: Swap = real(pair, columns)
    return replace(swap, where={**swap.where, "lease_id": pair.lease_id + 1})


def stored_from_a_stale_read(real: Any, columns: Any) -> Swap:
    swap: Swap = real(columns)
    row = the_world().table.row
    generation = row.generation + 1 if row is not None else 1
    return replace(swap, changes={**swap.changes, "generation": generation})


def shorter(real: Any, pair: Any, length: int, **options: Any) -> Swap:
    return real(pair, length // 4, **options)  # type: ignore[no-any-return]


def never_announced(real: Any, *args: Any) -> Verdict:
    verdict: Verdict = real(*args)
    if verdict.act is not Act.ANNOUNCE:
        return verdict
    policy = the_world().scene.policy
    return Verdict(failure=login_required(RefreshTokenRefused, policy, "", ""))


def as_proof(real: Any, pair: Any, *, spent: bool, **options: Any) -> Swap:
    return real(pair, spent=False, **options)  # type: ignore[no-any-return]


def outage_as_refusal(real: Any, status: int, *args: Any) -> Answer:
    return Answer.refused() if status >= 500 else real(status, *args)


def old_is_young(real: Any, pair: Any, *args: Any) -> Verdict:
    return real(replace(pair, young_until=0), *args)  # type: ignore[no-any-return]


def without_refresh(real: Any, *args: Any, **options: Any) -> dict[str, Any]:
    return {"refresh_sealed": b"", **real(*args, **options)}


def by_the_wall_clock(real: Any, reading: Reading, monotonic: int) -> int:
    return the_world().wall()


def by_the_save(real: Any, reading: Reading, monotonic: int) -> int:
    world = the_world()
    return reading.time(world.monotonic())


# Parts of the flow


def _takes_lease(step: Step) -> bool:
    return isinstance(step, steps.Change) and "lease_id" in step.swap.changes


def read_then_written(self: Refresh, flow: Flow[Any]) -> Flow[Any]:
    """The refusal's fence as a SELECT before the UPDATE."""
    marking = next(flow)
    assert isinstance(marking, steps.Change)
    latest: Reading = yield steps.Read(self.ask)
    if latest.pair is None or latest.pair.generation != marking.pair.generation:
        return None
    held = yield replace(marking, swap=replace(marking.swap, where={}))
    try:
        step = flow.send(held)
    except StopIteration:
        return None
    while True:
        result = yield step
        try:
            step = flow.send(result)
        except StopIteration:
            return None


def without_lease(self: Refresh, flow: Flow[Any]) -> Flow[Any]:
    return pass_on(flow, skip=_takes_lease, result=lambda s, r: True if _takes_lease(s) else r)


def lease_counted_late(self: Refresh, flow: Flow[Any]) -> Flow[Any]:
    def late(step: Step) -> Step:
        if not isinstance(step, steps.Exchange):
            return step
        return replace(step, start_by=self.monotonic() + self.policy.lease - self.policy.deadline)

    return pass_on(flow, step=late)


def give_up_at_a_lock(real: Any, pair: Any, swap: Any, chance: Any) -> Flow[Any]:
    if (yield steps.Save(pair, swap)):
        return None
    return (yield steps.Settle(pair))


def announced_early(
    real: Any, self: Refresh, reading: Any, pair: Any, prepared: Any, answer: Any, reply: Any
) -> Flow[Any]:
    new = replace(pair, access_sealed=prepared.seal(answer.access.reveal(), "access"))
    event_id = self._event_id()
    yield steps.Announce(pair=new, failed=False, reason="expired", code="", event_id=event_id)
    return (yield from real(self, reading, pair, prepared, answer, reply))


def acknowledged_early(
    real: Any, self: Refresh, reading: Any, pair: Any, prepared: Any, answer: Any, reply: Any
) -> Flow[Any]:
    new = replace(pair, access_sealed=prepared.seal(answer.access.reveal(), "access"))
    yield steps.Committed(Outcome(reading=replace(reading, pair=new)))
    return (yield from real(self, reading, pair, prepared, answer, reply))


def old_snapshot(self: Refresh, flow: Flow[Any]) -> Flow[Any]:
    """Each later read shows what the first one did."""
    first: list[Reading] = []

    def retold(step: Step, result: Any) -> Any:
        if isinstance(step, steps.Read):
            first.append(result)
            return first[0]
        return result

    return pass_on(flow, result=retold)


def no_last_look(self: Refresh, flow: Flow[Any]) -> Flow[Any]:
    give_up_at = self.monotonic() + self.policy.wait
    reading: Any = None
    result: Any = None
    while True:
        try:
            step = flow.send(result)
        except StopIteration as stop:
            return stop.value
        result = yield step
        reading = result if isinstance(step, steps.Read) else reading
        if isinstance(step, steps.Pause) and self.monotonic() >= give_up_at:
            return Outcome(reading=reading, failure=in_progress(self.policy))


def restless(self: Refresh, flow: Flow[Any]) -> Flow[Any]:
    """Whoever loses the lease tries again at once, for ever."""
    lost = False

    def retold(step: Step, result: Any) -> Any:
        nonlocal lost
        if _takes_lease(step):
            lost = not result
        return result

    return pass_on(flow, skip=lambda s: lost and isinstance(s, steps.Pause), result=retold)


def caller_without_last_look(real: Any, call: Any) -> Any:
    raise in_progress(call.policy).error(call._ask)


def without_revoke(self: Refresh, flow: Flow[Any]) -> Flow[Any]:
    return pass_on(flow, skip=lambda step: isinstance(step, steps.Revoke))


def never_suspended(self: Refresh, flow: Flow[Any]) -> Flow[Any]:
    def retold(step: Step, result: Any) -> Any:
        if isinstance(step, steps.Read):
            return replace(result, issuer=replace(result.issuer, suspended=False))
        return result

    return pass_on(flow, result=retold)


def dropped_when_cancelled(real: Any, flight: Flight) -> Future[Outcome]:
    """As if the caller's own thread or task did the work."""
    future: Future[Outcome] = real(flight)

    def drop(ended: Future[Outcome]) -> None:
        if not ended.cancelled():
            return
        for actor in the_world().actors:
            if actor.flight is flight and actor.flow is not None:
                actor.flow.close()

    future.add_done_callback(drop)
    return future


def failure_overlooked(self: Refresh, flow: Flow[Any]) -> Flow[Any]:
    """As if the receiver that logs out always did."""
    return pass_on(flow, result=lambda s, r: True if isinstance(s, steps.Announce) else r)
