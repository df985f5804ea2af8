"""Which URL is a service's own: a token goes there and nowhere else (promise P5)."""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import idna

from jwt_outbound.exceptions import ForeignOrigin

_PORTS = {"http": 80, "https": 443}
_BEGINNING = re.compile(r"(https?)://([^/?#]*)", re.IGNORECASE)
"""Scheme and authority; nothing behind them can change where a request goes."""

Origin = tuple[str, str, int]


def origin_of(url: str) -> Origin | None:
    """Scheme, host and port of `url`, or None for what is no plain http(s) URL.

    A URL that different parsers might read differently (user info, backslashes, control
    characters, no host) has no origin at all.
    """
    beginning = _BEGINNING.match(url)
    return None if beginning is None else _origin_of(beginning[0], beginning[2])


@lru_cache(maxsize=256)
def _origin_of(beginning: str, authority: str) -> Origin | None:
    if any(c <= " " or c in "\\@%\x7f" for c in authority):
        return None
    try:
        parts = urlsplit(beginning)
        host, port = _looked_up(parts.hostname or ""), parts.port
    except ValueError:
        return None
    if not host:
        return None
    return parts.scheme, host, _PORTS[parts.scheme] if port is None else port


def _looked_up(host: str) -> str:
    """The host in lower case and punycode, label by label, as urllib3 does before it connects."""
    if host.isascii():
        return host.lower()
    labels = host.lower().split(".")
    return ".".join(
        idna.encode(label, strict=True, std3_rules=True).decode() if label else ""
        for label in labels
    )


def ensure_own(url: str, own: Iterable[str], service: str) -> None:
    """Raises `ForeignOrigin` unless `url` has one of the origins of the URLs `own`."""
    if not is_own(url, own):
        raise ForeignOrigin(
            f"The URL is not one of service {service!r}: its token is not sent there. "
            "Further origins must be listed in the service's ALLOWED_ORIGINS.",
            service=service,
        )


def is_own(url: str, own: Iterable[str]) -> bool:
    """Whether `url` has one of the origins of the URLs `own`."""
    origin = origin_of(url)
    return origin is not None and any(origin == origin_of(known) for known in own)


def fault_of_url(url: Any) -> str:
    """What is wrong with an http(s) URL of the settings, for a check's message; "" if nothing."""
    if not isinstance(url, str) or not url:
        return "is not a URL"
    if any(character <= " " for character in url):
        return "has a space or a control character in it"
    return "" if origin_of(url) else "is not an http(s) URL that names a host"


def is_plain_http(url: str) -> bool:
    """Whether `url` would carry a token unencrypted over a network: http, and not to loopback."""
    origin = origin_of(url)
    return origin is not None and origin[0] == "http" and not _is_loopback(origin[1])


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
