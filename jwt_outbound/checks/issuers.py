"""Is there somebody who makes the tokens?"""

from collections.abc import Iterator

from django.core.checks import CheckMessage, Error

from jwt_outbound.checks.given import Given, configured, make_issuer, where
from jwt_outbound.issuers import Issuer


def check_issuers(given: Given) -> Iterator[CheckMessage]:
    for name in given.services:
        if not given.of_service(name, "ISSUER"):
            yield Error(
                f"Service {name!r} has no ISSUER.",
                hint=f"Set {where(name)}['ISSUER'], to \"jwt_outbound.issuers.SimpleJWTIssuer\" "
                "for instance.",
                id="jwt_outbound.E008",
            )
        elif configured(name):
            yield from _check_issuer(name)


def _check_issuer(name: str) -> Iterator[CheckMessage]:
    issuer, fault = make_issuer(name)
    if issuer is None:
        yield _unusable(f"The ISSUER of service {name!r} can't be made ({fault}).")
        return
    try:
        yield from _messages_of(issuer, name)
    except Exception as error:  # noqa: BLE001 - the project's own issuer may raise anything
        yield _unusable(
            f"The check() of the ISSUER of service {name!r} raised {type(error).__name__}."
        )


def _messages_of(issuer: Issuer, name: str) -> list[CheckMessage]:
    messages = list(issuer.check(name))
    if not all(isinstance(message, CheckMessage) for message in messages):
        raise TypeError
    return messages


def _unusable(message: str) -> CheckMessage:
    return Error(
        message,
        hint="It must be a dotted path to a subclass of jwt_outbound.issuers.Issuer, the class "
        "or an instance, and OPTIONS its keyword arguments.",
        id="jwt_outbound.E009",
    )


RULES = (check_issuers,)
