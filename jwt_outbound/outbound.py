"""`request.outbound["billing"]`: the clients of one request, for its own user."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import SynchronousOnlyOperation
from django.http import HttpRequest

from jwt_outbound.clients import ServiceClient
from jwt_outbound.conf import get_service, get_settings
from jwt_outbound.users import user_id_of


class Outbound(Mapping[str, ServiceClient]):
    """All configured services by name, each as a `ServiceClient` for `request.user`.

    The user is looked up at each use, since DRF authenticates when the middleware has long run;
    a client is kept for each service and user until the request ends.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._clients: dict[tuple[str, Any], ServiceClient] = {}

    def __getitem__(self, service: str) -> ServiceClient:
        """Raises `ServiceNotConfigured`, and `LoginRequired` while nobody is logged in."""
        _ensure_no_event_loop(service)
        get_service(service)
        user = getattr(self._request, "user", None)
        key = service, user_id_of(user, service)
        if key not in self._clients:
            self._clients[key] = ServiceClient(service, user)
        return self._clients[key]

    def __contains__(self, service: object) -> bool:
        return service in get_settings().services

    def __iter__(self) -> Iterator[str]:
        return iter(get_settings().services)

    def __len__(self) -> int:
        return len(get_settings().services)

    def close(self) -> None:
        """Closes the clients that were used; the connections to the services stay pooled."""
        while self._clients:
            _, client = self._clients.popitem()
            client.close()


def _ensure_no_event_loop(service: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise SynchronousOnlyOperation(
        f"request.outbound[{service!r}] blocks, and would hold up every other request of this "
        f"event loop. In an async view, use `await request.aoutbound[{service!r}].get(...)`, an "
        "AsyncClient of httpx2 or httpx; or make the call in a thread with asgiref's "
        "`sync_to_async`."
    )
