"""One refresh under way: who waits for it, and what is done in its thread."""

import contextvars
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Final

from jwt_outbound.querysets import alias
from jwt_outbound.refresh import connections as own
from jwt_outbound.refresh import undone
from jwt_outbound.refresh.steps import Outcome

GRACE: Final = 1.0
"""Seconds that waiters leave the signal's receivers, once the outcome is committed."""

Work = Callable[["Flight"], Outcome]


class Flight:
    """One refresh under way."""

    def __init__(self, key: Hashable, service: str, work: Work, *, ahead: bool = False) -> None:
        self.key, self.service, self.ahead = key, service, ahead
        self._work = work
        self._context = contextvars.copy_context()
        self._surroundings = own.surroundings()
        self._lock = threading.Lock()
        self._outcome: Outcome | None = None
        self._waiters: list[Future[Outcome]] = []
        self._alarm: threading.Timer | None = None
        self._safe: tuple[Outcome, float] | None = None

    @property
    def is_over(self) -> bool:
        """The waiters have their outcome: whoever comes now needs a newer one."""
        return self._outcome is not None

    def join(self) -> Future[Outcome]:
        """A future of the joiner's own."""
        future: Future[Outcome] = Future()
        with self._lock:
            outcome = self._outcome
            if outcome is None:
                self._waiters.append(future)
        if outcome is None:
            self._set_alarm()
        else:
            future.set_result(outcome)
        return future

    def committed(self, outcome: Outcome) -> None:
        """The outcome is safe: whoever still waits in a second gets it, receivers or not."""
        with self._lock:
            self._safe = outcome, time.monotonic() + GRACE
        self._set_alarm()

    def _set_alarm(self) -> None:
        """As soon as the outcome is safe and somebody waits for it: an alarm is a thread."""
        with self._lock:
            if self._safe is None or self._alarm is not None or not self._waiters:
                return
            outcome, due = self._safe
            left = max(0.0, due - time.monotonic())
            self._alarm = alarm = threading.Timer(left, self.deliver, (outcome,))
        alarm.daemon = True
        try:
            alarm.start()
        except RuntimeError:
            # The interpreter is ending and gives no more threads; what follows is still done.
            self.deliver(outcome)

    def deliver(self, outcome: Outcome) -> None:
        """Wakes all waiters; only the first call counts."""
        with self._lock:
            if self._outcome is not None:
                return
            self._outcome = outcome
            waiters, self._waiters = self._waiters, []
        for future in waiters:
            if future.set_running_or_notify_cancel():
                future.set_result(outcome)

    def fly(self) -> None:
        """Does the work, in the thread that calls it."""
        outcome = undone.BROKEN
        try:
            outcome = self._context.run(self._run)
        finally:
            if self._alarm is not None:
                self._alarm.cancel()
            self.deliver(outcome)

    def _run(self) -> Outcome:
        with own.own_connection(alias(), self._surroundings):
            return self._work(self)
