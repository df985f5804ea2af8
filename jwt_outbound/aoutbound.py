"""`request.aoutbound["billing"]`: the async clients of one request, for its own user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.utils.functional import LazyObject

from jwt_outbound.clients.httpx import aservice_client
from jwt_outbound.conf import get_service, get_settings

if TYPE_CHECKING:
    import httpx


class AsyncOutbound(Mapping[str, Any]):
    """All configured services by name, each as an `AsyncClient` for the request's user.

    Who that is, is asked at a client's first call, where it can be awaited. A client is kept for
    each service and user until the request ends.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._clients: dict[tuple[str, int], tuple[Any, Any]] = {}

    def __getitem__(self, service: str) -> httpx.AsyncClient:
        """Raises `ServiceNotConfigured`; the client's calls `LoginRequired` if nobody is in."""
        get_service(service)
        user = getattr(self._request, "user", None)
        # By identity: to compare users would be to look them up. The user is kept, so that no
        # other gets his id.
        key = service, id(user)
        if key not in self._clients:
            client = aservice_client(service, partial(_who_is, user, self._request))
            self._clients[key] = user, client
        found: httpx.AsyncClient = self._clients[key][1]
        return found

    def __contains__(self, service: object) -> bool:
        return service in get_settings().services

    def __iter__(self) -> Iterator[str]:
        return iter(get_settings().services)

    def __len__(self) -> int:
        return len(get_settings().services)

    def close(self) -> None:
        """Ends the clients that were used; the connections to the services stay pooled."""
        while self._clients:
            _, (_, client) = self._clients.popitem()
            client.forget()


async def _who_is(user: Any, request: HttpRequest) -> Any:
    """`user`, unless that is a promise to look: that must be done in the async way."""
    return await request.auser() if isinstance(user, LazyObject) else user
