"""What a test can set at the issuer, and the issuer's own clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Knobs:
    lifetime: float = 300
    """Seconds that an access token lives."""
    refresh_lifetime: float = 86400
    rotate: bool = True
    grace: float = 0
    """Seconds in which a spent refresh token is answered once more, not taken for a theft."""
    grace_answer: Literal["same", "fresh"] = "same"
    """Within the grace: the very pair that was granted before, or another one beside it."""
    reuse_ends_family: bool = True
    """RFC 9700 4.14.2; off, it is like simplejwt, where the successor of a spent token lives on."""
    access_dies_early: bool = False
    """Like django-oauth-toolkit: an access token dies with the rotation or end of its family."""
    iat: bool = True
    claims: Mapping[str, Any] = field(default_factory=dict)
    """Laid over the access token's claims; None leaves a claim out."""
    opaque: bool = False
    expires_in: bool | None = None
    """Whether answers tell the lifetime; None: as the dialect does (OAuth2 yes, simplejwt no)."""
    scheme: str = "Bearer"
    """What the API wants before the token, and asks for in its 401; djoser has JWT."""
    username_field: str = "username"
    client_id: str = ""
    """OAuth2 forms need this client when it is set."""
    client_secret: str = field(default="", repr=False)


class Clock:
    """The issuer's: off by `skew` seconds, gaining `drift` seconds in each second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset = 0.0
        self._drift = 0.0
        self._since = time.monotonic()

    def now(self) -> float:
        with self._lock:
            return time.time() + self._offset + self._drifted()

    def set(self, *, skew: float | None = None, drift: float | None = None) -> None:
        with self._lock:
            self._offset = self._offset + self._drifted() if skew is None else skew
            self._since = time.monotonic()
            if drift is not None:
                self._drift = drift

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._offset += seconds

    def _drifted(self) -> float:
        return self._drift * (time.monotonic() - self._since)
