"""Are the durations durations, and do they leave one another room?"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.core.checks import CheckMessage, Error

from jwt_outbound.checks.given import Given, issuer_made
from jwt_outbound.conf import MARGIN, seconds

POSITIVE = ("TIMEOUT", "ISSUER_DEADLINE", "LEASE", "WAIT", "DEFAULT_LIFETIME", "GRACEFUL_STOP")
NOT_NEGATIVE = ("LEEWAY", "REFRESH_AHEAD", "REPLAY_WINDOW", "MEMORY", "EPOCH_CACHE")
PERHAPS_NONE = {"TIMEOUT", "DEFAULT_LIFETIME", "LEEWAY", "REFRESH_AHEAD", "REPLAY_WINDOW"}
LONGEST = timedelta(days=36_600) / timedelta(seconds=1)
"""A century: any longer one is a mistake, and its microseconds would not fit the columns."""


def check_durations(given: Given) -> Iterator[CheckMessage]:
    for entry in given.entries(*POSITIVE, *NOT_NEGATIVE):
        if not _is_allowed(entry.key, entry.value):
            kind = "a positive number" if entry.key in POSITIVE else "zero or a positive number"
            yield Error(
                f"{entry.where} must be {kind} of seconds.",
                hint=f"Write an int, a float or a timedelta{_also(entry.key)}.",
                id="jwt_outbound.E012",
            )


def check_order(given: Given) -> Iterator[CheckMessage]:
    for name in given.services:
        values = [given.of_service(name, k) for k in ("ISSUER_DEADLINE", "LEASE", "WAIT")]
        if not all(map(is_positive, values)):
            continue
        deadline, lease, wait = map(in_seconds, values)
        if not deadline + MARGIN < lease < wait:
            yield Error(
                f"Service {name!r} needs ISSUER_DEADLINE + {MARGIN:g} s < LEASE < WAIT, and has "
                f"{deadline:g} + {MARGIN:g}, {lease:g}, {wait:g}.",
                hint="A lease must outlive the exchange it guards, and a caller's patience the "
                "lease. The defaults are 8, 12 and 20.",
                id="jwt_outbound.E013",
            )


def check_graceful_stop(given: Given) -> Iterator[CheckMessage]:
    granted = given.of_app("GRACEFUL_STOP")
    for name in given.services:
        deadline = given.of_service(name, "ISSUER_DEADLINE")
        if not is_positive(deadline) or not is_positive(granted):
            continue
        if in_seconds(deadline) >= in_seconds(granted):
            yield Error(
                f"The ISSUER_DEADLINE of service {name!r} is not below GRACEFUL_STOP: a worker "
                "could be killed between the issuer's answer and the save.",
                hint="Let the server grant its workers more seconds to end in, and say so in "
                "GRACEFUL_STOP, or lower ISSUER_DEADLINE.",
                id="jwt_outbound.E014",
            )


def check_replay_window(given: Given) -> Iterator[CheckMessage]:
    """A lost answer is noticed after ISSUER_DEADLINE, and the replay comes after a cool-down."""
    for name in given.services:
        deadline, window = given.of_service(name, "ISSUER_DEADLINE"), _window(given, name)
        if not is_positive(deadline) or not is_positive(window):
            continue
        if in_seconds(deadline) + in_seconds(window) / 4 >= in_seconds(window):
            yield Error(
                f"The REPLAY_WINDOW of service {name!r} is too short for its ISSUER_DEADLINE: a "
                "replay would always come too late.",
                hint="A lost answer is noticed after ISSUER_DEADLINE, and asked for again up to a "
                "quarter of the window later. Lower ISSUER_DEADLINE below three quarters of the "
                "window, or set REPLAY_WINDOW to 0.",
                id="jwt_outbound.E015",
            )


def _window(given: Given, name: str) -> Any:
    """The service's own, else the issuer profile's."""
    own = given.of_service(name, "REPLAY_WINDOW")
    return getattr(issuer_made(name), "replay_window", None) if own is None else own


def _is_allowed(key: str, value: Any) -> bool:
    if value is None:
        return key in PERHAPS_NONE
    if key == "TIMEOUT" and isinstance(value, tuple):
        return len(value) == 2 and all(v is None or is_positive(v) for v in value)
    return is_positive(value) if key in POSITIVE else _is_duration(value)


def _also(key: str) -> str:
    if key == "TIMEOUT":
        return ", or (connect, read) or None, as requests means them"
    return ", or None" if key in PERHAPS_NONE else ""


def _is_duration(value: Any) -> bool:
    number: object = seconds(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        return False
    return 0 <= number <= LONGEST


def is_positive(value: Any) -> bool:
    """Whether it is a duration above zero, in any way in which a setting may say one."""
    return _is_duration(value) and in_seconds(value) > 0


def in_seconds(value: Any) -> float:
    """A duration that a setting says, in seconds."""
    return float(seconds(value) or 0.0)


RULES = (check_durations, check_order, check_graceful_stop, check_replay_window)
