"""The `requests` client: a Session for one service and user, and the auth that it is made of."""

import os
import re
from collections import OrderedDict
from functools import cache
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.cookies import RequestsCookieJar
from requests.hooks import default_hooks
from requests.utils import default_headers

from jwt_outbound import environment
from jwt_outbound.clients.holder import TokenHolder
from jwt_outbound.clients.requests_hook import ResponseHook
from jwt_outbound.clients.second_line import SecondLine
from jwt_outbound.conf import Service, get_service
from jwt_outbound.faults import clear_frames_of, discreet
from jwt_outbound.grants import Grant
from jwt_outbound.origins import ensure_own, is_own
from jwt_outbound.tls import TLSAdapter, Version, version_of
from jwt_outbound.tokens import fetch_valid_access_token
from jwt_outbound.users import user_id_of

_HOST = re.compile(r"https?://[^/?#]*")
MOST_POOLS = 32
"""Hosts whose connections are kept."""

_adapters: dict[str, HTTPAdapter] = {}
_forgotten: list[dict[str, HTTPAdapter]] = []


class TokenPairAuth(TokenHolder, AuthBase):
    """Signs any `requests` call with the user's access token for `service`.

    The token is checked, and refreshed if need be, before the request is sent. A 401 is the
    second line: one refresh and one resend. Raises `ForeignOrigin` for a URL that is not the
    service's own, `LoginRequired` and `TemporarilyUnavailable`.
    """

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Adds the header; `requests` calls this while it prepares a request."""
        service = get_service(self._service)
        ensure_own(request.url or "", service.own_urls, service.name)
        line = SecondLine(service, self.grant())
        line.sign(request.headers)
        request.register_hook("response", ResponseHook(line, self.renew))  # type: ignore[no-untyped-call]
        return request

    def grant(self) -> Grant:
        """A token that is good now: the copy in memory while it is trusted, else the row's."""
        return self._trusted() or self._keep(self._call().fetch())

    def renew(self, rejected: Grant) -> Grant:
        """What to use after a 401 to `rejected`; the same token where that was no expiry."""
        return self._keep(self._call(rejected).fetch())


class ServiceClient(requests.Session):
    """A `requests.Session` for one service on behalf of one user.

    Relative URLs are below `BASE_URL`; `TIMEOUT` is the default time-out; connections are pooled
    across users, cookies are not. Make one for each user (they are cheap) and close it.
    """

    def __init__(self, service: str, user: Any) -> None:
        vars(self).update(_new_state())
        self._service = service
        self._user = user
        self.auth = self._own_auth = TokenPairAuth(service, user)

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> Any:
        """As `requests.Session.request`, below `BASE_URL`."""
        service = get_service(self._service)
        if isinstance(url, bytes):
            url = url.decode("ascii")
        target = service.url(url)
        ensure_own(target, service.own_urls, service.name)
        kwargs.setdefault("timeout", service.timeout)
        return super().request(method, target, *args, **kwargs)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """As `requests.Session.prepare_request`, which takes long to merge in what is empty."""
        if not request.params:
            request.params = None  # means the same
        if not request.headers and None not in self.headers.values():
            request.headers = None
        return super().prepare_request(request)

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """As `requests.Session.merge_environment_settings`, in less time."""
        return environment.merge(self, url, proxies, stream, verify, cert)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> Any:
        """As `requests.Session.send`.

        What it raises keeps its traceback, but not the local variables of the frames below: they
        hold the header, and Django's error pages and mails show them.
        """
        try:
            return super().send(request, **kwargs)
        except Exception as error:
            clear_frames_of(error)
            raise

    @discreet
    def fetch_valid_access_token(self, min_validity: float = 0) -> str:
        """The user's access token, good for `min_validity` more seconds."""
        if not min_validity:
            return self._own_auth.grant().access.reveal()
        return fetch_valid_access_token(self._service, self._user, min_validity)

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Along a redirect the token stays at home: kept within the origins, else dropped.

        `requests` would compare hosts only, and would fill in what netrc says of the new one.
        """
        service: Service = get_service(self._service)
        if not is_own(prepared_request.url or "", service.own_urls):
            prepared_request.headers.pop("Authorization", None)

    def close(self) -> None:
        """Drops this client's cookies and token; the shared connections stay open."""
        self.cookies.clear()
        self._own_auth.forget()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._service, user_id_of(self._user, self._service))


class _Adapter(TLSAdapter):
    """Its connections do not print what they send, whatever `http.client`'s debug level is.

    The pool of a host is remembered: to find it again in urllib3 takes longer than to send.
    """

    def __init__(self) -> None:
        super().__init__(pool_connections=MOST_POOLS, pool_maxsize=64)
        self._pools: dict[tuple[str, Any, Version | None], Any] = {}

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        host = _HOST.match(request.url)
        if host is None or proxies or cert is not None:
            return self._pool(request, verify, proxies, cert)
        key = host[0], verify, version_of(verify) if host[0].startswith("https") else None
        pool = self._pools.get(key)
        if pool is None or pool.pool is None:  # closed
            pool = self._pool(request, verify, proxies, cert)
            if len(self._pools) >= MOST_POOLS:
                self._pools.clear()
            self._pools[key] = pool
        return pool

    def _pool(self, *args: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args)
        pool.ConnectionCls = _quiet(pool.ConnectionCls)
        return pool


@cache
def _quiet(kind: type[Any]) -> type[Any]:
    return kind if "debuglevel" in vars(kind) else type("_Quiet", (kind,), {"debuglevel": 0})


@cache
def _template() -> dict[str, Any]:
    return vars(requests.Session())


def _new_state() -> dict[str, Any]:
    """What `requests.Session()` begins with, but for its adapters: to make these, with pools that
    nobody would use, takes as long as all the rest of a client."""
    return {
        **_template(),
        "headers": default_headers(),
        "cookies": RequestsCookieJar(),
        "proxies": {},
        "hooks": default_hooks(),
        "params": {},
        "adapters": OrderedDict((s, _shared_adapter(s)) for s in ("https://", "http://")),
    }


def _shared_adapter(scheme: str) -> HTTPAdapter:
    """One for all clients of this process: connections are kept, and nobody's cookies."""
    adapter = _adapters.get(scheme)
    if adapter is None:
        adapter = _adapters.setdefault(scheme, _Adapter())
    return adapter


def _forget() -> None:
    """In a forked child: two workers on one keep-alive socket could swap users' answers.

    The adapters are kept from the garbage collector, which would close the parent's connections.
    """
    global _adapters
    _forgotten.append(_adapters)
    _adapters = {}


os.register_at_fork(after_in_child=_forget)
