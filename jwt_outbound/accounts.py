"""Who at an issuer is who here."""

import hashlib
import logging
import re
from functools import partial
from typing import Any, Final, NamedTuple

from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import IntegrityError, router, transaction

from jwt_outbound.claims import read_claims
from jwt_outbound.conf import Service
from jwt_outbound.exceptions import IssuerMisconfigured
from jwt_outbound.issuers import Answer
from jwt_outbound.models import LinkedAccount
from jwt_outbound.obtained import once_certain
from jwt_outbound.querysets import alias

logger = logging.getLogger("jwt_outbound")

CLAIMS: Final = ("user_id", "sub")
"""simplejwt's own claim, then RFC 7519's."""
PLAIN_SUBJECT: Final = re.compile(r"[a-z0-9-]{1,100}")


def subject_of(answer: Answer, service: str) -> str:
    """The issuer's id of the user, from the access token.

    Raises `IssuerMisconfigured` where the token does not say: a name alone is no proof.
    """
    payload = read_claims(answer.access.reveal()).payload
    for claim in CLAIMS:
        value = payload.get(claim)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value)
    raise IssuerMisconfigured(
        f"The access tokens of service {service!r} name no user (claim 'user_id' or 'sub'), "
        "so nobody can be logged in by them.",
        service=service,
    )


class Found(NamedTuple):
    """Who logs in."""

    user: Any
    is_new: bool
    """Made, or linked to the account at the issuer, just now."""


class NameTaken(Exception):
    """A user is here who has the name and not the link; the argument says why that stays so."""


def find_or_make_user(service: Service, subject: str, username: str) -> Found | None:
    """The user linked to `subject`; else one who may be linked now; else None.

    A name is never enough to become somebody who is here already, unless LINK_EXISTING says so,
    and never to become staff.
    """
    key = _key_of(subject)
    try:
        return _find_linked(service, key) or _link_by_name(service, key, username)
    except (IntegrityError, NameTaken):
        # Perhaps by the same person, who has just logged in elsewhere for the first time.
        pass
    try:
        return _find_linked(service, key) or _link_by_name(service, key, username)
    except NameTaken as reason:
        logger.warning("A user of service %r could not log in: %s.", service.name, reason)
        return None


def _key_of(subject: str) -> str:
    """The subject as it is stored: no two are equal to a collation that ignores case."""
    if PLAIN_SUBJECT.fullmatch(subject):
        return subject
    return "sha256:" + hashlib.sha256(subject.encode()).hexdigest()


def _find_linked(service: Service, key: str) -> Found | None:
    link = LinkedAccount.objects.filter(service=service.name, subject=key).first()
    if link is None:
        return None
    # Not from a replica, which may not know a new user yet.
    users = get_user_model()._base_manager.using(_users_database())
    user = users.filter(pk=link.user_id).first()
    if user is None:
        link.delete()
        return None
    return Found(user, is_new=False)


def _link_by_name(service: Service, key: str, username: str) -> Found | None:
    using = _users_database()
    name = get_user_model().normalize_username(username)
    with transaction.atomic(using=using):
        user = _find_by_name(service, name, using) or _make_user(service, name, using)
        if user is None:
            return None
        link = {"service": service.name, "subject": key, "user_id": user.pk}
        if using == alias():
            LinkedAccount.objects.create(**link)
    if using != alias():
        once_certain(partial(LinkedAccount.objects.get_or_create, **link), using)
    return Found(user, is_new=True)


def _find_by_name(service: Service, name: str, using: str) -> Any:
    """Somebody who may be linked; None where nobody has the name."""
    users = get_user_model()._default_manager.db_manager(using)
    try:
        user: Any = users.get_by_natural_key(name)
    except ObjectDoesNotExist:
        return None
    reason = _reason_against(service, user, name)
    if reason:
        raise NameTaken(f"user {user.pk} has that name here, but is not linked to it ({reason})")
    return user


def _make_user(service: Service, name: str, using: str) -> Any:
    if not service.create_users:
        return None
    model = get_user_model()
    user = model(**{model.USERNAME_FIELD: name})
    user.set_unusable_password()
    field: Any = model._meta.get_field(model.USERNAME_FIELD)
    try:
        field.clean(name, user)
    except ValidationError:
        logger.warning(
            "A user of service %r could not log in: their name there can't be a name here.",
            service.name,
        )
        return None
    user.save(using=using)
    return user


def _reason_against(service: Service, user: Any, name: str) -> str:
    if getattr(user, "is_staff", False) or getattr(user, "is_superuser", False):
        return "staff are linked by hand only, as a LinkedAccount"
    if not service.link_existing:
        return '"LINK_EXISTING": True would let the name decide'
    if user.get_username() != name:
        return "the two names are written differently"
    if LinkedAccount.objects.filter(service=service.name, user_id=user.pk).exists():
        return "but to another account there"
    return ""


def _users_database() -> str:
    return router.db_for_write(get_user_model())
