"""For the tests of projects that use this app: an issuer without a network, and time that moves.

::

    with FakeIssuer(lifetime=300).serving("billing") as issuer:
        issuer.pair_for(user)
        issuer.expire(user)
        client.get("/invoices/")
        assert len(issuer.presentations) == 1
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import jwt
from django.conf import settings
from django.db.models import Model
from django.test import override_settings

from jwt_outbound import clock, seen
from jwt_outbound.claims import read_claims
from jwt_outbound.conf import micro
from jwt_outbound.issuers import Answer, Issuer, SimpleJWTIssuer
from jwt_outbound.issuers.answers import read_answer
from jwt_outbound.models import TokenPair
from jwt_outbound.querysets import database_now
from jwt_outbound.refresh import flights
from jwt_outbound.users import user_id_of

_KEY = "the fake issuer signs with this; nobody verifies it"


def drain(timeout: float | None = 30) -> bool:
    """Waits for the refreshes that nobody waits for; False if `timeout` seconds did not do."""
    return flights.flights.drain(timeout)


class shift_clock:  # noqa: N801 - used as a function, and as a context manager
    """Moves the database's clock, and this process's, by `seconds`; back at the end of `with`."""

    def __init__(self, seconds: float) -> None:
        self._by = micro(seconds)
        clock.move(self._by)

    def __enter__(self) -> shift_clock:
        return self

    def __exit__(self, *exc: object) -> None:
        clock.move(-self._by)


@dataclass
class _Family:
    """The tokens that descend from one login."""

    user_id: str
    current: str = ""
    revoked: bool = False


class FakeIssuer(Issuer):
    """A strict issuer in memory: each refresh token works once, a second use ends its family.

    `lifetime`, `refresh_lifetime`: of its tokens, in seconds. `rotates=False`: refresh tokens
    stay, as simplejwt's do by default. Thread-safe; it follows `shift_clock`.
    """

    obtains_by_password = True
    revokes = True

    def __init__(
        self, *, lifetime: float = 300, refresh_lifetime: float = 86_400, rotates: bool = True
    ) -> None:
        self.lifetime, self.refresh_lifetime, self.rotates = lifetime, refresh_lifetime, rotates
        self.presentations: list[str] = []
        """The refresh tokens in order of arrival."""
        self.passwords: dict[str, str] = {}
        """Who may log in with what; an empty dict lets everybody in."""
        self._lock = threading.RLock()
        self._numbers = count(1)
        self._families: dict[str, _Family] = {}
        self._refused: set[str] = set()
        self._failures: list[tuple[int, Mapping[str, str], bytes]] = []
        self._service = ""
        self._behind = 0.0
        """Seconds by which Python's clock was behind the database's when a pair was made."""

    @contextmanager
    def serving(self, service: str) -> Iterator[FakeIssuer]:
        """Is the issuer of `service` inside the `with`; the service is made if it is missing."""
        raw = dict(getattr(settings, "JWT_OUTBOUND", {}) or {})
        services = dict(raw.get("SERVICES", {}))
        known = services.get(service, {"BASE_URL": f"https://{service}.test/"})
        services[service] = {**known, "ISSUER": self, "OPTIONS": {}}
        self._service, moved = service, clock.shift()
        try:
            with override_settings(JWT_OUTBOUND={**raw, "SERVICES": services}):
                yield self
                drain()
        finally:
            clock.move(moved - clock.shift())

    def pair_for(self, user: Any, *, service: str | None = None) -> TokenPair:
        """Stores a first pair for `user` and returns it."""
        # A test that freezes Python's clock does not freeze the database's, which is ours.
        self._behind = database_now() / clock.SECOND - time.time() - clock.shift() / clock.SECOND
        access, refresh = self._make(_Family(str(user_id_of(user))))
        return TokenPair.objects.store(
            user=user, service=service or self._service, access=access, refresh=refresh
        )

    def expire(self, user: Any, *, service: str | None = None) -> None:
        """The stored access token of `user` has run out."""
        name, user_id = service or self._service, user_id_of(user)
        now = database_now()
        pairs = TokenPair.objects.filter(user_id=user_id, service=name)
        pairs.update(expires_at=now - 1, refresh_at=now - 1, young_until=0)
        seen.change(name, user_id)

    def refuse(self, user: Any) -> None:
        """From now on `user`'s refresh tokens are refused."""
        names = {str(user_id_of(user))}
        if isinstance(user, Model):
            names.add(str(user.get_username()))  # type: ignore[attr-defined]
        with self._lock:
            self._refused |= names

    def fail(
        self,
        times: int = 1,
        status: int = 503,
        *,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | bytes = b"",
    ) -> None:
        """The next `times` refreshes are answered with `status` instead; nothing is rotated."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        with self._lock:
            self._failures += [(status, headers or {}, content)] * times

    def exchange(self, refresh_token: str, deadline: float) -> Answer:
        """A new pair, a refusal, or what `fail` says."""
        with self._lock:
            self.presentations.append(refresh_token)
            if self._failures:
                return read_answer(*self._failures.pop(0), SimpleJWTIssuer.profile)
            family = self._families.get(refresh_token)
            if family is None or self._is_over(family, refresh_token):
                return Answer.refused("token_not_valid", status=401)
            if family.current != refresh_token:
                family.revoked = True
                return Answer.refused("token_not_valid", status=401)
            access, refresh = self._make(family, keep=None if self.rotates else refresh_token)
        return Answer.granted(access, refresh if self.rotates else None, status=200)

    def obtain(self, *, username: str, password: str, deadline: float) -> Answer:
        """A pair for that name, which is also the issuer's user id in its claims."""
        if self.passwords and self.passwords.get(username) != password:
            return Answer.refused("no_active_account", status=401)
        access, refresh = self._make(_Family(username))
        return Answer.granted(access, refresh, status=200)

    def revoke(self, refresh_token: str, deadline: float) -> Answer:
        """Ends the token's family."""
        with self._lock:
            if refresh_token in self._families:
                self._families[refresh_token].revoked = True
        return Answer.granted("")

    def _is_over(self, family: _Family, refresh_token: str) -> bool:
        ended = family.revoked or family.user_id in self._refused
        return ended or (read_claims(refresh_token).exp or 0.0) <= self._now()

    def _make(self, family: _Family, keep: str | None = None) -> tuple[str, str]:
        number = next(self._numbers)
        access = self._token("access", family, number, self.lifetime)
        refresh = keep or self._token("refresh", family, number, self.refresh_lifetime)
        with self._lock:
            family.current = refresh
            self._families[refresh] = family
        return access, refresh

    def _token(self, kind: str, family: _Family, number: int, lifetime: float) -> str:
        now = self._now()
        claims = {"token_type": kind, "user_id": family.user_id, "jti": f"{kind}-{number}"}
        return jwt.encode({**claims, "iat": now, "exp": now + lifetime}, _KEY, algorithm="HS256")

    def _now(self) -> float:
        """The issuer's clock, in seconds since 1970 UTC: `shift_clock` moves it too."""
        return time.time() + self._behind + clock.shift() / clock.SECOND
