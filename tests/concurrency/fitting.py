"""How a worker is fitted out before its first job: settings, observers, a step to stop at."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from django.conf import settings
from django.db import connections

from jwt_outbound import signals
from jwt_outbound.refresh import flights
from jwt_outbound.refresh.driver import Driver
from jwt_outbound.refresh.flight import Flight

GO_ON = "go on"

launch_unobserved = flights.launch
_real_time = time.time

seen_signals: list[dict[str, Any]] = []
"""What this worker's receivers were told, in order."""


class Tells(Protocol):
    def tell(self, event: str, **about: Any) -> None: ...
    def wait(self, gate: str) -> None: ...


def fit_out(stage: Tells, order: dict[str, Any]) -> None:
    for name, value in order.get("settings", {}).items():
        setattr(settings, name, value)
    for alias, changes in order.get("databases", {}).items():
        _change(connections.settings[alias], changes)
    if order.get("wall_clock"):
        set_wall_clock(order["wall_clock"])
    if order.get("stop_at"):
        _stop_at(stage, order["stop_at"])
    _watch_joins(stage)
    _listen()


def _change(given: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict):
            given[key].update(value)
        else:
            given[key] = value


def set_wall_clock(seconds: float) -> None:
    """This host's wall clock is off by so much; its monotonic clock and the database's are not."""
    time.time = lambda: _real_time() + seconds


def _stop_at(stage: Tells, step: str) -> None:
    """The first flow that comes to `step` says so, and goes on when the test opens the gate."""
    original: Callable[[Driver, Any], Any] = Driver._carry_out
    left = [step]

    def carry_out(self: Driver, given: Any) -> Any:
        if type(given).__name__ in left:
            left.clear()
            stage.tell("stopped", step=step)
            stage.wait(GO_ON)
        return original(self, given)

    setattr(Driver, original.__name__, carry_out)


def _watch_joins(stage: Tells) -> None:
    """Each caller that has to wait for a flight is told of when it has joined it."""

    def launch(driver: Driver, *more: Any) -> Flight:
        flight = launch_unobserved(driver, *more)
        if not driver.ask.ahead:
            stage.tell("joined", user=driver.ask.user_id)
        return flight

    flights.launch = launch


def be_silent() -> None:
    """For a forked child: the observer would write on its parent's channel."""
    flights.launch = launch_unobserved


def _listen() -> None:
    signals.token_pair_refreshed.connect(_note, weak=False, dispatch_uid="refreshed")
    signals.token_refresh_failed.connect(_note, weak=False, dispatch_uid="failed")


def _note(sender: Any, signal: Any, **about: Any) -> None:
    failed = signal is signals.token_refresh_failed
    told = {name: about[name] for name in ("service", "reason", "code", "generation")}
    user, event_id = about["user"], str(about["event_id"])
    seen_signals.append({"failed": failed, "user": user.pk, "event_id": event_id, **told})
