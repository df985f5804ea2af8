"""Refreshing before anyone has to wait: what happens to a pair that is still good but due."""

import logging
from typing import Any

from django.utils.module_loading import import_string

from jwt_outbound.conf import get_service, get_settings
from jwt_outbound.exceptions import TokenStoreUnavailable
from jwt_outbound.faults import describe
from jwt_outbound.models import TokenPair
from jwt_outbound.querysets import alias
from jwt_outbound.refresh import flights
from jwt_outbound.refresh.driver import Driver
from jwt_outbound.refresh.steps import Outcome
from jwt_outbound.refresh.words import Ask
from jwt_outbound.transactions import Situation, situation
from jwt_outbound.users import ensure_active

logger = logging.getLogger("jwt_outbound")


def start(driver: Driver) -> None:
    """Starts a refresh that nobody waits for, as `REFRESH_AHEAD_RUNNER` says. Never raises."""
    runner = get_settings().refresh_ahead_runner
    if runner == "off":
        return
    where = situation(alias())
    if where is Situation.BARRED:
        return
    try:
        if runner != "thread":
            import_string(runner)(driver.ask.service, driver.ask.user_id)
        elif where is Situation.INLINE:
            driver.inline = True
            driver.run()
        else:
            flights.launch(driver)
    except Exception as error:  # noqa: BLE001 - the caller has his token
        logger.error(
            "A refresh ahead for %r was not started: %s.", driver.ask.service, describe(error)
        )


def refresh_if_due(service: str, user_id: Any) -> Outcome:
    """Refreshes a pair that is due, through the same lease as everyone, and waits for it.

    For a `REFRESH_AHEAD_RUNNER` of your own, which is called with the same two arguments and may
    call this later, in another process.
    """
    reading = TokenPair.objects.read(user_id=user_id, service=service)
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
        raise TokenStoreUnavailable(
            "This is in a transaction of the SQLite file that holds the token tables, which has "
            "one writer: nothing was sent. Give the token tables a file of their own.",
            service=ask.service,
            user_id=ask.user_id,
        )
    if where is Situation.INLINE:
        driver.inline = True
        return driver.run()
    return flights.launch(driver).join().result()
