"""One worker: takes due pairs in hand, and refreshes them on a few threads, through the same leases
as everyone. Any number of them on any number of hosts share the work.
"""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final

from django.db import Error as DatabaseFailure

from jwt_outbound.conf import Service
from jwt_outbound.faults import describe
from jwt_outbound.fleet import due as hand
from jwt_outbound.fleet.due import Due
from jwt_outbound.fleet.lanes import Lane
from jwt_outbound.fleet.plans import Do
from jwt_outbound.fleet.refreshing import Refreshing
from jwt_outbound.fleet.results import Result
from jwt_outbound.fleet.threads import Threads
from jwt_outbound.querysets import database_now
from jwt_outbound.refresh.store import patiently

logger = logging.getLogger("jwt_outbound")

POLL: Final = 1.0
"""Seconds between two looks for what is due, while nothing was."""
LONGEST_POLL: Final = 30.0
"""Between two tries while the database is away."""
BUSY_POLL: Final = 5.0
"""Between two looks while there is no room for more: the health file must not age meanwhile."""

Hand = list[tuple[Lane, list[Due], list[Due]]]
"""What a look has brought, by lanes: what is to be done, and what was left alone."""


class Worker:
    """Refreshes what is due of some services, until nothing is, or for ever.

    `landed` is called after each pair that was done. Not for use from several threads.
    """

    def __init__(
        self,
        services: Collection[Service],
        *,
        threads: int,
        inline: bool = False,
        landed: Callable[[Result], None] = lambda result: None,
        looked: Callable[[], None] = lambda: None,
    ) -> None:
        # Some are lined up for a thread that gets free, so that it need not wait for the loop.
        most = threads if inline else threads + max(1, threads // 4)
        share = most if len(services) == 1 else max(1, threads // 2)
        self._lanes = {service.name: Lane(service, share) for service in services}
        self._most = most
        self._threads = Threads(threads, inline=inline)
        self._refreshing = Refreshing(self._threads)
        self._landed, self._looked = landed, looked
        self._stopped = False
        # What is done, and None: stop. Its `put` may be called in a signal handler, which the
        # methods of an Event may not: the handler interrupts the thread that waits for it.
        self._news: SimpleQueue[Future[Any] | None] = SimpleQueue()
        self._jobs: dict[Future[Result], tuple[Lane, Due]] = {}
        self._looking: Future[Hand] | None = None
        self._forever = False
        self._look_at = self._look_by = 0.0
        self._poll = POLL
        self.counts: Counter[Result] = Counter()
        self.due_by: int | None = None
        """Where it works once: only what was due at this time, by the database's clock."""

    def stop(self) -> None:
        """What is under way comes to its end, and nothing more begins. Safe in a signal handler."""
        self._stopped = True
        self._news.put(None)

    @property
    def is_stopped(self) -> bool:
        """Whether it was asked to stop."""
        return self._stopped

    def cooling(self) -> set[str]:
        """The services whose issuers are in a cool-down, as far as it knows."""
        return {name for name, lane in self._lanes.items() if lane.is_cooling}

    def run(self, *, forever: bool) -> None:
        """Works until `stop`, or until nothing is left of what was due when it began.

        Raises `django.db.Error` where the database is away and it does not go on for ever.
        """
        self._forever = forever
        try:
            while not self._stopped:
                for lane in self._lanes.values():
                    lane.drop_lapsed()
                self._look()
                self._begin()
                if not (forever or self._is_at_work() or self._is_wanting() or self._queued()):
                    break
                self._wait()
        finally:
            self._end()

    def _look(self) -> None:
        """Begins to take due pairs in hand, where there is room for them: what is lined up is
        refreshed meanwhile."""
        if self._looking is None and time.monotonic() >= self._next_look():
            self._looking = self._threads.at_desk(partial(patiently, self._take_in_hand))
            self._looking.add_done_callback(self._news.put)

    def _next_look(self) -> float:
        if self._is_wanting():
            return 0.0
        return self._look_at if self._has_room() else max(self._look_at, self._look_by)

    def _take_in_hand(self) -> Hand:
        """At the desk."""
        self._refreshing.write_lines()
        now, issuers = database_now(), hand.health_of_all(self._lanes)
        if self.due_by is None and not self._forever:
            self.due_by = now
        for name, issuer in issuers.items():
            self._lanes[name].look(issuer, now)
        return [
            (lane, *hand.take({name: lane.policy}, room, issuers, self.due_by))
            for name, lane in self._lanes.items()
            if (room := lane.room)
        ]

    def _line_up(self, looked: Future[Hand]) -> None:
        """What the look has brought. Raises `django.db.Error` as `run` does."""
        self._looking = None
        try:
            found = looked.result()
        except DatabaseFailure as error:
            if not (self._forever or self._stopped):
                raise
            logger.error("The token tables' database is away or not migrated: %s.", describe(error))
            self._poll = min(2 * self._poll, LONGEST_POLL)
            for lane in self._lanes.values():
                lane.is_exhausted = True
        else:
            self._poll = POLL
            for lane, todo, left in found:
                lane.fill(todo)
                lane.is_exhausted = not (todo or left)
                for due in left:
                    self._count(Result.PUT_OFF if due.plan.do is Do.PUT_OFF else Result.LEFT)
            self._looked()
        self._look_at = time.monotonic() + self._poll * random.uniform(0.8, 1.2)  # noqa: S311
        self._look_by = time.monotonic() + BUSY_POLL

    def _begin(self) -> None:
        while len(self._jobs) < self._most and (next_one := self._take_next()) is not None:
            lane, due = next_one
            job = self._refreshing.begin(lane, due)
            self._jobs[job] = lane, due
            job.add_done_callback(self._news.put)

    def _take_next(self) -> tuple[Lane, Due] | None:
        """Of the service that has the fewest threads, so that a slow issuer leaves some to all."""
        for lane in sorted(self._lanes.values(), key=lambda lane: (lane.flying, lane.began_at)):
            if (due := lane.take()) is not None:
                return lane, due
        return None

    def _wait(self) -> None:
        """Until something is done, may begin, or should be looked for."""
        try:
            done = self._news.get(timeout=self._pause())
            while done is not None:
                if done is self._looking:
                    self._line_up(self._looking)
                else:
                    self._finish(done)
                done = self._news.get_nowait()
        except Empty:
            return

    def _pause(self) -> float:
        if len(self._jobs) >= self._most:
            return POLL
        look = POLL if self._looking else max(0.0, self._next_look() - time.monotonic())
        waits = [lane.wait for lane in self._lanes.values() if lane.wait is not None]
        return min([*waits, look])

    def _finish(self, job: Future[Result]) -> None:
        lane, due = self._jobs.pop(job)
        try:
            result = job.result()
        except Exception as error:  # noqa: BLE001 - the others go on
            logger.error("Pair %s was not refreshed: %s.", due.pair.pk, describe(error))
            result = Result.NOT_STORED
        if result is Result.PUT_OFF and due.is_mine:
            lane.put_back(due)
            return
        lane.landed()
        self._count(result)

    def _count(self, result: Result) -> None:
        self.counts[result] += 1
        self._landed(result)

    def _end(self) -> None:
        """What has begun is finished; what was only in hand is anybody's again."""
        try:
            self._recall()
            while self._jobs:
                self._finish(next(iter(self._jobs)))
            self._refreshing.end()
            if self._looking is not None:
                self._line_up(self._looking)
            self._let_go()
        finally:
            self._threads.close()

    def _recall(self) -> None:
        for job, (lane, due) in list(self._jobs.items()):
            if job.cancel():
                del self._jobs[job]
                lane.recall(due)

    def _let_go(self) -> None:
        queued = [due for lane in self._lanes.values() for due in lane.queue]
        if not queued:
            return
        try:
            self._threads.at_desk(partial(hand.let_go, queued)).result()
        except DatabaseFailure:
            logger.warning("%d pairs stay claimed for half a minute.", len(queued))

    def _is_at_work(self) -> bool:
        return bool(self._jobs) or self._looking is not None

    def _queued(self) -> bool:
        return any(lane.queue for lane in self._lanes.values())

    def _is_wanting(self) -> bool:
        """Whether a lane has room, and more may be due."""
        return any(lane.room and not lane.is_exhausted for lane in self._lanes.values())

    def _has_room(self) -> bool:
        """Whether to look for more; where all issuers cool down, whether they still do."""
        return any(lane.room for lane in self._lanes.values()) or not self._queued()
