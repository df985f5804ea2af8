"""Logging in with the name and password that a user has at a service's issuer."""

import logging
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest

from jwt_outbound.accounts import Found, find_or_make_user, subject_of
from jwt_outbound.conf import Service, get_settings
from jwt_outbound.exceptions import (
    IssuerMisconfigured,
    ServiceNotConfigured,
    TokenStoreUnavailable,
)
from jwt_outbound.faults import discreet
from jwt_outbound.issuers import Answer
from jwt_outbound.managers import ask_for_pair
from jwt_outbound.obtained import Obtained, attach
from jwt_outbound.querysets import database_now

logger = logging.getLogger("jwt_outbound")


class TokenObtainBackend(ModelBackend):
    """Asks the issuer of the service marked "LOGIN", else of the first one.

    The pair is stored when the login is done (`user_logged_in`). Wrong credentials are None, so
    that the next backend is asked; `IssuerUnavailable` and `IssuerMisconfigured` rise, since
    "wrong password" would be a lie: the middleware answers them with a 503.
    """

    @discreet
    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """The user whose account at the issuer these open, or None."""
        name = kwargs.get(get_user_model().USERNAME_FIELD) if username is None else username
        if not name or not password:
            return None
        service = login_service()
        sent_at = _now(service)
        answer = ask_for_pair(service, name, password)
        if answer.is_refusal:
            return None
        found = _user_of(answer, service, name)
        if found is None or not self.user_can_authenticate(found.user):
            return None
        obtained = Obtained(
            service=service.name, answer=answer, sent_at=sent_at, by_a_new_user=found.is_new
        )
        attach(found.user, obtained)
        return found.user

    @discreet
    async def aauthenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """ModelBackend's own would ask for the local password."""
        ask = sync_to_async(self.authenticate)
        return await ask(request, username=username, password=password, **kwargs)


def login_service() -> Service:
    """The service that users log in at."""
    services = get_settings().services.values()
    for service in services:
        if service.login:
            return service
    for service in services:
        return service
    raise ServiceNotConfigured(
        "TokenObtainBackend logs in at a service, but JWT_OUTBOUND['SERVICES'] has none."
    )


def _user_of(answer: Answer, service: Service, name: str) -> Found | None:
    try:
        answer.ensure_granted(service=service.name, user_id=None)
        subject = subject_of(answer, service.name)
    except IssuerMisconfigured as error:
        logger.error("%s", error)
        raise
    return find_or_make_user(service, subject, name)


def _now(service: Service) -> int:
    """Read before the issuer is asked: a pair that can't be stored is not asked for."""
    try:
        return database_now()
    except (DatabaseError, InterfaceError):
        raise TokenStoreUnavailable(
            "The database of the token tables does not answer, so nobody can log in at "
            f"service {service.name!r}.",
            service=service.name,
        ) from None
