"""The one redirect to another origin along which httpx keeps the token, and how it is taken off.

A redirect that an httpx client follows is not seen by its auth. httpx drops the header on the way
to another origin, but not from http to https of the same host, both on their usual ports. That is
another origin all the same, where the token goes only if the service names it as its own.
"""

from collections.abc import Callable
from typing import Any, Final

from jwt_outbound.conf import Service
from jwt_outbound.origins import is_own

Watch = Callable[[Any, Service], None]

SENDING: Final = ".send_request_headers.started"
"""The end of the events of httpx's `trace` extension that come just before the headers leave."""


def watch(request: Any, service: Service) -> None:
    """Sees to it that `request` and what it is redirected to send the token to `service` only."""
    if not _may_be_upgraded(request, service):
        return
    host, theirs = request.url.raw_host, request.extensions.get("trace")

    def trace(event: str, info: dict[str, Any]) -> None:
        _take_off(host, event, info)
        if theirs is not None:
            theirs(event, info)

    request.extensions = {**request.extensions, "trace": trace}


def async_watch(request: Any, service: Service) -> None:
    """As `watch`, for the async clients, whose traces are async functions."""
    if not _may_be_upgraded(request, service):
        return
    host, theirs = request.url.raw_host, request.extensions.get("trace")

    async def trace(event: str, info: dict[str, Any]) -> None:
        _take_off(host, event, info)
        if theirs is not None:
            await theirs(event, info)

    request.extensions = {**request.extensions, "trace": trace}


def _may_be_upgraded(request: Any, service: Service) -> bool:
    url = request.url
    if url.scheme != "http" or url.port not in (None, 80):
        return False
    return not is_own(str(url.copy_with(scheme="https", port=None)), service.own_urls)


def _take_off(host: bytes, event: str, info: dict[str, Any]) -> None:
    if not event.endswith(SENDING):
        return
    leaving = info["request"]
    if leaving.url.scheme == b"https" and leaving.url.host == host:
        leaving.headers[:] = [
            line for line in leaving.headers if line[0].lower() != b"authorization"
        ]
