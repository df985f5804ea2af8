"""The users of a benchmark and their pairs, as a login would leave them."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from benchmarks.issuer import Issuer

SERVICE = "billing"


def make_users(number: int) -> list[Any]:
    """New users, as their requests would have them in `request.user`."""
    from django.contrib.auth import get_user_model

    users = get_user_model().objects
    names = [f"user{n}" for n in range(number)]
    users.bulk_create([users.model(username=name) for name in names])
    return list(users.filter(username__in=names).order_by("pk"))


def store_pairs(issuer: Issuer, users: list[Any], *, lifetime: float, age: float = 0) -> None:
    """A new login for each: pairs whose access token was made `age` seconds ago."""
    from jwt_outbound.models import TokenPair
    from jwt_outbound.querysets import alias

    pairs = issuer.do("pairs", number=len(users), lifetime=lifetime, age=age)
    with transaction.atomic(using=alias()):
        for user, pair in zip(users, pairs, strict=True):
            TokenPair.objects.store(user=user, service=SERVICE, **pair)


def expire_pairs(issuer: Issuer, users: list[Any]) -> None:
    """A new login for each, whose access token has just run out."""
    store_pairs(issuer, users, lifetime=300, age=310)
