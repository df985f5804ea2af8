"""One call by each public way to make one. A way that is not among them fails the hunt."""

import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import gql
import requests
from asgiref.sync import async_to_sync

from jwt_outbound import clients
from jwt_outbound.clients import ServiceClient, TokenPairAuth
from jwt_outbound.clients import gql as our_gql
from jwt_outbound.clients import httpx as our_httpx
from jwt_outbound.clients.httpx_libraries import installed
from jwt_outbound.conf import get_service
from jwt_outbound.tokens import afetch_valid_access_token, fetch_valid_access_token

Driver = Callable[[Any, str], Iterator[Any]]
"""Of a user and a path; yields what a caller would have in hand."""

QUERY = "query { me }"


def url_of(path: str) -> str:
    return get_service("billing").url(path)


def by_service_client(user: Any, path: str) -> Iterator[Any]:
    with ServiceClient("billing", user) as client:
        yield client
        response = client.get(path)
        yield from (response, response.request, response.request.headers, response.history)
        yield from (client.post(path, json={"a": 1}), client, client.auth)
        assert client.fetch_valid_access_token()
        assert client.fetch_valid_access_token(min_validity=5)


def by_requests_auth(user: Any, path: str) -> Iterator[Any]:
    auth = TokenPairAuth("billing", user)
    yield auth
    response = requests.get(url_of(path), auth=auth, timeout=0.5)
    yield from (response, response.request, response.request.headers, auth)


def by_httpx_auth(user: Any, path: str) -> Iterator[Any]:
    for library in installed():
        auth = our_httpx.TokenPairAuth("billing", user)
        yield auth
        with library.Client(auth=auth, timeout=0.5, follow_redirects=True) as client:
            response = client.get(url_of(path))
            yield from (client, response, response.request, response.request.headers, auth)


def by_httpx_client(user: Any, path: str) -> Iterator[Any]:
    for library in installed():
        with our_httpx.service_client("billing", user, library=library.__name__) as client:
            yield client
            response = client.get(path, follow_redirects=True)
            yield from (response, response.request, response.request.headers, response.history)


def by_async_httpx_client(user: Any, path: str) -> Iterator[Any]:
    for library in installed():
        yield from async_to_sync(_by_async_client)(user, path, library.__name__)


async def _by_async_client(user: Any, path: str, library: Any) -> list[Any]:
    async with our_httpx.aservice_client("billing", user, library=library) as client:
        response = await client.get(path, follow_redirects=True)
        return [client, response, response.request, response.request.headers]


def by_gql(user: Any, path: str) -> Iterator[Any]:
    transport = our_gql.transport("billing", user, path)
    yield transport
    yield gql.Client(transport=transport).execute(gql.gql(QUERY))


def by_async_gql(user: Any, path: str) -> Iterator[Any]:
    transport = our_gql.async_transport("billing", user, path)
    yield transport
    yield async_to_sync(_by_async_gql)(transport)


async def _by_async_gql(transport: Any) -> Any:
    async with gql.Client(transport=transport) as session:
        return await session.execute(gql.gql(QUERY))


def by_hand(user: Any, path: str) -> Iterator[Any]:
    if fetch_valid_access_token("billing", user):
        yield "a token"


def by_hand_async(user: Any, path: str) -> Iterator[Any]:
    if async_to_sync(afetch_valid_access_token)("billing", user):
        yield "a token"


DRIVERS: dict[str, Driver] = {
    "clients.ServiceClient": by_service_client,
    "clients.TokenPairAuth": by_requests_auth,
    "clients.gql.async_transport": by_async_gql,
    "clients.gql.transport": by_gql,
    "clients.httpx.TokenPairAuth": by_httpx_auth,
    "clients.httpx.aservice_client": by_async_httpx_client,
    "clients.httpx.service_client": by_httpx_client,
    "tokens.afetch_valid_access_token": by_hand_async,
    "tokens.fetch_valid_access_token": by_hand,
}


def public_ways() -> set[str]:
    """What the modules of `clients` say is for everybody."""
    found = {f"clients.{name}" for name in clients.__all__}
    for module in pkgutil.iter_modules(clients.__path__):
        names = getattr(import_module(f"{clients.__name__}.{module.name}"), "__all__", ())
        found |= {f"clients.{module.name}.{name}" for name in names}
    return found
