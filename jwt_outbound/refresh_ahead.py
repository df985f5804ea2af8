"""Refreshing before anyone has to wait: what happens to a pair that is still good but due."""

import logging
import os
import threading
from collections.abc import Hashable
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

from django.db import InterfaceError, OperationalError, connections, transaction
from django.utils.module_loading import import_string

from jwt_outbound import clock
from jwt_outbound.clock import SECOND
from jwt_outbound.conf import get_service, get_settings
from jwt_outbound.exceptions import LoginRequired
from jwt_outbound.faults import describe
from jwt_outbound.models import TokenPair
from jwt_outbound.querysets import alias
from jwt_outbound.refresh import flights
from jwt_outbound.refresh.decisions import ahead_not_before
from jwt_outbound.refresh.driver import Driver
from jwt_outbound.refresh.failures import barred, store_unavailable
from jwt_outbound.refresh.policies import policy_of
from jwt_outbound.refresh.steps import Outcome, undone
from jwt_outbound.refresh.words import Ask, Failure
from jwt_outbound.transactions import Situation, situation
from jwt_outbound.users import ensure_active, user_id_of

logger = logging.getLogger("jwt_outbound")

AGAIN: Final = 30 * SECOND
"""So long a pair that was handed to a runner is left to it, and a runner that failed left alone."""
LONGEST_REST: Final = 5 * SECOND
"""So long at most this process believes that an issuer is left alone: it may be back sooner."""
MOST_NOTED: Final = 10_000


class Notes:
    """What this process need not do again for a while; the oldest are forgotten if need be."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[Hashable, int] = {}

    def note(self, what: Hashable, length: int = AGAIN) -> bool:
        """False if it is noted already."""
        now = clock.monotonic()
        with self._lock:
            if now < self._until.get(what, 0):
                return False
            self._until.pop(what, None)
            while self._until:
                oldest = next(iter(self._until))
                if now < self._until[oldest] and len(self._until) < MOST_NOTED:
                    break
                del self._until[oldest]
            self._until[what] = now + length
            return True

    def __contains__(self, what: Hashable) -> bool:
        return clock.monotonic() < self._until.get(what, 0)


def start(driver: Driver) -> None:
    """Starts a refresh that nobody waits for, as `REFRESH_AHEAD_RUNNER` says. Never raises."""
    runner = get_settings().refresh_ahead_runner
    if runner == "off":
        return
    try:
        if runner == "thread":
            _fly_ahead(driver)
        else:
            _hand_over(driver.ask, runner)
    except Exception as error:  # noqa: BLE001 - the caller has his token
        logger.error(
            "A refresh ahead for %r was not started (REFRESH_AHEAD_RUNNER is %r): %s.",
            driver.ask.service,
            runner,
            describe(error),
        )


def _fly_ahead(driver: Driver) -> None:
    if (driver.ask.pk, driver.ask.generation) in notes:
        return
    match situation(alias()):
        case Situation.BARRED:
            return
        case Situation.INLINE:
            driver.inline = True
            driver.run()
        case _:
            flights.launch(driver, partial(_note_rest, driver))


def _note_rest(driver: Driver, outcome: Outcome) -> None:
    """The flight came too early for its issuer, whose state a call does not read: those that the
    next calls would start until then would find the same.

    Believed for no more than a third of what the token is still good for, as a cool-down is.
    """
    reading, policy = outcome.reading, policy_of(driver.service)
    pair = reading.pair
    if pair is None or pair.generation != driver.ask.generation:
        return
    rest = ahead_not_before(pair, reading.issuer, policy) - reading.now
    left = LONGEST_REST if pair.expires_at is None else pair.expires_at - reading.now
    rest = min(rest, LONGEST_REST, left // 3)
    if rest > 0:
        notes.note((pair.pk, pair.generation), rest)


def _hand_over(ask: Ask, runner: str) -> None:
    """Once for all the calls that meet the due pair until a worker has come to it.

    A queue may be a table of the caller's own database: what fails there must not break the
    transaction that the caller may be in. One that can't be reached is waited for
    by those who come before that has shown.
    """
    if runner in notes or not notes.note((ask.pk, ask.generation)):
        return
    try:
        with ExitStack() as savepoints:
            for connection in connections.all(initialized_only=True):
                if connection.in_atomic_block:
                    savepoints.enter_context(transaction.atomic(using=connection.alias))
            import_string(runner)(ask.service, ask.user_id)
    except Exception:
        notes.note(runner)
        raise


def refresh_if_due(service: str, user_id: Any) -> Outcome:
    """Refreshes a pair that is due, through the same lease as everyone, and waits for it.

    For a `REFRESH_AHEAD_RUNNER` of your own, which is called with the same two arguments and may
    call this later, in another process. `user_id` may have become text on its way there.
    """
    user_id = user_id_of(user_id, service)
    policy = policy_of(get_service(service))
    try:
        ensure_active(None, user_id, service)
        reading = TokenPair.objects.read(user_id=user_id, service=service)
    except LoginRequired as error:
        return undone(Failure(kind=LoginRequired, message=str(error)))
    except (OperationalError, InterfaceError) as error:
        return undone(store_unavailable(policy, error))
    pair = reading.pair
    ask = Ask(
        service=service,
        user_id=user_id,
        pk=pair.pk if pair else None,
        generation=pair.generation if pair else -1,
        ahead=True,
    )
    return _fly(ask)


def refresh_now(service: str, user_id: Any) -> bool:
    """Replaces a pair although it may still be good, as staff ask for; through the same lease,
    cool-down and replay rules as everyone. False where these rules let the good pair be.

    Raises `LoginRequired` or `TemporarilyUnavailable`.
    """
    ensure_active(None, user_id, service)
    pair = TokenPair.objects.read(user_id=user_id, service=service).pair
    generation = pair.generation if pair else -1
    ask = Ask(
        service=service,
        user_id=user_id,
        pk=pair.pk if pair else None,
        generation=generation,
        renew=generation,
    )
    outcome = _fly(ask)
    if outcome.failure is not None:
        raise outcome.failure.error(ask)
    return outcome.reading.pair is not None and outcome.reading.pair.generation > generation


def _fly(ask: Ask) -> Outcome:
    driver = Driver(service=get_service(ask.service), ask=ask)
    where = situation(alias())
    if where is Situation.BARRED:
        raise barred(ask.service).error(ask)
    if where is Situation.INLINE:
        driver.inline = True
        return driver.run()
    return flights.launch(driver).join().result()


notes = Notes()


def _forget() -> None:
    """In a forked child: another thread of the parent may have held the lock."""
    global notes
    notes = Notes()


os.register_at_fork(after_in_child=_forget)
