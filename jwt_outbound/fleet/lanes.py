"""A worker's lanes, one for each service: how many of its pairs may be under way, and how fast."""

import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from jwt_outbound import clock
from jwt_outbound.clock import SECOND
from jwt_outbound.conf import Service
from jwt_outbound.fleet.due import CLAIM, Due
from jwt_outbound.refresh.cooldown import SERVICE_AFTER
from jwt_outbound.refresh.policies import policy_of
from jwt_outbound.rows import IssuerHealth, Reading

SOON: Final = 0.5
LATE: Final = 1.5
"""Seconds between two claims: less is too little for one, more is too much."""
MOST_IN_RESERVE: Final = 8
"""Times what may be under way at once."""
BELIEVED: Final = 2 * SECOND
SLOWEST: Final = 2.0
"""Seconds between two tries, while others use up the service's budget."""
SLOWER: Final = 1.25
FASTER: Final = 0.9
"""For each try that came too early, and each that did not: a third of them may be in vain, which
costs a reading each. With fewer, workers that share a budget would leave much of it unused."""


class Lane:
    """One service in this worker. Monotonic seconds."""

    def __init__(self, service: Service, most: int) -> None:
        self.service, self.policy = service, policy_of(service)
        self.issuer = IssuerHealth()
        self.queue: deque[Due] = deque()
        self.is_exhausted = False
        """Whether the last look brought nothing: the next one can wait."""
        self._reserve = self._most = min(most, service.exchanges_at_once or most)
        self._filled_at = 0.0
        self._doubted_at = -1
        self.flying = 0
        self.began_at = 0.0
        self._spacing = self._pace = self.policy.spacing / SECOND
        self._next_at = 0.0
        self._cooling_until = 0.0

    def look(self, issuer: IssuerHealth, now: int) -> None:
        """Takes note of what all hosts know of the issuer at `now`, the database's time."""
        self.issuer = issuer
        self._cooling_until = time.monotonic() + (issuer.cooling_until - now) / SECOND
        if self._limit < self._most:
            self._reserve = self._limit

    @property
    def is_cooling(self) -> bool:
        """Whether nobody is to ask the issuer now."""
        return self._cooling_until > time.monotonic()

    @property
    def room(self) -> int:
        """How many more pairs are wanted in hand: what may be under way at once, and a reserve.
        None before half of that has begun, so that many are claimed at once; and no more than can
        begin, as fast as the budget allows, before the claim is half over."""
        if self.is_cooling or 2 * len(self.queue) > self._reserve:
            return 0
        wanted = self._limit + self._reserve
        in_time = max(1, int(CLAIM / SECOND / 2 / self._pace)) if self._pace else wanted
        return max(0, min(wanted - self.flying, in_time) - len(self.queue))

    def fill(self, todo: Sequence[Due]) -> None:
        """Queues what has been taken in hand. The sooner it was needed, the more is taken the next
        time: to claim a few pairs takes the database hardly less than to claim many."""
        now = time.monotonic()
        if todo and now - self._filled_at < SOON:
            self._reserve = min(2 * self._reserve, MOST_IN_RESERVE * self._limit)
        elif now - self._filled_at > LATE:
            self._reserve = max(self._reserve // 2, self._limit)
        self._filled_at = now
        self.queue.extend(todo)

    def believes(self, reading: Reading) -> bool:
        """Whether a flight may begin with what was read for its claim.

        What has changed in the row since shows when the lease is taken. How the issuer is does
        not: that is looked at again where some refresh came to nothing, or for a budget.
        """
        if self._spacing or reading.at <= self._doubted_at:
            return False
        return clock.monotonic() - reading.at < BELIEVED

    def doubt(self) -> None:
        """What was read until now may not be so any more. Safe in any thread."""
        self._doubted_at = clock.monotonic()

    def take(self) -> Due | None:
        """The next one that may begin now; it is under way until `landed`."""
        now = time.monotonic()
        if not self.queue or self.flying >= self._limit or now < self._next_at:
            return None
        self._next_at = now + self._pace
        self.began_at = now
        self.flying += 1
        return self.queue.popleft()

    def drop_lapsed(self) -> None:
        """Gives up those whose claim has run out while they queued, as others may have them now.

        The oldest claims stand first, so this is cheap enough for each turn of the worker's loop.
        One that was put back may hide an older one for a while; then the lease says whose it is.
        """
        while self.queue and not self.queue[0].is_mine:
            self.queue.popleft()
            self.is_exhausted = False

    def landed(self) -> None:
        """One is done."""
        self.flying -= 1
        self._pace = max(self._spacing, FASTER * self._pace)

    def recall(self, due: Due) -> None:
        """It has not begun yet, and is not to."""
        self.flying -= 1
        self.queue.appendleft(due)

    def put_back(self, due: Due) -> None:
        """Others had used up the budget: once more, and slower."""
        self.flying -= 1
        self._pace = min(SLOWER * self._pace, max(SLOWEST, self._spacing))
        self._next_at = time.monotonic() + self._pace
        self.queue.appendleft(due)

    @property
    def wait(self) -> float | None:
        """Seconds until the next one may begin; None: there is none, or one must land first."""
        if not self.queue or self.flying >= self._limit:
            return None
        return max(0.0, self._next_at - time.monotonic())

    @property
    def _limit(self) -> int:
        """One alone tries whether an issuer is back after an outage."""
        return 1 if self.issuer.failures >= SERVICE_AFTER else self._most
