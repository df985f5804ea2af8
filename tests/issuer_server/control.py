"""The issuer's verbs as JSON under /control/, for tests in other processes.

POST /control/fail/ {"mode": 503, "times": 3}  ->  {"result": null}
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.issuer_server.wire import Call, Delivery, Reply, json_reply, whole

PREFIX = "/control/"
VERBS = frozenset(
    {
        "add_user",
        "advance",
        "configure",
        "delete_user",
        "fail",
        "families",
        "forget",
        "heal",
        "hold",
        "most_presented",
        "pair_for",
        "presentations",
        "refuse",
        "reject_access",
        "release",
        "release_all",
        "requests",
        "reuses",
        "revoke",
        "set_active",
        "set_clock",
        "times_presented",
        "wait_inside",
    }
)
# A verb's own errors travel by name and rise again in the other process.
ERRORS: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (KeyError, LookupError, TimeoutError, TypeError, ValueError)
}


class Control:
    def __init__(self, issuer: object, otherwise: Callable[[Call], Delivery]) -> None:
        self._issuer = issuer
        self._otherwise = otherwise

    def answer(self, call: Call) -> Delivery:
        if not call.path.startswith(PREFIX):
            return self._otherwise(call)
        return whole(self._carry_out(call.path.removeprefix(PREFIX).strip("/"), call.body))

    def _carry_out(self, verb: str, body: bytes) -> Reply:
        if verb not in VERBS:
            return _error(404, LookupError(f"There is no verb {verb!r}."))
        try:
            arguments: dict[str, Any] = json.loads(body or b"{}")
            return json_reply(200, {"result": getattr(self._issuer, verb)(**arguments)})
        except tuple(ERRORS.values()) as error:
            return _error(400, error)


def _error(status: int, error: Exception) -> Reply:
    known = type(error).__name__ if type(error).__name__ in ERRORS else "ValueError"
    said = error.args[0] if error.args else ""
    return json_reply(status, {"error": known, "message": str(said)})
