"""Time that passes in jumps: this process's clock and the database's, as this process sees it."""

from __future__ import annotations

from collections import Counter

from jwt_outbound.clients import ServiceClient
from jwt_outbound.exceptions import JWTOutboundError
from jwt_outbound.testing import drain, shift_clock
from tests.concurrency import fitting
from tests.concurrency.worker import Stage
from tests.issuer_server import RemoteIssuer

_clients: dict[tuple[str, int], ServiceClient] = {}


def live_on(
    stage: Stage, service: str, user: int, issuer: str, steps: int, step: float, issuers_step: float
) -> dict[str, int]:
    """At each step the API is called, by the client that this process has kept.

    `step`, `issuers_step`: the seconds that pass at it, here and by the issuer's clock. What the
    calls came to, status or error, and how often.
    """
    remote, seen = RemoteIssuer(issuer), Counter[str]()
    for _ in range(steps):
        if issuers_step:
            remote.advance(issuers_step)
        shift_clock(step)
        seen[_call(service, user)] += 1
        drain()
    return seen


def set_wall_clock(stage: Stage, seconds: float) -> None:
    fitting.set_wall_clock(seconds)


def _call(service: str, user: int) -> str:
    client = _clients.setdefault((service, user), ServiceClient(service, user))
    try:
        return str(client.get("me/").status_code)
    except JWTOutboundError as error:
        return type(error).__name__
