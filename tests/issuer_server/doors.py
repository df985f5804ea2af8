"""Which door a request stands at, and what may wait or go wrong there before it gets an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tests.issuer_server.api import Api
from tests.issuer_server.book import Book
from tests.issuer_server.endpoints import FORM, Endpoints, Malformed
from tests.issuer_server.faults import Fault, FaultQueue
from tests.issuer_server.gate import Gate
from tests.issuer_server.journal import Journal
from tests.issuer_server.wire import Call, Delivery, Reply, json_reply, whole

DOORS = ("obtain", "refresh", "revoke", "api")
# "answer" stands after the rotation, where an answer can be held back.
GATES = (*DOORS, "answer")
NOTHING = Reply(200)
T = TypeVar("T")


@dataclass
class Doors:
    endpoints: Endpoints
    api: Api
    book: Book
    journal: Journal
    faults: dict[str, FaultQueue] = field(
        default_factory=lambda: {door: FaultQueue() for door in DOORS}
    )
    gates: dict[str, Gate] = field(default_factory=lambda: {name: Gate(name) for name in GATES})

    def gate(self, name: str) -> Gate:
        return _named(self.gates, name)

    def queue(self, door: str) -> FaultQueue:
        return _named(self.faults, door)

    def answer(self, call: Call) -> Delivery:
        door = door_of(call)
        _, token = call.credentials()
        seen = self.journal.note(call, door, self.book.find(token))
        try:
            delivery = self._at(door, call)
        except Malformed as error:
            delivery = whole(error.reply)
        seen.status = delivery.status
        return delivery

    def _at(self, door: str | None, call: Call) -> Delivery:
        if door is None:
            return whole(json_reply(404, {"detail": "Not found."}))
        return self._refresh(call) if door == "refresh" else self._plain(door, call)

    def _plain(self, door: str, call: Call) -> Delivery:
        work: dict[str, Callable[[Call], Reply]] = {
            "obtain": self.endpoints.obtain,
            "revoke": self.endpoints.revoke,
            "api": self.api.answer,
        }
        fault = self.faults[door].take()
        self.gates[door].enter()
        return _carry_out(fault, lambda: work[door](call))

    def _refresh(self, call: Call) -> Delivery:
        form, token = self.endpoints.refresh_form(call)
        noted = self.endpoints.present(form, token)
        fault = self.faults["refresh"].take()
        noted.fault = fault.mode if fault else None
        self.gates["refresh"].enter()
        delivery = _carry_out(fault, lambda: self.endpoints.refresh(form, token, noted))
        self.gates["answer"].enter()
        return delivery


def _named(things: dict[str, T], name: str) -> T:
    if name not in things:
        raise LookupError(f"There is no door {name!r}; there are {', '.join(things)}.")
    return things[name]


def _carry_out(fault: Fault | None, work: Callable[[], Reply]) -> Delivery:
    if fault is None:
        return whole(work())
    return fault.deliver(work() if fault.works_first else NOTHING)


def door_of(call: Call) -> str | None:
    if call.path.startswith("/api/"):
        return "api"
    if call.path == "/token/":
        return "refresh" if _asks_for_refresh(call) else "obtain"
    return {"/token/refresh/": "refresh", "/token/blacklist/": "revoke"}.get(call.path)


def _asks_for_refresh(call: Call) -> bool:
    # OAuth2 has one token endpoint for every grant.
    return call.header("content-type").startswith(FORM) and b"grant_type=" in call.body
