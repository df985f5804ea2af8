"""How logins begin and end."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.utils.functional import Promise

from jwt_outbound.checks.given import Given, imported, issuer_made

BACKEND = "jwt_outbound.backends.TokenObtainBackend"
ENDINGS = ("logout", "reconnect")


def check_on_refusal(given: Given) -> Iterator[CheckMessage]:
    for entry in given.entries("ON_REFUSAL"):
        if entry.value not in ENDINGS:
            yield Error(
                f'{entry.where} must be "logout" or "reconnect".',
                hint='"logout" ends all sessions of the user whose refresh token the issuer '
                'refused; "reconnect" only asks for a new connection.',
                id="jwt_outbound.E016",
            )


def check_one_login(given: Given) -> Iterator[CheckMessage]:
    marked = _marked(given)
    if len(marked) > 1:
        yield Error(
            f'More than one service says "LOGIN": True: {", ".join(map(repr, marked))}.',
            hint="Users log in at one service; leave the mark at that one.",
            id="jwt_outbound.E040",
        )


def check_connect_url(given: Given) -> Iterator[CheckMessage]:
    for entry in given.entries("CONNECT_URL"):
        if entry.value is not None and (
            not isinstance(entry.value, str | Promise) or not entry.value
        ):
            yield Error(
                f"{entry.where} must be a URL as text.",
                hint="Where a user is sent to connect their account; None means the app's own "
                'page, where its URLs are included, as in "/accounts/connect/".',
                id="jwt_outbound.E041",
            )


def check_backend(given: Given) -> Iterator[CheckMessage]:
    """A marked service must take passwords, and so must the one that the backend falls back to."""
    marked = _marked(given)
    if not marked and not any(map(_is_ours, settings.AUTHENTICATION_BACKENDS)):
        return
    name = next(iter(marked or given.services), None)
    issuer = name and issuer_made(name)
    if name is None or (issuer and not issuer.obtains_by_password):
        at = f"at service {name!r}" if name else "anywhere: there is no service"
        yield Error(
            f"Nobody can log in by name and password {at}.",
            hint="Give the issuer of the login service what it needs for that (SimpleJWTIssuer: "
            '"obtain_url"), mark another service with "LOGIN": True, or take '
            f"{BACKEND} out of AUTHENTICATION_BACKENDS.",
            id="jwt_outbound.E033",
        )


def _marked(given: Given) -> list[str]:
    return [name for name in given.services if given.of_service(name, "LOGIN") is True]


def _is_ours(path: Any) -> bool:
    if path == BACKEND:
        return True
    backend, ours = imported(path), imported(BACKEND)
    return isinstance(backend, type) and isinstance(ours, type) and issubclass(backend, ours)


RULES = (check_on_refusal, check_one_login, check_connect_url, check_backend)
