"""An HTTP exchange with a hard total deadline, over urllib3.

Not over `requests`, of which a refresh would use little and pay all: no session takes part, so
there are no cookies and no password from netrc, and a redirect is an answer, never followed.
"""

import json as json_text
import threading
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from requests.utils import (
    DEFAULT_CA_BUNDLE_PATH,
    get_auth_from_url,
    prepend_scheme_if_needed,
    select_proxy,
)
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, LocationValueError, ProxySchemeUnknown
from urllib3.poolmanager import PoolManager, ProxyManager
from urllib3.util import make_headers

from jwt_outbound import __version__, environment
from jwt_outbound.issuers.deadline import PlainConnection, TLSConnection, deadline
from jwt_outbound.origins import origin_of
from jwt_outbound.tls import options_for, version_of

HEADERS: Final = {
    **make_headers(accept_encoding=True, user_agent=f"jwt-outbound/{__version__}"),
    "Accept": "application/json",
    "Connection": "close",
}
LARGEST_BODY: Final = 1024 * 1024
MOST_KEPT: Final = 8
"""Managers of each thread; a replaced bundle or another proxy makes a new one."""

Response = tuple[int, Mapping[str, str], bytes]


class Unusable(Exception):
    """Nobody can be asked with this URL in this environment: `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NotSent(Exception):
    """The connection could not be made in time: surely nothing was sent."""


class Oversized(Exception):
    """The body is above 1 MiB and was not read on."""


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = PlainConnection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = TLSConnection


class _Own(threading.local):
    """No other thread's: a lock of urllib3's that another one held would be held in a fork."""

    def __init__(self) -> None:
        self.managers: dict[Any, PoolManager] = {}


_own = _Own()


def post(
    url: str,
    *,
    seconds: float,
    json: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Sends `json`, or `data` as a form, and reads the answer, in at most `seconds` in all.

    Raises `Unusable`, `NotSent` where the token surely never left, `Oversized`, and after the
    connection stood urllib3's `HTTPError` or an OSError.
    """
    if data is None:
        body, kind = json_text.dumps(json), "application/json"
    else:
        body, kind = urlencode(data, doseq=True), "application/x-www-form-urlencoded"
    own = {"Content-Type": kind, **(headers or {})}
    return _ask("POST", url, seconds, headers=own, body=body.encode())


def get(url: str, *, seconds: float) -> Response:
    """As `post`, without a body."""
    return _ask("GET", url, seconds, headers={})


def _ask(method: str, url: str, seconds: float, *, headers: Any, **content: Any) -> Response:
    if origin_of(url) is None:
        raise Unusable("invalid_url")
    deadline.begin(seconds)
    try:
        response = _manager_for(url).urlopen(
            method,
            url,
            headers={**HEADERS, **headers},
            timeout=deadline.left(),
            redirect=False,
            retries=False,
            preload_content=False,
            **content,
        )
    except LocationValueError:
        raise Unusable("invalid_url") from None
    except (HTTPError, OSError):
        if deadline.connected:
            raise
        raise NotSent from None
    try:
        return response.status, response.headers, _body_of(response)
    finally:
        response.close()


def _body_of(response: BaseHTTPResponse) -> bytes:
    body = b""
    for chunk in response.stream(64 * 1024, decode_content=True):
        body += chunk
        if len(body) > LARGEST_BODY:
            raise Oversized
    return body


def _manager_for(url: str) -> PoolManager:
    """One with the way to the URL's host and the trust that the environment asks for."""
    proxy = select_proxy(url, dict(environment.proxies_for(url)))
    bundle, version = None, None
    if proxy or url[:5].lower() == "https":
        bundle = environment.ca_bundle() or DEFAULT_CA_BUNDLE_PATH
        version = version_of(bundle)
    key = proxy, bundle, version
    manager = _own.managers.get(key)
    if manager is None:
        if len(_own.managers) >= MOST_KEPT:
            _own.managers.clear()
        manager = _own.managers[key] = _make(proxy, options_for(bundle) if bundle else {})
    return manager


def _make(proxy: str | None, options: dict[str, Any]) -> PoolManager:
    manager: PoolManager
    if proxy is None:
        manager = PoolManager(**options)
    else:
        name, password = get_auth_from_url(proxy)
        try:
            manager = ProxyManager(
                prepend_scheme_if_needed(proxy, "http"),  # type: ignore[no-untyped-call]
                proxy_headers=make_headers(proxy_basic_auth=f"{name}:{password}") if name else None,
                proxy_ssl_context=options.get("ssl_context"),
                **options,
            )
        except (ProxySchemeUnknown, UnicodeError) as error:
            # SOCKS, whose connections know nothing of the deadline; a password beyond Latin-1.
            raise Unusable("socks_proxy" if "socks" in str(error) else "invalid_proxy") from None
    manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TLSPool}
    return manager
