"""Flights: the refresh on the library's own threads, while its callers only wait.

In one process there is one flight for each pair and generation; whoever comes later joins it and
gets a future of his own, since a shared one would be cancelled for all when one gives up.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from jwt_outbound.conf import get_settings
from jwt_outbound.faults import describe
from jwt_outbound.refresh import connections as own
from jwt_outbound.refresh import undone
from jwt_outbound.refresh.driver import Driver
from jwt_outbound.refresh.flight import Flight, Work
from jwt_outbound.refresh.head_starts import HeadStarts
from jwt_outbound.refresh.steps import Outcome
from jwt_outbound.refresh.turns import Turns
from jwt_outbound.refresh.words import Ask

logger = logging.getLogger("jwt_outbound")


class Flights:
    """This process's flights: few threads, and a line for those who wait for one (see `turns`)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._flights: dict[Hashable, Flight] = {}
        self._turns = Turns(_at_once)
        self._jobs: set[Future[None]] = set()
        self._head_starts = HeadStarts()
        self._is_watched = False
        """A thread waits for the end of the first head start."""

    def start(self, key: Hashable, service: str, work: Work, *, ahead: bool = False) -> Flight:
        """The flight under `key`, begun or lined up unless there is one.

        `ahead`: nobody waits for it, so it begins a moment later and comes after those that
        somebody waits for, and it is over at once where too many like it wait already.
        """
        with self._lock:
            flight = self._flights.get(key)
            if flight is None or flight.is_over:
                flight = self._flights[key] = Flight(key, service, work, ahead=ahead)
                if ahead:
                    # All that a call does for it. What is left is done once its head start is
                    # over, by the thread that then carries it out.
                    self._head_starts.grant(flight)
                    self._keep_watch()
                else:
                    self._line_up(flight)
            elif not ahead:
                self._promote(flight)
            return flight

    def drain(self, timeout: float | None = None) -> bool:
        """Waits until no flight is under way or waits; False after `timeout` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._lock:
                pending: list[Future[Any]] = [f.join() for f in self._flights.values()]
                pending += self._jobs
            if not pending:
                return True
            left = None if until is None else max(0.0, until - time.monotonic())
            if wait(pending, left).not_done:
                return False

    def close(self, timeout: float | None = None) -> bool:
        """Waits for what is under way, at most `timeout` (`GRACEFUL_STOP`) seconds, and ends the
        threads and their connections; what only waits for its turn is called off.

        False: something is still under way. Its thread goes on to its end.
        """
        with self._lock:
            self._end_head_starts()
            self._call_off()
        drained = self.drain(get_settings().graceful_stop if timeout is None else timeout)
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=drained)
        own.close_idle()
        return drained

    def _keep_watch(self) -> None:
        if self._head_starts and not self._is_watched:
            self._is_watched = self._submit(self._watch)
            if not self._is_watched:
                self._end_head_starts()

    def _watch(self) -> None:
        """Waits for the end of the first head start, and carries its flight out."""
        while True:
            with self._lock:
                flight, left = self._head_starts.first()
                if left <= 0.0:
                    # First of all: whatever goes wrong here, the next one finds a thread.
                    self._is_watched = False
                    flies = self._head_starts.end(flight) and self._line_up(flight, here=True)
                    self._keep_watch()
                    break
            self._head_starts.wait(left)
        if flies:
            self._fly(flight)

    def _end_head_starts(self) -> None:
        for flight in self._head_starts.end_all():
            self._line_up(flight)

    def _promote(self, flight: Flight) -> None:
        """Somebody waits for it."""
        if self._head_starts.end(flight):
            flight.ahead = False
            self._line_up(flight)
        else:
            self._turns.promote(flight)
            self._begin_next()

    def _line_up(self, flight: Flight, *, here: bool = False) -> bool:
        """As `_begin_next`."""
        if self._turns.add(flight):
            return self._begin_next(flight if here else None)
        self._forget(flight)
        flight.deliver(undone.PUT_OFF)
        return False

    def _begin_next(self, here: Flight | None = None) -> bool:
        """Those whose turn it is. True if the one that this thread can carry out is among them."""
        flies = False
        while (flight := self._turns.take(get_settings().flight_threads)) is not None:
            if flight is here:
                flies = True
            elif not self._launch(flight):
                self._turns.landed(flight)
                self._forget(flight)
                flight.deliver(undone.CALLED_OFF)
        return flies

    def _launch(self, flight: Flight) -> bool:
        return self._submit(self._fly, flight)

    def _submit(self, work: Callable[..., None], *arguments: Any) -> bool:
        """False where the interpreter is ending, or the system gives no more threads."""
        if self._executor is None:
            _warn_about_uwsgi()
            # One more, for the thread that watches over head starts.
            self._executor = ThreadPoolExecutor(
                get_settings().flight_threads + 1, thread_name_prefix="jwt_outbound"
            )
        try:
            job = self._executor.submit(work, *arguments)
        except RuntimeError:
            return False
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        return True

    def _fly(self, flight: Flight) -> None:
        if flight.is_over:
            return  # given up, as no thread was to be had, though a thread took it up later
        try:
            flight.fly()
        except Exception as error:  # noqa: BLE001 - nobody would see it in this thread
            logger.error("A flight for %r came to nothing: %s.", flight.service, describe(error))
        finally:
            self._landed(flight)

    def _landed(self, flight: Flight) -> None:
        with self._lock:
            self._forget(flight)
            self._turns.landed(flight)
            self._begin_next()

    def _forget(self, flight: Flight) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]

    def _call_off(self) -> None:
        for flight in self._turns.dismiss():
            self._forget(flight)
            flight.deliver(undone.CALLED_OFF)


def _at_once(service: str) -> int | None:
    known = get_settings().services.get(service)
    return known.exchanges_at_once if known else None


def _warn_about_uwsgi() -> None:
    """Without `enable-threads` uWSGI never gives a thread of ours the interpreter."""
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None and not uwsgi.opt.get("enable-threads") and not uwsgi.opt.get("threads"):
        logger.warning("uWSGI runs without threads: set enable-threads, or no refresh will end.")


def key_of(ask: Ask) -> Hashable:
    """Who shares a flight: all who ask for the same pair and generation.

    Without a row there is no key that two tenants' schemas could not share: such flights are not
    joined, and settle it by the lease.
    """
    return (ask.pk, ask.generation) if ask.pk else object()


def launch(driver: Driver, see: Callable[[Outcome], None] = lambda outcome: None) -> Flight:
    """The flight that `driver` asks for; a new one only if need be. `see`: called with what has
    come of it, in its thread."""

    def work(flight: Flight) -> Outcome:
        driver.committed = flight.committed
        outcome = driver.run()
        see(outcome)
        return outcome

    ask = driver.ask
    return flights.start(key_of(ask), ask.service, work, ahead=ask.ahead)


flights = Flights()
_forgotten: list[Flights] = []


def _forget() -> None:
    """In a forked child there is no thread of ours: the parent's flights are not ours to end."""
    global flights
    _forgotten.append(flights)
    flights = Flights()


os.register_at_fork(after_in_child=_forget)
