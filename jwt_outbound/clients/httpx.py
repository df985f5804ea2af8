"""httpx and httpx2, sync and async: an auth for any client, and clients for one service and user.

Importing this module imports neither library; making one of its objects does.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from jwt_outbound.clients.httpx_auth import TokenPairAuth
from jwt_outbound.clients.httpx_libraries import Name, choose
from jwt_outbound.clients.httpx_pools import PooledTransport, timeouts
from jwt_outbound.conf import get_service
from jwt_outbound.faults import clear_frames_of
from jwt_outbound.origins import ensure_own

if TYPE_CHECKING:
    import httpx

__all__ = ["TokenPairAuth", "aservice_client", "service_client"]


def service_client(service: str, user: Any, *, library: Name | None = None) -> httpx.Client:
    """A `Client` of httpx2, or of httpx, for one service on behalf of one user.

    Relative URLs are below `BASE_URL`; `TIMEOUT` is the default time-out; connections are pooled
    across users, cookies are not. Make one for each user (they are cheap) and close it. Without
    `library` it is httpx2's where that is installed.
    """
    client: httpx.Client = _make("Client", _ServiceClient, service, user, choose(library))
    return client


def aservice_client(service: str, user: Any, *, library: Name | None = None) -> httpx.AsyncClient:
    """As `service_client`, an `AsyncClient`. `user` may also be an async function that is asked
    for the user at the first call, such as `request.auser`."""
    client: httpx.AsyncClient = _make(
        "AsyncClient", _AsyncServiceClient, service, user, choose(library)
    )
    return client


def _make(kind: str, ours: Any, service: str, user: Any, library: ModuleType) -> Any:
    configured, auth = get_service(service), TokenPairAuth(service, user)
    client = _class_of(kind, ours, library)(
        base_url=configured.base_url,
        auth=auth,
        timeout=timeouts(configured.timeout),
        transport=PooledTransport(library, service),
    )
    client._service, client._own_auth = service, auth
    return client


@cache
def _class_of(kind: str, ours: Any, library: ModuleType) -> Any:
    return type(kind, (ours, getattr(library, kind)), {"__module__": __name__})


class _Ours:
    """What both kinds of clients have beyond their library's own."""

    _service: str
    _own_auth: TokenPairAuth

    def build_request(self, method: str, url: Any, **kwargs: Any) -> Any:
        """As the library's own, below `BASE_URL`. Raises `ForeignOrigin` for other services."""
        service = get_service(self._service)
        target = service.url(str(url))
        ensure_own(target, service.own_urls, service.name)
        return super().build_request(method, target, **kwargs)  # type: ignore[misc]

    def forget(self) -> None:
        """Drops this client's cookies and token; the shared connections stay open."""
        self.cookies.clear()  # type: ignore[attr-defined]
        self._own_auth.forget()


class _ServiceClient(_Ours):
    def send(self, request: Any, **kwargs: Any) -> Any:
        """As the library's own; the frames of what it raises are emptied.

        They hold the header, and Django's error pages and mails show local variables.
        """
        try:
            return super().send(request, **kwargs)  # type: ignore[misc]
        except Exception as error:
            clear_frames_of(error)
            raise

    def close(self) -> None:
        """Ends this client; the shared connections stay open."""
        self.forget()
        super().close()  # type: ignore[misc]


class _AsyncServiceClient(_Ours):
    async def send(self, request: Any, **kwargs: Any) -> Any:
        """As the library's own; see `_ServiceClient.send`."""
        try:
            return await super().send(request, **kwargs)  # type: ignore[misc]
        except Exception as error:
            clear_frames_of(error)
            raise

    async def aclose(self) -> None:
        """Ends this client; the shared connections stay open."""
        self.forget()
        await super().aclose()  # type: ignore[misc]
