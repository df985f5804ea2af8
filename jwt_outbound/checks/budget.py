"""Are the budgets of exchanges numbers that can be kept?"""

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error

from jwt_outbound.checks.given import Given, is_whole

FEWEST = 0.01
"""One in a hundred seconds."""
MOST = 1_000_000


def check_rate(given: Given) -> Iterator[CheckMessage]:
    for entry in given.entries("EXCHANGES_PER_SECOND"):
        if entry.value is not None and not _is_a_rate(entry.value):
            yield Error(
                f"{entry.where} must be a number of exchanges in a second, {FEWEST:g} or more, or "
                "None.",
                hint="All hosts together send no more than that to the issuer; None: no budget.",
                id="jwt_outbound.E044",
            )


def check_at_once(given: Given) -> Iterator[CheckMessage]:
    for entry in given.entries("EXCHANGES_AT_ONCE"):
        if entry.value is not None and not is_whole(entry.value, 1):
            yield Error(
                f"{entry.where} must be a whole number of exchanges, 1 or more, or None.",
                hint="One process has no more than that under way at the issuer; None: as many as "
                "its threads allow.",
                id="jwt_outbound.E045",
            )


def _is_a_rate(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and FEWEST <= value <= MOST


RULES = (check_rate, check_at_once)
