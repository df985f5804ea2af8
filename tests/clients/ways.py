"""Ways to call with httpx: each library installed, sync and async; one story for all."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from jwt_outbound.clients.httpx import aservice_client, service_client
from jwt_outbound.clients.httpx_libraries import NAMES, choose
from tests.issuer_server import StrictIssuer


@dataclass(frozen=True)
class Step:
    """One call, or something done between two calls."""

    method: str = "GET"
    url: str = ""
    options: Any = None
    meanwhile: Callable[[], Any] | None = None


def get(url: str, **options: Any) -> Step:
    return Step("GET", url, options)


def post(url: str, **options: Any) -> Step:
    return Step("POST", url, options)


def then(meanwhile: Callable[[], Any]) -> Step:
    return Step(meanwhile=meanwhile)


@dataclass(frozen=True)
class Way:
    library: ModuleType
    is_async: bool

    def __str__(self) -> str:
        return f"{self.library.__name__}-{'async' if self.is_async else 'sync'}"

    def client(self, **options: Any) -> Any:
        """A client as anybody makes it."""
        kind = self.library.AsyncClient if self.is_async else self.library.Client
        return kind(verify=_certificates(self.library), **options)

    def service(self, user: Any, service: str = "billing") -> Any:
        make = aservice_client if self.is_async else service_client
        return make(service, user, library=self.library.__name__)

    def transport(self, **options: Any) -> Any:
        library = self.library
        return (library.AsyncHTTPTransport if self.is_async else library.HTTPTransport)(**options)

    def run(self, make: Callable[[], Any], *steps: Step) -> list[Any]:
        """The responses to the calls among `steps`, all made with one client."""
        return async_to_sync(self._arun)(make, steps) if self.is_async else self._run(make, steps)

    def one(self, make: Callable[[], Any], step: Step) -> Any:
        (response,) = self.run(make, step)
        return response

    def _run(self, make: Callable[[], Any], steps: tuple[Step, ...]) -> list[Any]:
        found = []
        with make() as client:
            for step in steps:
                if step.meanwhile is not None:
                    step.meanwhile()
                else:
                    found.append(client.request(step.method, step.url, **step.options))
        return found

    async def _arun(self, make: Callable[[], Any], steps: tuple[Step, ...]) -> list[Any]:
        found = []
        async with make() as client:
            for step in steps:
                if step.meanwhile is not None:
                    await sync_to_async(step.meanwhile, thread_sensitive=True)()
                else:
                    found.append(await client.request(step.method, step.url, **step.options))
        return found


@cache
def _certificates(library: ModuleType) -> Any:
    """Read once: making a client would take a hundred times as long as a call."""
    return library.create_ssl_context()


LIBRARIES = tuple(name for name in NAMES if find_spec(name))

ways = pytest.mark.parametrize(
    "way",
    [
        pytest.param((name, is_async), id=f"{name}-{'async' if is_async else 'sync'}")
        for name in LIBRARIES
        for is_async in (False, True)
    ],
    indirect=True,
)


def make_way(param: tuple[Any, bool]) -> Way:
    name, is_async = param
    return Way(choose(name), is_async)


def api(issuer: StrictIssuer, page: str = "invoices/") -> str:
    return issuer.base_url + page


def asked(issuer: StrictIssuer) -> list[int]:
    """What the API answered, request by request."""
    return [seen["status"] for seen in issuer.requests("api")]
