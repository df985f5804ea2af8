"""The connections of this process's httpx clients: pooled across users, never closed by a client.

One pool for the threads, and one for each event loop, since a connection belongs to its loop.
"""

import asyncio
import atexit
import os
from collections.abc import AsyncGenerator
from functools import cache
from types import ModuleType
from typing import Any, Final, Self

from requests.utils import get_environ_proxies, select_proxy

from jwt_outbound.conf import get_service
from jwt_outbound.origins import is_own

MOST_IDLE: Final = 64
"""Connections that are kept for the next call; there is no limit on those in use."""

Transports = dict[tuple[ModuleType, str | None], Any]
Loops = dict[asyncio.AbstractEventLoop, tuple[Transports, AsyncGenerator[None]]]

_sync: Transports = {}
_loops: Loops = {}
_forgotten: list[tuple[Transports, Loops]] = []


class PooledTransport:
    """What a service's clients, sync or async, of either library, send their requests by.

    Nothing of a user is in it. The token is taken off a request that leaves the service: a
    redirect leads there, and whatever the library thinks of that, this is the last place.
    """

    def __init__(self, library: ModuleType, service: str) -> None:
        self._library = library
        self._service = service

    def handle_request(self, request: Any) -> Any:
        """Sends `request`, in this thread."""
        self._keep_at_home(request)
        return _of_threads(self._library, _proxy_for(request)).handle_request(request)

    async def handle_async_request(self, request: Any) -> Any:
        """Sends `request`, on the running event loop."""
        self._keep_at_home(request)
        transport = await _of_this_loop(self._library, _proxy_for(request))
        return await transport.handle_async_request(request)

    def _keep_at_home(self, request: Any) -> None:
        if not is_own(str(request.url), get_service(self._service).own_urls):
            request.headers.pop("Authorization", None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing: others use the connections."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    async def aclose(self) -> None:
        """Nothing: others use the connections."""


def timeouts(timeout: Any) -> Any:
    """A service's `TIMEOUT` for httpx. It is as requests means it: a pair is (connect, read)."""
    if isinstance(timeout, tuple):
        connect, read = timeout
        return connect, read, read, connect
    return timeout


def _proxy_for(request: Any) -> str | None:
    """The environment's proxy, found as `requests` finds it."""
    url = str(request.url)
    proxy: str | None = select_proxy(url, get_environ_proxies(url))
    return proxy


def _of_threads(library: ModuleType, proxy: str | None) -> Any:
    transport = _sync.get((library, proxy))
    if transport is None:
        transport = library.HTTPTransport(**_arguments(library, proxy))
        transport = _sync.setdefault((library, proxy), transport)
    return transport


async def _of_this_loop(library: ModuleType, proxy: str | None) -> Any:
    transports = await _transports_of_this_loop()
    transport = transports.get((library, proxy))
    if transport is None:
        transport = library.AsyncHTTPTransport(**_arguments(library, proxy))
        transports[library, proxy] = transport
    return transport


async def _transports_of_this_loop() -> Transports:
    loop = asyncio.get_running_loop()
    if loop in _loops:
        return _loops[loop][0]
    for known in list(_loops):
        if known.is_closed():
            _loops.pop(known, None)
    transports: Transports = {}
    keeper = _close_at_the_end(loop, transports)
    _loops[loop] = transports, keeper
    await anext(keeper)
    return transports


async def _close_at_the_end(
    loop: asyncio.AbstractEventLoop, transports: Transports
) -> AsyncGenerator[None]:
    """Closes what it was given when its loop ends.

    `asyncio.run`, and so asgiref and the ASGI servers, end with closing the asynchronous
    generators that were begun: the only moment at which a loop's connections can still be closed.
    """
    try:
        yield
    finally:
        _loops.pop(loop, None)
        for transport in transports.values():
            await transport.aclose()


def _arguments(library: ModuleType, proxy: str | None) -> dict[str, Any]:
    limits = library.Limits(max_connections=None, max_keepalive_connections=MOST_IDLE)
    return {"verify": _ssl_context(library), "limits": limits, "proxy": proxy}


@cache
def _ssl_context(library: ModuleType) -> Any:
    """One for all: reading the certificates takes longer than a call."""
    return library.create_ssl_context()


def _forget() -> None:
    """In a forked child: two workers on one keep-alive socket could swap users' answers.

    The pools are kept from the garbage collector, which would close the parent's connections.
    """
    global _sync, _loops
    _forgotten.append((_sync, _loops))
    _sync, _loops = {}, {}


def _close() -> None:
    """At the end of the process, when all threads have ended."""
    while _sync:
        _, transport = _sync.popitem()
        transport.close()


os.register_at_fork(after_in_child=_forget)
atexit.register(_close)
