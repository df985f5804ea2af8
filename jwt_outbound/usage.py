"""Which pairs are in use: learned with one small write for each generation, not one for each call.

The fleet's worker refreshes no others ahead, or a user who never came back would be refreshed for
ever.
"""

import logging
from functools import partial
from uuid import UUID

from django.db import Error as DatabaseFailure
from django.db import transaction

from jwt_outbound import swaps
from jwt_outbound.faults import describe
from jwt_outbound.models import TokenPair
from jwt_outbound.querysets import alias
from jwt_outbound.refresh import flights
from jwt_outbound.refresh.flight import Flight
from jwt_outbound.refresh.steps import Outcome
from jwt_outbound.rows import Pair, Reading
from jwt_outbound.transactions import Situation, situation

logger = logging.getLogger("jwt_outbound")

NO_SERVICE = ""
"""Marks have a share of the flights' threads of their own."""
MOST_NOTED = 1000

_noted: dict[tuple[UUID, int], Pair] = {}
"""By the calls of a `TestCase`."""


def note(reading: Reading, pair: Pair) -> None:
    """The access token of `pair` is about to be used. Never raises, and nobody waits for it.

    Written once the caller's transaction is over: before, it may have the row locked. In a
    `TestCase`, whose transaction never is, when a worker asks (`write_down`).
    """
    if pair.used_generation >= pair.generation and not pair.parked:
        return
    try:
        if situation(alias()) is Situation.INLINE:
            if len(_noted) >= MOST_NOTED:
                _noted.clear()
            _noted[pair.pk, pair.generation] = pair
        else:
            transaction.on_commit(partial(_start, reading, pair), using=alias(), robust=True)
    except Exception as error:  # noqa: BLE001 - the caller has his token
        logger.warning("The use of pair %s was not noted: %s.", pair.pk, describe(error))


def write_down() -> None:
    """What this process has noted and not written: a worker of its own looks soon. At most a second
    is waited for that; in a `TestCase`, nothing."""
    while _noted:
        _mark(_noted.popitem()[1])
    flights.flights.drain(1.0)


def _start(reading: Reading, pair: Pair) -> None:
    def work(flight: Flight) -> Outcome:
        try:
            _mark(pair)
        except DatabaseFailure as error:
            logger.info("The next call notes the use of pair %s: %s.", pair.pk, describe(error))
        return Outcome(reading=reading)

    key = ("used", pair.pk, pair.generation)
    flights.flights.start(key, NO_SERVICE, work, ahead=True)


def _mark(pair: Pair) -> None:
    TokenPair.objects.swap(swaps.used(pair), pk=pair.pk)
