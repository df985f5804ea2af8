"""Rows made, changed and read, as a caller in this process sees them."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections
from django.db.models import F

from jwt_outbound.models import SessionEpoch, TokenPair, TokenPairEvent
from jwt_outbound.querysets import database_now
from jwt_outbound.rows import Pair
from tests.concurrency.worker import Stage


def migrate(stage: Stage) -> None:
    """All tables in both databases: a test says which of them holds the tokens."""
    for alias in connections:
        call_command("migrate", database=alias, verbosity=0)


def make_users(
    stage: Stage, service: str, pairs: dict[str, dict[str, Any] | None]
) -> dict[str, int]:
    """New users of these names, with these pairs or none; their primary keys."""
    model = get_user_model()
    made = {name: model.objects.create(username=name) for name in pairs}
    for name, pair in pairs.items():
        if pair is not None:
            TokenPair.objects.store(user=made[name], service=service, **pair)
    return {name: user.pk for name, user in made.items()}


def store(stage: Stage, service: str, user: int, pair: dict[str, Any]) -> None:
    TokenPair.objects.store(user=user, service=service, **pair)


def expire(stage: Stage, service: str, users: list[int]) -> None:
    now = database_now()
    pairs = TokenPair.objects.filter(user_id__in=users, service=service)
    pairs.update(expires_at=now - 1, refresh_at=now - 1, young_until=0)


def make_due(stage: Stage, service: str, users: list[int]) -> None:
    pairs = TokenPair.objects.filter(user_id__in=users, service=service)
    pairs.update(refresh_at=database_now() - 1)


def row(stage: Stage, service: str, user: int) -> dict[str, Any]:
    """The protocol's columns, without the tokens."""
    pair = TokenPair.objects.read(user_id=user, service=service).pair
    assert pair is not None
    names = {field.name for field in dataclasses.fields(Pair)}
    return {name: getattr(pair, name) for name in names if not name.endswith("_sealed")}


def count(stage: Stage, service: str) -> int:
    return int(TokenPair.objects.filter(service=service).count())


def history(stage: Stage, service: str, user: int) -> list[str]:
    lines = TokenPairEvent.objects.filter(user_id=user, service=service).order_by("at")
    return list(lines.values_list("kind", flat=True))


def revoke(stage: Stage, service: str, user: int) -> bool:
    return TokenPair.objects.revoke(user=user, service=service)


def delete_user(stage: Stage, user: int) -> None:
    get_user_model().objects.get(pk=user).delete()


def epoch(stage: Stage, user: int) -> int:
    """How often the user's sessions have been ended."""
    found = SessionEpoch.objects.filter(pk=str(user)).values_list("epoch", flat=True).first()
    return found or 0


def grow_old(stage: Stage, service: str, users: list[int]) -> None:
    """Their access tokens are not so young any more that a 401 to them is an answer."""
    TokenPair.objects.filter(user_id__in=users, service=service).update(young_until=0)


def make_used(stage: Stage, service: str, users: list[int]) -> None:
    """Somebody has asked for their tokens in this generation."""
    rows = TokenPair.objects.filter(user_id__in=users, service=service)
    rows.update(used_generation=F("generation"))


def free_from_the_dead(stage: Stage, service: str) -> None:
    """As later, when claims and leases of workers that are gone have run out.

    The leases first: who takes a pair in hand and then finds it leased leaves it for half a minute.
    """
    rows = TokenPair.objects.filter(service=service)
    rows.filter(lease_until__gt=0).update(lease_until=1)
    rows.filter(claimed_until__gt=0).update(claimed_until=1)


def states(stage: Stage, service: str) -> dict[str, dict[str, Any]]:
    """Of every pair: generation, whether a worker has it in hand, whether its login is over."""
    rows = TokenPair.objects.filter(service=service)
    now = database_now()
    return {
        str(row.user_id): {
            "generation": row.generation,
            "claimed": row.claimed_until > now,
            "refused": bool(row.refused_at or row.pending_until),
        }
        for row in rows
    }
