"""A worker's refreshes: each of one pair, and what is done where it came to nothing."""

import logging
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Final

from django.db import Error

from jwt_outbound.clock import SECOND
from jwt_outbound.fleet.due import Due, put_aside
from jwt_outbound.fleet.lanes import Lane
from jwt_outbound.fleet.plans import Do
from jwt_outbound.fleet.results import Result, result_of
from jwt_outbound.fleet.threads import Threads
from jwt_outbound.refresh import store
from jwt_outbound.refresh.driver import Driver
from jwt_outbound.refresh.steps import Record

logger = logging.getLogger("jwt_outbound")

UNREADABLE_PAUSE: Final = 300 * SECOND
"""A pair that no key opens is tried again so much later."""
FINISH_PAUSE: Final = 30 * SECOND
"""The same for the end of a login that staff hold up."""
MOST_LINES: Final = 1000
"""Of history, that are kept while the database is away."""


class Refreshing:
    """Through the same lease as everyone, on a worker's threads.

    What went well leaves its line of history a little later, with those of many others: each by
    itself would be one commit in three. All else that an operator may look for is written at once.
    """

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._lines: deque[Record] = deque()

    def begin(self, lane: Lane, due: Due) -> Future[Result]:
        """The refresh of one pair, in a thread."""
        return self._threads.start(partial(self._refresh, lane, due))

    def write_lines(self) -> None:
        """The lines of what has gone well since the last time. Never raises.

        While the database is away they are kept for the next time.
        """
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if not store.record_all(lines):
            self._lines.extendleft(reversed(lines))
            self._lose_all_but(MOST_LINES)

    def end(self) -> None:
        """Writes those that are left. Never raises, though no connection may be had for it."""
        if self._lines:
            with suppress(Error):
                self._threads.at_desk(self.write_lines).result()
            self._lose_all_but(0)

    def _lose_all_but(self, most: int) -> None:
        lost = 0
        while len(self._lines) > most:
            self._lines.popleft()
            lost += 1
        if lost:
            logger.warning("%d history lines were not written: the database is away.", lost)

    def _refresh(self, lane: Lane, due: Due) -> Result:
        pair = due.pair
        driver = Driver(
            service=lane.service,
            ask=due.ask,
            inline=self._threads.are_none,
            outside=self._threads.outside,
            record=self._record,
            known=due.reading if lane.believes(due.reading) else None,
        )
        outcome = driver.run()
        result, after = result_of(due, outcome), outcome.reading.pair
        if result is not Result.REFRESHED:
            lane.doubt()
        if result is Result.UNREADABLE:
            logger.error("Pair %s for %r can't be read: no key fits.", pair.pk, pair.service)
            put_aside(pair, UNREADABLE_PAUSE)
        elif due.plan.do is Do.FINISH and after and after.refresh_at == pair.refresh_at:
            put_aside(pair, FINISH_PAUSE)
        return result

    def _record(self, step: Record) -> None:
        if step.line["kind"] == "refreshed":
            self._lines.append(step)
        else:
            store.record(step)
