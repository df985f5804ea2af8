"""Whose call it is."""

from collections.abc import Collection
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import router
from django.db.models import Model

from jwt_outbound.exceptions import LoginRequired


def user_id_of(user: Any, service: str = "") -> Any:
    """The primary key of `user`, a model instance or itself a primary key.

    Raises `LoginRequired` for an anonymous user and ValueError for what is no user at all.
    """
    if user is None or getattr(user, "is_anonymous", False):
        raise LoginRequired(
            f"Nobody is logged in, so no call to service {service!r} can be made on their behalf.",
            service=service,
        )
    kind: Any = get_user_model()
    is_another = isinstance(user, Model) and not isinstance(user, kind)
    if is_another or isinstance(user, bool | float | bytes):
        # Another model's instance may have the key of somebody's user, and True is 1.
        raise _no_user(user)
    key = user.pk if isinstance(user, Model) else user
    if key is None:
        raise ValueError("The user has no primary key yet: save it first.")
    try:
        return kind._meta.pk.to_python(key)
    except ValidationError:
        raise _no_user(user) from None


def _no_user(given: Any) -> ValueError:
    return ValueError(f"{type(given).__name__} is neither a user nor a user's primary key.")


def ensure_active(user: Any, user_id: Any, service: str) -> None:
    """Raises `LoginRequired` for a user with `is_active=False`, or one who is gone."""
    if not isinstance(user, Model):
        user = find_user(user_id)
    if user is None or not getattr(user, "is_active", True):
        raise LoginRequired(
            f"User {user_id} is not active, so no call to service {service!r} is made.",
            service=service,
            user_id=user_id,
        )


def find_user(user_id: Any) -> Any:
    """The user with that primary key, or None."""
    return _users().filter(pk=user_id).first()


def active_among(user_ids: Collection[Any]) -> set[Any]:
    """Those of these users' primary keys that are of users who are there and active."""
    users = _users().filter(pk__in=user_ids)
    return {user.pk for user in users if getattr(user, "is_active", True)}


def _users() -> Any:
    """Not from a replica: a user whom it has not got yet would count as gone, and who is gone is
    not logged out."""
    kind = get_user_model()
    return kind._base_manager.using(router.db_for_write(kind))
