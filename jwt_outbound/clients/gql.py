"""Transports for gql's `Client`: queries, mutations and file uploads on a user's behalf.

gql is imported when the first transport is made. It takes httpx2 where that is installed, else
httpx, and so do its transports here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jwt_outbound.clients.graphql_auth import GraphQLAuth
from jwt_outbound.clients.httpx_pools import PooledTransport, timeouts
from jwt_outbound.conf import get_service
from jwt_outbound.exceptions import JWTOutboundError
from jwt_outbound.faults import clear_frames_of
from jwt_outbound.origins import ensure_own

if TYPE_CHECKING:
    from gql.transport.httpx import HTTPXAsyncTransport, HTTPXTransport

__all__ = ["async_transport", "transport"]

UNAUTHENTICATED = ("UNAUTHENTICATED",)


def transport(
    service: str, user: Any, url: str = "", *, codes: Collection[str] = UNAUTHENTICATED
) -> HTTPXTransport:
    """A transport for `gql.Client` that calls `url` of `service` on behalf of `user`.

    `url` is below the service's `BASE_URL`, or absolute and of its origins: else `ForeignOrigin`
    is raised here. `codes`: what the API says in `errors[].extensions.code`, mostly with HTTP 200,
    when it means a 401. What `execute()` raises is gql's own, but for `LoginRequired` and
    `TemporarilyUnavailable`, which rise unwrapped.
    """
    made: HTTPXTransport = _make("HTTPXTransport", _Transport, service, user, url, codes)
    return made


def async_transport(
    service: str, user: Any, url: str = "", *, codes: Collection[str] = UNAUTHENTICATED
) -> HTTPXAsyncTransport:
    """As `transport`, for gql's async sessions. `user` may also be an async function that is
    asked for the user at the first call, such as `request.auser`."""
    made: HTTPXAsyncTransport = _make(
        "HTTPXAsyncTransport", _AsyncTransport, service, user, url, codes
    )
    return made


def _make(kind: str, ours: Any, service: str, user: Any, url: str, codes: Collection[str]) -> Any:
    configured = get_service(service)
    target = configured.url(url)
    ensure_own(target, configured.own_urls, service)
    library = _gql().httpx
    return _class_of(kind, ours)(
        url=target,
        auth=GraphQLAuth(service, user, codes),
        timeout=timeouts(configured.timeout),
        transport=PooledTransport(library, service),
    )


def _gql() -> Any:
    try:
        return import_module("gql.transport.httpx")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"The GraphQL transports need gql and httpx2 (or httpx), and {error.name!r} is not "
            "installed: pip install 'jwt-outbound[graphql]'.",
            name=error.name,
        ) from None


@cache
def _class_of(kind: str, ours: Any) -> Any:
    return type(kind, (ours, getattr(_gql(), kind)), {"__module__": __name__})


@contextmanager
def _as_our_own() -> Iterator[None]:
    """gql wraps whatever rises on the way; the middleware knows our own exceptions.

    The frames of the others are emptied: they hold the header, and Django's error pages and mails
    show local variables.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error.__cause__, JWTOutboundError):
            raise error.__cause__ from None
        clear_frames_of(error)
        raise


class _Transport:
    def execute(self, *args: Any, **kwargs: Any) -> Any:
        with _as_our_own():
            return super().execute(*args, **kwargs)  # type: ignore[misc]

    def execute_batch(self, *args: Any, **kwargs: Any) -> Any:
        with _as_our_own():
            return super().execute_batch(*args, **kwargs)  # type: ignore[misc]


class _AsyncTransport:
    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        with _as_our_own():
            return await super().execute(*args, **kwargs)  # type: ignore[misc]

    async def execute_batch(self, *args: Any, **kwargs: Any) -> Any:
        with _as_our_own():
            return await super().execute_batch(*args, **kwargs)  # type: ignore[misc]
