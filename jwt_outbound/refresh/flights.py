"""Flights: the refresh on the library's own threads, while its callers only wait.

In one process there is one flight for each pair and generation; whoever comes later joins it and
gets a future of his own, since a shared one would be cancelled for all when one gives up.
"""

import contextvars
import logging
import os
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from django.utils.module_loading import import_string

from jwt_outbound.conf import get_settings
from jwt_outbound.exceptions import TokenStoreUnavailable
from jwt_outbound.faults import describe
from jwt_outbound.querysets import alias
from jwt_outbound.refresh import connections as own
from jwt_outbound.refresh.driver import Driver
from jwt_outbound.refresh.steps import Outcome
from jwt_outbound.refresh.words import Ask, Failure
from jwt_outbound.rows import IssuerHealth, Reading

logger = logging.getLogger("jwt_outbound")

GRACE: Final = 1.0
"""Seconds that waiters leave the signal's receivers, once the outcome is committed."""

Work = Callable[["Flight"], Outcome]


class Flight:
    """One refresh under way."""

    def __init__(self, key: Hashable, service: str, work: Work) -> None:
        self.key, self.service = key, service
        self._work = work
        self._context = contextvars.copy_context()
        self._surroundings = _surroundings()
        self._lock = threading.Lock()
        self._outcome: Outcome | None = None
        self._waiters: list[Future[Outcome]] = []
        self._alarm: threading.Timer | None = None

    @property
    def is_over(self) -> bool:
        """The waiters have their outcome: whoever comes now needs a newer one."""
        return self._outcome is not None

    def join(self) -> Future[Outcome]:
        """A future of the joiner's own."""
        future: Future[Outcome] = Future()
        with self._lock:
            if self._outcome is None:
                self._waiters.append(future)
                return future
        future.set_result(self._outcome)
        return future

    def committed(self, outcome: Outcome) -> None:
        """The outcome is safe: whoever still waits in a second gets it, receivers or not."""
        self._alarm = threading.Timer(GRACE, self.deliver, (outcome,))
        self._alarm.daemon = True
        self._alarm.start()

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
        outcome = _BROKEN
        try:
            outcome = self._context.run(self._run)
        finally:
            if self._alarm is not None:
                self._alarm.cancel()
            self.deliver(outcome)

    def _run(self) -> Outcome:
        with own.own_connection(alias(), self._surroundings):
            return self._work(self)


class Flights:
    """This process's flights: few threads, at most half of them for one service."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._flights: dict[Hashable, Flight] = {}
        self._flying: dict[str, int] = defaultdict(int)
        self._queued: dict[str, deque[Flight]] = defaultdict(deque)
        self._jobs: set[Future[None]] = set()

    def start(self, key: Hashable, service: str, work: Work) -> Flight:
        """The flight under `key`, started unless it is under way."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None and not flight.is_over:
                return flight
            flight = self._flights[key] = Flight(key, service, work)
            if self._flying[service] < max(1, get_settings().flight_threads // 2):
                self._launch(flight)
            else:
                self._queued[service].append(flight)
            return flight

    def drain(self, timeout: float | None = None) -> bool:
        """Waits until no flight is under way; False after `timeout` seconds."""
        while True:
            with self._lock:
                pending: list[Future[Any]] = [f.join() for f in self._flights.values()]
                pending += self._jobs
            if not pending:
                return True
            if wait(pending, timeout).not_done:
                return False

    def close(self, timeout: float | None = None) -> bool:
        """Waits as `drain` does, then ends the threads and their connections."""
        drained = self.drain(get_settings().graceful_stop if timeout is None else timeout)
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=drained)
        own.close_idle()
        return drained

    def _launch(self, flight: Flight) -> None:
        if self._executor is None:
            _warn_about_uwsgi()
            self._executor = ThreadPoolExecutor(
                get_settings().flight_threads, thread_name_prefix="jwt_outbound"
            )
        self._flying[flight.service] += 1
        try:
            job = self._executor.submit(self._fly, flight)
        except RuntimeError:
            # The interpreter is shutting down.
            self._flying[flight.service] -= 1
            self._flights.pop(flight.key, None)
            flight.deliver(_BROKEN)
            return
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    def _fly(self, flight: Flight) -> None:
        try:
            flight.fly()
        except Exception as error:  # noqa: BLE001 - nobody would see it in this thread
            logger.error("A flight for %r came to nothing: %s.", flight.service, describe(error))
        finally:
            self._landed(flight)

    def _landed(self, flight: Flight) -> None:
        with self._lock:
            if self._flights.get(flight.key) is flight:
                del self._flights[flight.key]
            self._flying[flight.service] -= 1
            if self._queued[flight.service]:
                self._launch(self._queued[flight.service].popleft())


def _warn_about_uwsgi() -> None:
    """Without `enable-threads` uWSGI never gives a thread of ours the interpreter."""
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None and not uwsgi.opt.get("enable-threads") and not uwsgi.opt.get("threads"):
        logger.warning("uWSGI runs without threads: set enable-threads, or no refresh will end.")


def _surroundings() -> AbstractContextManager[object]:
    """What the caller's `FLIGHT_CONTEXT` wants to take along, such as a tenant's schema."""
    path = get_settings().flight_context
    if path is None:
        return nullcontext()
    made: AbstractContextManager[object] = import_string(path)()
    return made


_BROKEN = Outcome(
    reading=Reading(pair=None, issuer=IssuerHealth(), now=0, at=0),
    failure=Failure(
        kind=TokenStoreUnavailable,
        message="The refresh could not be carried out; the log says why. The pair stays.",
    ),
)


def key_of(ask: Ask) -> Hashable:
    """Who shares a flight: all who ask for the same pair and generation.

    Without a row there is no key that two tenants' schemas could not share: such flights are not
    joined, and settle it by the lease.
    """
    return (ask.pk, ask.generation) if ask.pk else object()


def launch(driver: Driver) -> Flight:
    """The flight that `driver` asks for; a new one only if need be."""

    def work(flight: Flight) -> Outcome:
        driver.committed = flight.committed
        return driver.run()

    return flights.start(key_of(driver.ask), driver.ask.service, work)


flights = Flights()
_forgotten: list[Flights] = []


def _forget() -> None:
    """In a forked child there is no thread of ours: the parent's flights are not ours to end."""
    global flights
    _forgotten.append(flights)
    flights = Flights()


os.register_at_fork(after_in_child=_forget)
