"""Refreshing before anyone has to wait: what happens to a pair that is still good but due."""

import logging
from typing import Any

from django.utils.module_loading import import_string

from jwt_outbound.conf import get_service, get_settings
from jwt_outbound.faults import describe
from jwt_outbound.models import TokenPair
from jwt_outbound.querysets import alias
from jwt_outbound.refresh import flights
from jwt_outbound.refresh.driver import Driver
from jwt_outbound.refresh.steps import Outcome
from jwt_outbound.refresh.words import Ask
from jwt_outbound.transactions import Situation, situation

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
    driver = Driver(service=get_service(service), ask=ask)
    if situation(alias()) is Situation.INLINE:
        driver.inline = True
        return driver.run()
    return flights.launch(driver).join().result()
