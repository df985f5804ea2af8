"""Makes token strings: HS256 JWTs with simplejwt's claims, or opaque ones."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

import jwt

from tests.issuer_server.knobs import Knobs

Kind = Literal["access", "refresh"]


@dataclass(frozen=True)
class Minted:
    token: str = field(repr=False)
    expires_at: float


@dataclass(frozen=True)
class Place:
    """Whose token it is, of which login, and which number in that login."""

    user_id: str
    family: int
    number: int


class Minter:
    def __init__(self) -> None:
        self._key = secrets.token_hex(32)

    def mint(
        self, kind: Kind, place: Place, now: float, knobs: Knobs, lifetime: float | None = None
    ) -> Minted:
        if lifetime is None:
            lifetime = knobs.lifetime if kind == "access" else knobs.refresh_lifetime
        issued_at, expires_at = _times(now, lifetime)
        if knobs.opaque:
            return Minted(secrets.token_urlsafe(32), expires_at)
        claims = _claims(kind, place, issued_at, expires_at, knobs)
        return Minted(jwt.encode(claims, self._key, algorithm="HS256"), expires_at)


def _times(now: float, lifetime: float) -> tuple[float, float]:
    # Whole seconds, as simplejwt writes them; a test with a lifetime in tenths gets its tenths.
    if float(lifetime).is_integer():
        return int(now), int(now) + int(lifetime)
    return now, now + lifetime


def _claims(
    kind: Kind, place: Place, issued_at: float, expires_at: float, knobs: Knobs
) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "token_type": kind,
        "exp": expires_at,
        "iat": issued_at if knobs.iat else None,
        "jti": uuid4().hex,
        "user_id": place.user_id,
        "family": place.family,
        "number": place.number,
    }
    if kind == "access":
        claims |= knobs.claims
    return {name: value for name, value in claims.items() if value is not None}
