"""A worker's refresh of one pair, and what is done where it came to nothing."""

import logging
from typing import Final

from jwt_outbound.clock import SECOND
from jwt_outbound.fleet.due import Due, put_aside
from jwt_outbound.fleet.lanes import Lane
from jwt_outbound.fleet.plans import Do
from jwt_outbound.fleet.results import Result, result_of
from jwt_outbound.fleet.threads import Threads
from jwt_outbound.refresh.driver import Driver

logger = logging.getLogger("jwt_outbound")

UNREADABLE_PAUSE: Final = 300 * SECOND
"""A pair that no key opens is tried again so much later."""
FINISH_PAUSE: Final = 30 * SECOND
"""The same for the end of a login that staff hold up."""


def refresh(lane: Lane, due: Due, threads: Threads) -> Result:
    """Through the same lease as everyone, in one of these threads."""
    pair = due.pair
    driver = Driver(
        service=lane.service,
        ask=due.ask,
        inline=threads.are_none,
        outside=threads.outside,
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
