"""The protocol's steps on the real tables, on whichever connection this thread has."""

import logging
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeVar

from django.db import Error, InterfaceError, OperationalError, connections

from jwt_outbound import seen
from jwt_outbound.faults import describe
from jwt_outbound.models import IssuerState, TokenPair, TokenPairEvent
from jwt_outbound.querysets import alias
from jwt_outbound.refresh import connections as own
from jwt_outbound.refresh.steps import Admit, Change, Health, Insert, Record, Save, Settle
from jwt_outbound.refresh.words import Ask
from jwt_outbound.rows import Pair, Reading

logger = logging.getLogger("jwt_outbound")

LOCKED_PATIENCE: Final = 5.0
"""Seconds for which a locked table of an SQLite database in memory is tried again: it does not
wait by itself."""

Result = TypeVar("Result")


def read(ask: Ask, *, renewable: bool) -> Reading:
    """Row, issuer and clocks. A connection found dead is opened anew once."""
    try:
        return _read(ask)
    except (OperationalError, InterfaceError):
        if not renewable:
            raise
    own.renew(alias())
    return _read(ask)


def _read(ask: Ask) -> Reading:
    which = {"pk": ask.pk} if ask.pk else {"user_id": ask.user_id, "service": ask.service}
    reading: Reading = patiently(lambda: TokenPair.objects.read(**which))
    health = patiently(lambda: IssuerState.objects.health(ask.service))
    return replace(reading, issuer=health)


def insert(step: Insert) -> None:
    """An empty row, unless somebody else has just made one."""
    patiently(lambda: TokenPair.objects.insert_empty(step.ask.user_id, step.ask.service))


def change(step: Change) -> bool:
    """Whether the swap held; it is committed then."""
    held = _swap(step.pair, step)
    if held:
        seen.change(step.pair.service, step.pair.user_id)
    return held


def save(step: Save, *, renewable: bool) -> bool | None:
    """As `change`, but None where the database failed: then it may be committed or not.

    Raises in a caller's transaction alone.
    """
    try:
        own.ensure_ready(alias())
        return _swap(step.pair, step)
    except Exception as error:
        connection = connections[alias()]
        if connection.in_atomic_block:
            # The caller's own transaction: what failed in it once would fail in it for ever.
            raise
        # Whatever goes wrong in here, a stranger's log filter or FLIGHT_CONTEXT included, the
        # answer is still in memory and the next try may store it.
        with suppress(Exception):
            _complain(step.pair, error)
        with suppress(Exception):
            if renewable:
                _try_to_renew()
            else:
                connection.close_if_unusable_or_obsolete()
        return None
    finally:
        seen.change(step.pair.service, step.pair.user_id)


def settle(step: Settle) -> Reading | None:
    """The row, or None where the database does not answer."""
    try:
        own.ensure_ready(alias())
        reading: Reading = TokenPair.objects.read(pk=step.pair.pk)
    except Exception:  # noqa: BLE001 - see save()
        return None
    return reading


def admit(service: str, step: Admit) -> int | None:
    """How long to wait for the next place in the issuer's budget; None: all near ones are taken.

    None too where the database fails: the lease is held, and has to be given back unspent.
    """
    try:
        wait: int | None = patiently(
            lambda: IssuerState.objects.take_place(service, step.spacing, step.patience)
        )
    except Error as error:
        if connections[alias()].in_atomic_block:
            raise
        logger.warning("No place in the budget of %r could be taken: %s.", service, describe(error))
        return None
    return wait


def change_health(service: str, step: Health) -> None:
    """Not worth an error to the caller: it only spares the issuer."""
    try:
        patiently(lambda: IssuerState.objects.change(service, step.changes))
    except Error as error:
        logger.warning(
            "The state of the issuer of %r was not written: %s.", service, describe(error)
        )


def record(step: Record) -> None:
    """A line of history that can't be written is logged and done without."""
    try:
        patiently(lambda: TokenPairEvent.objects.record(step.pair, step.now, **step.line))
    except Error as error:
        logger.warning("A history line of %s was not written: %s.", step.pair.pk, describe(error))


def record_all(steps: Sequence[Record]) -> bool:
    """As `record`, many lines at once. False: the database is away, so they may be tried again."""
    lines = [(step.pair, step.now, step.line) for step in steps]
    try:
        patiently(lambda: TokenPairEvent.objects.record_all(lines))
    except (OperationalError, InterfaceError):
        return False
    except Error as error:
        logger.warning("%d history lines were not written: %s.", len(lines), describe(error))
    return True


def _swap(pair: Pair, step: Change | Save) -> bool:
    return bool(patiently(lambda: TokenPair.objects.swap(step.swap, pk=pair.pk)))


def patiently(query: Callable[[], Result]) -> Result:
    """Tries a query again while an SQLite table in memory is locked."""
    until = time.monotonic() + LOCKED_PATIENCE
    while True:
        try:
            return query()
        except OperationalError as error:
            locked = connections[alias()].vendor == "sqlite" and "locked" in str(error)
            if not locked or time.monotonic() >= until or connections[alias()].in_atomic_block:
                raise
        time.sleep(random.uniform(0.005, 0.02))  # noqa: S311 - nothing is secret


def _try_to_renew() -> None:
    try:
        own.renew(alias())
    except Error as error:
        logger.error("The token tables' database can't be reached: %s.", describe(error))


def _complain(pair: Pair, error: Exception) -> None:
    logger.error(
        "The new pair of user %s for %r is not stored yet (%s): it is tried again.",
        pair.user_id,
        pair.service,
        describe(error),
    )
