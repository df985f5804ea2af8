"""The `obtain` function of a `CallableIssuer`: a first pair for a user, without any token."""

from __future__ import annotations

from typing import Any

import requests
from django.conf import settings


def obtain(user: Any) -> dict[str, str]:
    body = {"username": user.get_username(), "password": "secret"}
    url = settings.FIRST_PAIR_URL  # type: ignore[misc]
    answer = requests.post(url, json=body, timeout=10)
    answer.raise_for_status()
    pair: dict[str, str] = answer.json()
    return pair
