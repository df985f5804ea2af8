"""What the benchmarks' issuer knows: the tokens that it issued, and how often each came."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

HEADER = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()
REFRESH_LIFETIME = 86_400


@dataclass
class Refresh:
    """A refresh token that was issued."""

    family: list[bool]
    """One item: whether the login goes on; shared by all of its tokens."""
    presented: int = 0


@dataclass
class Ledger:
    """What the issuer knows, and what it counts."""

    delay: float = 0.1
    """Seconds that an exchange takes."""
    lifetime: float = 300
    access: dict[str, float] = field(default_factory=dict)
    """Each access token's end, by the wall clock."""
    refresh: dict[str, Refresh] = field(default_factory=dict)
    seen: list[Refresh] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """How long each exchange took here, from the request's last byte to the answer's first."""
    refused: int = 0
    api: Counter[int] = field(default_factory=Counter)

    def issue(self, family: list[bool], lifetime: float, age: float = 0) -> dict[str, str]:
        """A pair whose access token was made `age` seconds ago."""
        made = time.time() - age
        access, refresh = _token("access", made, lifetime), _token("refresh", made)
        self.access[access] = made + lifetime
        self.refresh[refresh] = Refresh(family)
        return {"access": access, "refresh": refresh}

    def spend(self, token: str) -> dict[str, str] | None:
        """The next pair; None where the token was spent before, which ends its family."""
        record = self.refresh.get(token)
        if record is None:
            self.refused += 1
            return None
        record.presented += 1
        if record.presented == 1:
            self.seen.append(record)
        else:
            record.family[0] = False
        if not record.family[0]:
            self.refused += 1
            return None
        return self.issue(record.family, self.lifetime)

    def check(self, token: str) -> int:
        """The status of an API call that carries this access token."""
        status = 200 if self.access.get(token, 0) > time.time() else 401
        self.api[status] += 1
        return status

    def counts(self) -> dict[str, Any]:
        """Since the last call; `generations`: those presented at least once."""
        presented = [record.presented for record in self.seen]
        told = {
            "generations": len(presented),
            "presentations": sum(presented),
            "most": max(presented, default=0),
            "refused": self.refused,
            "seconds": self.seconds,
            "unauthorized": self.api[401],
            "served": self.api[200],
        }
        self.seen, self.seconds, self.refused, self.api = [], [], 0, Counter()
        return told


def _token(kind: str, made: float, lifetime: float = REFRESH_LIFETIME) -> str:
    """Shaped like simplejwt's; the signature is noise, since only this process's table counts."""
    claims = {"token_type": kind, "iat": int(made), "exp": int(made + lifetime)}
    claims["jti"] = secrets.token_hex(16)
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{HEADER}.{payload}.{secrets.token_urlsafe(32)}"
