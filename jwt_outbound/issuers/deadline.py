"""An HTTP exchange with a hard total deadline, over `requests`.

`requests`' own `timeout` bounds each wait for the socket, so a byte a second lasts for ever. Here
the socket's time-out is what is left of the deadline, set anew before each read. There is no
keep-alive: a connection that the other side has just closed would look like a lost answer.
"""

import io
import socket
import threading
import time
from collections.abc import Mapping
from functools import partial
from http.client import HTTPResponse
from typing import Any

import requests
from requests.utils import default_headers
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import wait_for_read

from jwt_outbound import environment
from jwt_outbound.forks import gate
from jwt_outbound.tls import TLSAdapter

HEADERS = {**default_headers(), "Accept": "application/json", "Connection": "close"}
LARGEST_BODY = 1024 * 1024
LATE = 0.25
"""Seconds after the deadline for reading what has arrived, where the process stood still."""
_INVALID_URL = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
)


class Unusable(Exception):
    """Nobody can be asked with this URL in this environment: `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NotSent(Exception):
    """The connection could not be made in time: surely nothing was sent."""


class Oversized(Exception):
    """The body is above 1 MiB and was not read on."""


class _Raw(io.RawIOBase):
    """A socket's reading side that runs out at `ends_at`."""

    def __init__(self, sock: Any, ends_at: float) -> None:
        self._sock, self._ends_at = sock, ends_at
        self._late_until: float | None = None
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._ends_at - time.monotonic()
        self._sock.settimeout(left if left > 0 else self._left_for_what_is_here())
        with gate.open():
            return self._raw.readinto(buffer)  # type: ignore[no-any-return]

    def _left_for_what_is_here(self) -> float:
        """An answer that has arrived is not thrown away, though this process read it too late."""
        now = time.monotonic()
        if self._late_until is None:
            self._late_until = now + LATE
        if now >= self._late_until or not _has_arrived(self._sock):
            raise TimeoutError("the deadline has passed")
        return self._late_until - now

    def close(self) -> None:
        self._raw.close()
        super().close()


def _has_arrived(sock: Any) -> bool:
    """Whether there is something to read at once; TLS may have taken it off the socket already."""
    pending = getattr(sock, "pending", None)
    return bool(pending is not None and pending()) or wait_for_read(sock, timeout=0)


class _Reader:
    """What `http.client` needs of a socket to read from it."""

    def __init__(self, sock: Any, ends_at: float) -> None:
        self._sock, self._ends_at = sock, ends_at

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Raw(self._sock, self._ends_at))


class _LastResponse(HTTPResponse):
    """The connection ends with it, though the other side may offer to keep it."""

    def begin(self) -> None:
        super().begin()
        self.will_close = True


class _Deadline:
    """Mixed into urllib3's connections."""

    host: str
    port: int
    socket_options: Any
    debuglevel = 0
    """`http.client`'s own, which a project may have raised, prints what is sent."""

    def __init__(self, *arguments: Any, adapter: "_Adapter", **options: Any) -> None:
        self.adapter = adapter
        super().__init__(*arguments, **options)

    def _new_conn(self) -> socket.socket:
        """The host's addresses in turn share the deadline: urllib3 would grant it to each."""
        error = OSError("the host has no address")
        for found in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            try:
                return self._connected(*found)
            except OSError as failure:
                error = failure
        raise error

    def _connected(self, family: int, kind: int, proto: int, _: str, address: Any) -> socket.socket:
        sock = socket.socket(family, kind, proto)
        try:
            for option in self.socket_options or ():
                sock.setsockopt(*option)
            sock.settimeout(self.adapter.left())
            with gate.open():
                sock.connect(address)
            sock.settimeout(self.adapter.left())
        except OSError:
            sock.close()
            raise
        return sock

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        # Finding the address can't be interrupted: what took too long is not sent any more.
        self.adapter.left()
        self.adapter.connected = True

    def response_class(self, sock: Any, *args: Any, **kwargs: Any) -> HTTPResponse:
        reader: Any = _Reader(sock, self.adapter.ends_at)
        return _LastResponse(reader, *args, **kwargs)


class _HTTP(_Deadline, HTTPConnection):  # type: ignore[misc]
    pass


class _HTTPS(_Deadline, HTTPSConnection):  # type: ignore[misc]
    pass


class _Adapter(TLSAdapter):
    """One thread's: serves one exchange at a time, and knows whether its connection ever stood."""

    ends_at = 0.0
    connected = False

    def begin(self, ends_at: float) -> None:
        """Another exchange, which ends then."""
        self.ends_at, self.connected = ends_at, False

    def left(self) -> float:
        """Seconds of the deadline. Raises TimeoutError once it has passed."""
        seconds = self.ends_at - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the deadline has passed")
        return seconds

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Not by SOCKS, whose connections know nothing of the deadline."""
        if proxy.lower().startswith("socks"):
            raise Unusable("socks_proxy")
        return super().proxy_manager_for(proxy, **options)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = partial(_HTTPS if pool.scheme == "https" else _HTTP, adapter=self)
        return pool


class _Own(threading.local):
    def __init__(self) -> None:
        self.adapter = _Adapter(max_retries=0, pool_maxsize=1)


_own = _Own()

Response = tuple[int, Mapping[str, str], bytes]


def post(url: str, *, deadline: float, **arguments: Any) -> Response:
    """As `ask`."""
    return ask("POST", url, deadline=deadline, **arguments)


def ask(method: str, url: str, *, deadline: float, **arguments: Any) -> Response:
    """Sends a request and reads its answer, in at most `deadline` seconds in all.

    A redirect is an answer; it is never followed. No session takes part, so there are no cookies,
    and no password from netrc.

    Raises `Unusable`, `NotSent` where the token surely never left, `Oversized`, and after the
    connection stood whatever requests or the socket raises.
    """
    adapter = _own.adapter
    adapter.begin(time.monotonic() + deadline)
    headers = {**HEADERS, **arguments.pop("headers", {})}
    try:
        request = requests.Request(method, url, headers=headers, **arguments).prepare()
        response = adapter.send(
            request,
            stream=True,
            timeout=deadline,
            verify=environment.ca_bundle() or True,
            proxies=environment.proxies_for(request.url or url),
        )
    except _INVALID_URL:
        raise Unusable("invalid_url") from None
    except (requests.RequestException, OSError):
        if adapter.connected:
            raise
        raise NotSent from None
    with response:
        try:
            return response.status_code, response.headers, _body(response)
        except requests.ConnectionError:
            # What requests calls it too when the deadline passes inside the body.
            adapter.left()
            raise


def _body(response: requests.Response) -> bytes:
    body = b""
    for chunk in response.iter_content(64 * 1024):
        body += chunk
        if len(body) > LARGEST_BODY:
            raise Oversized
    return body
