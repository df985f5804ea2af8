"""What `requests` takes from the environment for a call, without its way of looking for it.

For each call `requests` reads all variables of the environment twice, to find that there are no
proxies: of a call to a near service that is a tenth to a fifth. Here their names are read once,
and what follows from them is kept for each host.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib import request as urllib_request

import requests
from requests import sessions
from requests import utils as requests_utils

MOST_HOSTS: Final = 256
"""Entries kept; a changed environment makes new ones."""

_HOST: Final = re.compile(r"[a-z]+://[^/?#]*", re.IGNORECASE)
_SUFFIX: Final = b"_proxy"

# Untyped, or not in their stubs.
_urllib: Any = urllib_request
_utils: Any = requests_utils
_merge_setting: Any = sessions.merge_setting

Variables = tuple[tuple[bytes, bytes | None], ...]

_known: dict[tuple[Variables, str], dict[str, str]] = {}


def merge(
    session: requests.Session, url: str, proxies: Any, stream: Any, verify: Any, cert: Any
) -> dict[str, Any]:
    """As `requests.Session.merge_environment_settings`: its results in every case."""
    if session.trust_env:
        no_proxy = None if proxies is None else proxies.get("no_proxy")
        found = proxies_for(url, no_proxy)
        if proxies is not None:
            for scheme, proxy in found.items():
                proxies.setdefault(scheme, proxy)
        if verify is True or verify is None:
            verify = ca_bundle() or verify
    return {
        "proxies": _merge_proxies(proxies, session.proxies),
        "stream": _merge_setting(stream, session.stream),
        "verify": _merge_setting(verify, session.verify),
        "cert": _merge_setting(cert, session.cert),
    }


def ca_bundle() -> str | None:
    """Where the environment says that the certificate authorities to be trusted are."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")


def proxies_for(url: str, no_proxy: str | None = None) -> Mapping[str, str]:
    """As `requests.utils.get_environ_proxies`.

    `no_proxy`: the call's own, which `requests` writes into the environment while it looks.
    """
    variables = _proxy_variables()
    if variables == ():
        return {}
    host = _HOST.match(url)
    if variables is None or host is None or no_proxy is not None:
        return cast(dict[str, str], _utils.get_environ_proxies(url, no_proxy=no_proxy))
    found = _known.get((variables, host[0]))
    if found is None:
        found = _utils.get_environ_proxies(url)
        if variables == _proxy_variables():  # else another thread has changed it meanwhile
            if len(_known) >= MOST_HOSTS:
                _known.clear()
            _known[variables, host[0]] = found
    return found


def _proxy_variables() -> Variables | None:
    """All that urllib goes by; None where it does not go by the environment alone (macOS, Windows,
    and where somebody has put another function in its place)."""
    if sys.platform == "win32" or not (
        _utils.getproxies is _urllib.getproxies_environment
        and _utils.proxy_bypass is _urllib.proxy_bypass_environment
    ):
        return None
    if _SUFFIX not in b" ".join(os.environb).lower():  # nearly always, and told soonest like this
        return ()
    names = [name for name in os.environb if name[-len(_SUFFIX) :].lower() == _SUFFIX]
    if not names:
        return ()
    # In a CGI script urllib does not believe HTTP_PROXY: a visitor can set it.
    return tuple((name, os.environb.get(name)) for name in [*names, b"REQUEST_METHOD"])


def _merge_proxies(own: Any, of_session: Any) -> Any:
    """As `merge_setting`, which takes long for what is nearly always empty."""
    if of_session == {} and type(own) is dict:
        return {scheme: proxy for scheme, proxy in own.items() if proxy is not None}
    return _merge_setting(own, of_session)
