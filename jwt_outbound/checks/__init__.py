"""System checks: every setting has one, with a stable id and the cure as its hint.

Nothing in here asks a network or a database, raises for anything that the settings may hold, or
shows a value that could be a key or a password. A project without `JWT_OUTBOUND` hears nothing.
The ids E020 to E029 belong to the issuers' own `check()`.
"""

from collections.abc import Callable, Iterable
from typing import Any

from django.core.checks import CheckMessage

from jwt_outbound.checks import (
    budget,
    databases,
    durations,
    encryption,
    flights,
    issuers,
    logins,
    middleware,
    shape,
    urls,
)
from jwt_outbound.checks.given import Given

RULES: tuple[Callable[[Given], Iterable[CheckMessage]], ...] = (
    *shape.RULES,
    *urls.RULES,
    *issuers.RULES,
    *durations.RULES,
    *budget.RULES,
    *encryption.RULES,
    *flights.RULES,
    *databases.RULES,
    *logins.RULES,
    *middleware.RULES,
)


def check_settings(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """All messages about `JWT_OUTBOUND`, as `django.core.checks` asks for them."""
    given = Given.read()
    return [message for rule in RULES for message in rule(given)]
