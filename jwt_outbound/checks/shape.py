"""Is each thing of the kind that it must be, and is it a setting at all?"""

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from jwt_outbound.checks.given import Given, is_definition, is_whole, where
from jwt_outbound.conf import GLOBAL_KEYS, SERVICE_KEYS

SCHEME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of RFC 9110 5.6.2."""

LONGEST_NAME = 100
"""What the column of the tables holds."""


def check_dict(given: Given) -> Iterator[CheckMessage]:
    raw = getattr(settings, "JWT_OUTBOUND", None)
    if raw is not None and not isinstance(raw, Mapping):
        yield Error(
            f"JWT_OUTBOUND must be a dict, not {type(raw).__name__}.",
            hint='Write {"SERVICES": {"billing": {"BASE_URL": ..., "ISSUER": ...}}}.',
            id="jwt_outbound.E001",
        )


def check_services(given: Given) -> Iterator[CheckMessage]:
    services = given.top.get("SERVICES", {})
    if not isinstance(services, Mapping):
        yield Error(
            f"JWT_OUTBOUND['SERVICES'] must be a dict, not {type(services).__name__}.",
            hint="Write the services' names as its keys and a dict for each as its values.",
            id="jwt_outbound.E002",
        )
        return
    for name, definition in services.items():
        if not isinstance(name, str):
            yield _not_a_service(f"The name of a service must be text, not {_shown(name)}.")
        elif not is_definition(name, definition):
            yield _not_a_service(f"{where(name)} must be a dict, not {type(definition).__name__}.")
        elif not 0 < len(name) <= LONGEST_NAME or "/" in name:
            yield _not_a_service(f"A service can't be called {name[:LONGEST_NAME]!r}.")


def _not_a_service(message: str) -> CheckMessage:
    return Error(
        message,
        hint='A service is "name": {"BASE_URL": ..., "ISSUER": ...}; its name is text of 1 to '
        f"{LONGEST_NAME} characters without a slash.",
        id="jwt_outbound.E003",
    )


def check_keys(given: Given) -> Iterator[CheckMessage]:
    for key in given.top:
        if key not in GLOBAL_KEYS:
            yield _unknown("JWT_OUTBOUND", key, GLOBAL_KEYS, SERVICE_KEYS, "in a service")
    for name, definition in given.services.items():
        for key in definition:
            if key not in SERVICE_KEYS:
                yield _unknown(where(name), key, SERVICE_KEYS, GLOBAL_KEYS, "beside SERVICES")


def _unknown(
    place: str, key: Any, known: Collection[str], elsewhere: Collection[str], there: str
) -> CheckMessage:
    if key in elsewhere:
        hint = f"It belongs {there}."
    elif near := get_close_matches(_shown(key).upper(), known, n=1):
        hint = f"Did you mean {near[0]!r}?"
    else:
        hint = f"There are: {', '.join(sorted(known))}."
    return Error(f"{place} has no setting {_shown(key)!r}.", hint=hint, id="jwt_outbound.E004")


def _shown(key: Any) -> str:
    return key[:LONGEST_NAME] if isinstance(key, str) else type(key).__name__


def check_switches(given: Given) -> Iterator[CheckMessage]:
    for entry in given.entries("ALLOW_HTTP", "LOGIN", "LINK_EXISTING", "CREATE_USERS"):
        if not isinstance(entry.value, bool):
            yield Error(
                f"{entry.where} must be True or False.",
                hint="Any text counts as true, the text 'False' too: compare it first, as in "
                'os.environ.get("NAME") == "1".',
                id="jwt_outbound.E030",
            )


def check_scheme(given: Given) -> Iterator[CheckMessage]:
    for entry in given.entries("AUTH_SCHEME"):
        if not isinstance(entry.value, str) or not SCHEME.fullmatch(entry.value):
            yield Error(
                f"{entry.where} must be one word, as it stands before the token.",
                hint='"Bearer" for most services, "JWT" for some.',
                id="jwt_outbound.E031",
            )


def check_options(given: Given) -> Iterator[CheckMessage]:
    for entry in given.entries("OPTIONS"):
        value = entry.value
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            yield Error(
                f"{entry.where} must be a dict with names as its keys.",
                hint="They are the keyword arguments of the ISSUER.",
                id="jwt_outbound.E032",
            )


def check_alarm(given: Given) -> Iterator[CheckMessage]:
    for entry in given.entries("REFUSALS_PER_MINUTE"):
        if entry.value is not None and not is_whole(entry.value, 0):
            yield Error(
                f"{entry.where} must be a whole number of refusals, or None.",
                hint="More refusals than that in a minute raise the alarm; None turns it off.",
                id="jwt_outbound.E043",
            )


RULES = (
    check_dict,
    check_services,
    check_keys,
    check_switches,
    check_scheme,
    check_options,
    check_alarm,
)
