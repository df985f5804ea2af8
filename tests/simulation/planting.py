"""How a bug is planted: a swap with another fence, a flow with a step left out, moved or retold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any
from unittest.mock import patch

from jwt_outbound import swaps
from jwt_outbound.compare_and_swap import Swap
from jwt_outbound.refresh.flow import Refresh
from jwt_outbound.refresh.steps import Flow, Step
from tests.simulation.rules import Rule
from tests.simulation.scenes import Profile
from tests.simulation.scheduler import STANDARD, present
from tests.simulation.world import World

Planted = AbstractContextManager[Any]
Plant = Callable[[], Planted]


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A planted bug."""

    name: str
    plant: Plant
    caught_as: tuple[Rule, ...]
    """The invariants that may notice it."""
    profile: Profile = STANDARD
    """It makes likelier what the bug needs to do harm; the invariants are the same."""


def the_world() -> World:
    return present[-1]


def instead(owner: object, name: str, wrong: Callable[..., Any]) -> Plant:
    """`wrong` gets the real function before its arguments."""
    real = getattr(owner, name)

    @wraps(real)
    def planted(*args: Any, **options: Any) -> Any:
        return wrong(real, *args, **options)

    return lambda: patch.object(owner, name, planted)


def together(*plants: Plant) -> Plant:
    """One bug that stands in two places."""

    @contextmanager
    def planted() -> Iterator[None]:
        with ExitStack() as stack:
            for plant in plants:
                stack.enter_context(plant())
            yield

    return planted


# Swaps


def swap(name: str, wrong: Callable[[Swap], Swap]) -> Plant:
    return instead(swaps, name, lambda real, *args, **options: wrong(real(*args, **options)))


def unfenced(name: str, *columns: str) -> Plant:
    """The swap's condition without some columns."""
    return swap(
        name, lambda s: replace(s, where={k: v for k, v in s.where.items() if k not in columns})
    )


def unchanged(name: str, *columns: str) -> Plant:
    """The swap leaves some columns as they are."""
    return swap(
        name, lambda s: replace(s, changes={k: v for k, v in s.changes.items() if k not in columns})
    )


def setting(name: str, **columns: Any) -> Plant:
    """The swap sets some columns to something else."""
    return swap(name, lambda s: replace(s, changes={**s.changes, **columns}))


# The flow


def method(name: str, wrong: Callable[[Refresh, Flow[Any]], Flow[Any]]) -> Plant:
    """A part of the flow as `wrong` passes it on."""
    real: Any = getattr(Refresh, name)

    def planted(self: Refresh, *args: Any) -> Flow[Any]:
        return wrong(self, real(self, *args))

    return lambda: patch.object(Refresh, name, planted)


def pass_on(
    flow: Flow[Any],
    *,
    step: Callable[[Step], Step] = lambda step: step,
    skip: Callable[[Step], bool] = lambda step: False,
    result: Callable[[Step, Any], Any] = lambda step, result: result,
) -> Flow[Any]:
    """The flow, with steps changed, answered without being carried out, or retold."""
    sent: Any = None
    while True:
        try:
            wanted = flow.send(sent)
        except StopIteration as stop:
            return stop.value
        done = None if skip(wanted) else (yield step(wanted))
        sent = result(wanted, done)
