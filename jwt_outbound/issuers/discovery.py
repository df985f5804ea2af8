"""Where an issuer's endpoints are, by its own metadata (RFC 8414, OpenID Connect Discovery)."""

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import urllib3

from jwt_outbound import clock
from jwt_outbound.issuers import transport
from jwt_outbound.origins import is_plain_http, origin_of

KEPT: Final = 3600.0
"""Seconds for which the metadata is believed without another look."""
WELL_KNOWN: Final = "/.well-known/"


class NotDiscovered(Exception):
    """No usable metadata. `passes`: a later try may find it; the refresh token was not sent."""

    def __init__(self, code: str, *, passes: bool) -> None:
        super().__init__(code)
        self.code, self.passes = code, passes


class Discovery:
    """One issuer's metadata, asked for when it is needed and kept for an hour."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._found: Mapping[str, Any] | None = None
        self._found_at = 0.0

    def endpoint(self, name: str, deadline: float) -> str:
        """The URL of `name`, in at most `deadline` seconds. Raises `NotDiscovered`."""
        url = self._metadata(deadline).get(name)
        if not isinstance(url, str) or origin_of(url) is None:
            raise NotDiscovered(f"no_{name}", passes=False)
        if is_plain_http(url) and not is_plain_http(self._url):
            raise NotDiscovered("plain_http_endpoint", passes=False)
        return url

    def _metadata(self, deadline: float) -> Mapping[str, Any]:
        with self._lock:
            found = self._found
            if found is not None and clock.seconds() - self._found_at < KEPT:
                return found
        ends_at = clock.seconds() + deadline
        for url in _places(self._url):
            found = self._look(url, ends_at - clock.seconds())
            if found is not None:
                with self._lock:
                    self._found, self._found_at = found, clock.seconds()
                return found
        raise NotDiscovered("no_metadata", passes=False)

    def _look(self, url: str, left: float) -> Mapping[str, Any] | None:
        """The metadata at `url`; None where there is none."""
        try:
            status, _, body = transport.get(url, seconds=left)
            found = json.loads(body) if status == 200 else None
        except transport.Unusable as error:
            raise NotDiscovered(error.code, passes=False) from None
        except (urllib3.exceptions.HTTPError, OSError):
            raise NotDiscovered("discovery_failed", passes=True) from None
        except (transport.NotSent, transport.Oversized, ValueError, RecursionError):
            raise NotDiscovered("discovery_failed", passes=True) from None
        if status >= 500 or status == 429:
            raise NotDiscovered("discovery_failed", passes=True)
        if not isinstance(found, dict):
            return None
        self._ensure_own(found)
        return found

    def _ensure_own(self, found: Mapping[str, Any]) -> None:
        """The metadata must name the issuer that was asked for (RFC 8414 3.3)."""
        said = found.get("issuer")
        if WELL_KNOWN not in self._url and str(said).rstrip("/") != self._url.rstrip("/"):
            raise NotDiscovered("issuer_mismatch", passes=False)


def _places(url: str) -> Iterator[str]:
    """Where the metadata of the issuer `url` may be; an URL with `/.well-known/` is the place."""
    if WELL_KNOWN in url:
        yield url
        return
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    for place in (
        f"{path}{WELL_KNOWN}openid-configuration",
        f"{WELL_KNOWN}oauth-authorization-server{path}",
    ):
        yield urlunsplit((parts.scheme, parts.netloc, place, "", ""))
