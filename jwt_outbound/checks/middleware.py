"""Is there a middleware that carries a refusal out, in the right place?"""

from collections.abc import Iterator

from django.conf import settings
from django.core.checks import CheckMessage, Error

from jwt_outbound.checks.given import Given, imported

OURS = "jwt_outbound.middleware.OutboundMiddleware"
BEFORE = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
)


def check_presence(given: Given) -> Iterator[CheckMessage]:
    logging_out = [n for n in given.services if given.of_service(n, "ON_REFUSAL") == "logout"]
    if logging_out and _position(OURS) is None:
        yield Error(
            f"Service {logging_out[0]!r} logs users out when its issuer refuses them, but "
            "OutboundMiddleware, which does it, is not in MIDDLEWARE.",
            hint=f'Add "{OURS}" after AuthenticationMiddleware. Where there are no sessions to '
            'end, say "ON_REFUSAL": "reconnect".',
            id="jwt_outbound.E038",
        )


def check_order(given: Given) -> Iterator[CheckMessage]:
    here = _position(OURS)
    if not given.services or here is None:
        return
    for path in BEFORE:
        there = _position(path)
        if there is None or there > here:
            fault = "is not in MIDDLEWARE" if there is None else "comes after it"
            yield Error(
                f"OutboundMiddleware needs {path.rpartition('.')[2]}, which {fault}.",
                hint=f'Put "{path}" before "{OURS}" in MIDDLEWARE.',
                id="jwt_outbound.E039",
            )


def _position(path: str) -> int | None:
    """Where the middleware, or a subclass of it, stands."""
    listed = list(settings.MIDDLEWARE)
    if path in listed:
        return listed.index(path)
    wanted = imported(path)
    for position, other in enumerate(listed):
        found = imported(other)
        if isinstance(found, type) and isinstance(wanted, type) and issubclass(found, wanted):
            return position
    return None


RULES = (check_presence, check_order)
