"""For `manage.py check --deploy`: what is left to whoever installs, as far as it can be seen.

docs/security.md says why each matters. Only here is a provider of keys called.
"""

import http.client
import os
from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured

from jwt_outbound.checks.durations import in_seconds, is_positive
from jwt_outbound.checks.encryption import MAKES_ONE
from jwt_outbound.checks.given import Given
from jwt_outbound.checks.urls import plain_http_urls
from jwt_outbound.encryption_keys import KeysUnavailable, master_keys

FEWEST_BYTES: Final = 12
"""Different ones in a key: 32 random bytes have fewer once in 10^20."""


def check_own_keys(given: Given) -> Iterator[CheckMessage]:
    if not given.of_app("ENCRYPTION_KEYS"):
        yield _warning(
            "The token pairs are encrypted by keys that are made from SECRET_KEY: whoever gets "
            "hold of it reads them, and a new one needs SECRET_KEY_FALLBACKS.",
            "Give JWT_OUTBOUND['ENCRYPTION_KEYS'] keys of their own, from the environment or "
            f"from a key store, never from the repository. This makes one: {MAKES_ONE}",
            10,
        )


def check_keys(given: Given) -> Iterator[CheckMessage]:
    try:
        keys = master_keys()
    except KeysUnavailable as error:
        yield _warning(
            f"{error} Until it does, nobody can use or refresh a token pair.",
            "The function must return at least one key: urlsafe base64 of 32 bytes each.",
            11,
        )
    except ImproperlyConfigured:
        return  # check_settings says what is wrong
    else:
        if any(len(set(key)) < FEWEST_BYTES for key in keys):
            yield _warning(
                "One of the encryption keys is not random.",
                f"This makes one that is: {MAKES_ONE}. Then run rotate_token_encryption.",
                12,
            )


def check_plain_http(given: Given) -> Iterator[CheckMessage]:
    for name in given.services:
        if given.of_service(name, "ALLOW_HTTP") is True and any(plain_http_urls(given, name)):
            yield _warning(
                f"Tokens for service {name!r} go over plain http, as its ALLOW_HTTP says.",
                "That is right only where the network itself encrypts, as a service mesh does.",
                13,
            )


def check_session_cookie(given: Given) -> Iterator[CheckMessage]:
    """A stolen session calls with its user's tokens."""
    if apps.is_installed("django.contrib.sessions") and not settings.SESSION_COOKIE_SECURE:
        yield _warning(
            "SESSION_COOKIE_SECURE is off: a session that is overheard calls the services with "
            "its user's tokens.",
            "Set SESSION_COOKIE_SECURE = True, and serve the site by https only.",
            14,
        )


def check_debug(given: Given) -> Iterator[CheckMessage]:
    if settings.DEBUG:
        yield _warning(
            "DEBUG is on: error pages show the local variables of your own code, and services "
            "may be called by plain http.",
            "Set DEBUG = False wherever real tokens are.",
            15,
        )


def check_wiretaps(given: Given) -> Iterator[CheckMessage]:
    """Of the process that runs the check, which should have the environment of the server."""
    if http.client.HTTPConnection.debuglevel > 0:
        yield _warning(
            "http.client.HTTPConnection.debuglevel is set: the headers of all calls on sessions "
            "of your own, tokens included, are printed.",
            "Leave it at 0. (ServiceClient and the issuers are quiet whatever it is.)",
            16,
        )
    if os.environ.get("SSLKEYLOGFILE"):
        yield _warning(
            "The environment has SSLKEYLOGFILE: the keys of all TLS connections are written to "
            "a file, and whoever has it reads the tokens on the wire.",
            "Take it out of the server's environment.",
            17,
        )


def check_time_to_end_in(given: Given) -> Iterator[CheckMessage]:
    """A flight that waits for another's lease while its process ends may still get its turn."""
    granted = given.of_app("GRACEFUL_STOP")
    for name in given.services:
        deadline, wait = (given.of_service(name, key) for key in ("ISSUER_DEADLINE", "WAIT"))
        if not all(map(is_positive, (granted, deadline, wait))):
            continue  # check_settings says what is wrong
        if in_seconds(wait) + in_seconds(deadline) >= in_seconds(granted):
            yield _warning(
                f"WAIT and ISSUER_DEADLINE of service {name!r} together are not below "
                "GRACEFUL_STOP: a worker that is told to end while it waits for another's refresh "
                "could be killed in the midst of its own, and the issuer's answer be lost.",
                "Let the server grant its workers more seconds to end in, and say so in "
                "GRACEFUL_STOP, or lower WAIT. The defaults are 20, 8 and 30.",
                18,
            )


RULES: Final = (
    check_own_keys,
    check_keys,
    check_plain_http,
    check_session_cookie,
    check_debug,
    check_wiretaps,
    check_time_to_end_in,
)


def check_deployment(app_configs: Any = None, **kwargs: Any) -> Iterable[CheckMessage]:
    """All warnings, where a service is configured."""
    given = Given.read()
    return [message for rule in RULES for message in rule(given)] if given.services else []


def _warning(message: str, hint: str, number: int) -> CheckMessage:
    return checks.Warning(message, hint=hint, id=f"jwt_outbound.W{number:03}")
