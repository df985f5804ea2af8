"""Plain words between the HTTP handler and the issuer: what came in, what goes out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any

Headers = tuple[tuple[str, str], ...]
# Seconds to wait, then bytes to send.
Piece = tuple[float, bytes]


def fingerprint(token: str) -> str:
    """What the issuer's records show in a token's place."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Call:
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    client: str = ""

    def header(self, name: str) -> str:
        return self.headers.get(name.lower(), "")

    def credentials(self) -> tuple[str, str]:
        """The Authorization header's scheme and what follows it, a token as a rule."""
        scheme, _, rest = self.header("authorization").strip().partition(" ")
        return scheme, rest.strip()

    def cookies(self) -> dict[str, str]:
        try:
            return {
                name: morsel.value for name, morsel in SimpleCookie(self.header("cookie")).items()
            }
        except CookieError:
            return {}


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Headers = ()

    def head(self, framing: str | None = None) -> bytes:
        lines = [
            f"HTTP/1.1 {self.status} {_phrase(self.status)}",
            f"Date: {formatdate(usegmt=True)}",
            *(f"{name}: {value}" for name, value in self.headers),
            framing or f"Content-Length: {len(self.body)}",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def raw(self) -> bytes:
        return self.head() + self.body


@dataclass(frozen=True)
class Delivery:
    """How an answer is put on the wire; `close` ends the connection after it, or instead of it."""

    pieces: Iterable[Piece]
    close: bool = False
    status: int | None = None


def whole(reply: Reply) -> Delivery:
    return Delivery(pieces=((0.0, reply.raw()),), status=reply.status)


def json_reply(status: int, data: Any, headers: Headers = ()) -> Reply:
    body = json.dumps(data, separators=(",", ":")).encode()
    return Reply(status, body, (("Content-Type", "application/json"), *headers))


def html_reply(status: int, page: str) -> Reply:
    return Reply(status, page.encode(), (("Content-Type", "text/html; charset=utf-8"),))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
