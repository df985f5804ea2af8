"""What the portal asks of billing beyond plain REST: GraphQL, many calls at once, and its controls.

The controls exist for the demo's buttons only; no token is involved in them.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any

import requests
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections
from gql import Client, gql
from gql.transport.exceptions import TransportConnectionFailed
from gql.transport.requests import RequestsHTTPTransport

from jwt_outbound.clients import ServiceClient, TokenPairAuth
from jwt_outbound.exceptions import JWTOutboundError, LoginRequired, TemporarilyUnavailable

SUMMARY = gql("query { username total invoices(first: 3) { number customer amount } }")


def summary_by_graphql(user: User) -> dict[str, Any]:
    transport = RequestsHTTPTransport(
        url=f"{settings.BILLING_URL}/graphql/", auth=TokenPairAuth("billing", user), timeout=10
    )
    try:
        return Client(transport=transport).execute(SUMMARY)
    except TransportConnectionFailed as failure:
        # gql wraps whatever rises on the way; the middleware knows our own exceptions.
        if isinstance(failure.__cause__, JWTOutboundError):
            raise failure.__cause__ from None
        raise


def call_at_once(user: User, calls: int) -> Counter[str]:
    """GET the invoices from so many threads that start together; what came back, counted.

    Raises `LoginRequired` when that is what a call ended in, for the middleware to answer.
    """
    together = Barrier(calls)

    def call() -> str:
        together.wait(timeout=30)
        with _own_connections(), ServiceClient("billing", user) as billing:
            try:
                return str(billing.get("invoices/").status_code)
            except (TemporarilyUnavailable, requests.RequestException) as failure:
                return type(failure).__name__

    with ThreadPoolExecutor(calls) as pool:
        outcomes = [pool.submit(call) for _ in range(calls)]
    refused = [f.exception() for f in outcomes if isinstance(f.exception(), LoginRequired)]
    if refused and refused[0]:
        raise refused[0]
    return Counter(outcome.result() for outcome in outcomes)


@contextmanager
def _own_connections() -> Iterator[None]:
    """A thread that no request began must close its database connections itself."""
    try:
        yield
    finally:
        connections.close_all()


def control(path: str, payload: dict[str, Any] | None = None) -> dict[str, Any]:
    """Ask (without a payload) or tell billing's demo controls."""
    url = f"{settings.BILLING_URL}/control/{path}"
    method = "GET" if payload is None else "POST"
    answer = requests.request(method, url, json=payload, timeout=5)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found
