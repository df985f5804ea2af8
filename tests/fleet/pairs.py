"""Many pairs that are due, and the command that refreshes them."""

from io import StringIO
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command

from jwt_outbound.clock import SECOND
from jwt_outbound.models import TokenPair
from jwt_outbound.querysets import database_now
from jwt_outbound.rows import Pair
from tests.issuer_server import StrictIssuer


def run(*arguments: str) -> str:
    """What the command says."""
    said = StringIO()
    call_command("refresh_token_pairs", *arguments, stdout=said)
    return said.getvalue()


def make_pairs(
    issuer: StrictIssuer, number: int, *, service: str = "billing", used: bool = True, **tokens: Any
) -> list[User]:
    """New users, each with a pair that is due and, with `used`, in use."""
    first = User.objects.count()
    users = [User.objects.create(username=f"{service}{first + n}") for n in range(number)]
    for user in users:
        tokens_of = issuer.pair_for(user.username, **tokens)
        TokenPair.objects.store(user=user, service=service, **tokens_of)
    rows = TokenPair.objects.filter(service=service, user__in=users)
    rows.update(refresh_at=database_now() - SECOND, used_generation=1 if used else -1)
    return users


def make_rows(number: int, **columns: Any) -> None:
    """Pairs without users, whose tokens nothing can read."""
    due = {"refresh_at": database_now() - SECOND, "refresh_sealed": b"x", "generation": 1}
    rows = [
        TokenPair(user_id=-n, service="billing", **{**due, **columns}) for n in range(1, number + 1)
    ]
    TokenPair.objects.bulk_create(rows)


def pair_of(user: User, service: str = "billing") -> Pair:
    pair = TokenPair.objects.read(user_id=user.pk, service=service).pair
    assert pair is not None
    return pair


def all_rows() -> list[dict[str, Any]]:
    """Every column of every pair."""
    return list(TokenPair.objects.order_by("pk").values())
