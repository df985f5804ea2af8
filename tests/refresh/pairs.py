"""Rows, asks and policies for the pure parts; each test says only what matters to it."""

from typing import Any
from uuid import UUID

from jwt_outbound.clock import SECOND
from jwt_outbound.freshness import Windows
from jwt_outbound.refresh.words import Ask, Policy
from jwt_outbound.rows import IssuerHealth, Pair, Reading
from jwt_outbound.terms import Rules

NOW = 1_800_000_000 * SECOND
"""The database's clock."""
HERE = 50 * SECOND
"""This host's monotonic clock at the same moment."""
LEASE = 12 * SECOND

STALE = {"refresh_at": NOW}
EXPIRED = {"expires_at": NOW + 10 * SECOND}
"""In its last 30 seconds: inside the late leeway, but good to its real end."""
OVER = {"expires_at": NOW - SECOND}
UNKNOWN = {"expires_at": None, "lifetime": None, "refresh_at": None}
PRESENTED = {"presented_generation": 3, "presented_at": NOW - 5 * SECOND, "presentations": 1}
LEASED = {"lease_id": 7, "lease_until": NOW + SECOND}
LEASE_RAN_OUT = {"lease_id": 7, "lease_until": NOW - SECOND}
COOLING = {"cooldown_until": NOW + 2 * SECOND}


def a_pair(*states: dict[str, Any], **columns: Any) -> Pair:
    """Generation 3, fresh: 200 of its 300 seconds are left."""
    fresh = {
        "pk": UUID(int=1),
        "user_id": 7,
        "service": "billing",
        "generation": 3,
        "access_sealed": b"access-3",
        "refresh_sealed": b"refresh-3",
        "expires_at": NOW + 200 * SECOND,
        "lifetime": 300 * SECOND,
        "refresh_at": NOW + 100 * SECOND,
        "obtained_at": NOW - 100 * SECOND,
    }
    for state in states:
        fresh.update(state)
    return Pair(**{**fresh, **columns})


def a_reading(pair: Pair | None, issuer: IssuerHealth | None = None) -> Reading:
    return Reading(pair=pair, issuer=issuer or IssuerHealth(), now=NOW, at=HERE)


def an_ask(**asked: Any) -> Ask:
    """Of a caller who has read the row of `a_pair`."""
    return Ask(**{"service": "billing", "user_id": 7, "generation": 3, **asked})


def a_policy(**rules: Any) -> Policy:
    return Policy(**{"service": "billing", "rules": Rules(windows=Windows()), **rules})
