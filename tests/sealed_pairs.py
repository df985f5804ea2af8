"""Pairs sealed under one key or another, for the tests of what operators do with keys."""

import base64
from hashlib import sha256
from io import StringIO
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command

from jwt_outbound.models import TokenPair

OLD, NEW, OTHER = (
    base64.urlsafe_b64encode(sha256(name).digest()).decode() for name in (b"old", b"new", b"other")
)


def store(name: str, **tokens: str) -> TokenPair:
    """A pair of the user called `name`, sealed by the newest key of now."""
    user, _ = User.objects.get_or_create(username=name)
    tokens = tokens or {"access": f"access-of-{name}", "refresh": f"refresh-of-{name}"}
    return TokenPair.objects.store(user=user, service="billing", **tokens)


def columns() -> list[dict[str, Any]]:
    """All pairs, in full."""
    return [
        {k: bytes(v) if isinstance(v, memoryview) else v for k, v in row.items()}
        for row in TokenPair.objects.order_by("pk").values()
    ]


def run(command: str, *arguments: str) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()
