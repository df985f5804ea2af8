"""The issuer as a test sees it: start it, command it, ask what it saw.

Everything that a verb takes or gives is plain data, so that `RemoteIssuer` offers the same verbs
over HTTP to tests in other processes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from tests.issuer_server.accounts import Accounts
from tests.issuer_server.api import Api
from tests.issuer_server.book import Book
from tests.issuer_server.control import Control
from tests.issuer_server.doors import Doors
from tests.issuer_server.endpoints import Endpoints
from tests.issuer_server.faults import Fault
from tests.issuer_server.journal import Journal
from tests.issuer_server.knobs import Clock, Knobs
from tests.issuer_server.records import Account
from tests.issuer_server.server import Server
from tests.issuer_server.urls import Urls


class StrictIssuer(Urls):
    def __init__(self, port: int = 0, **knobs: Any) -> None:
        self.port = port
        self._knobs = Knobs(**knobs)
        self._clock = Clock()
        self._accounts = Accounts()
        self._book = Book()
        self._journal = Journal()
        endpoints = Endpoints(
            self._book, self._accounts, self._clock, self._journal, self._current_knobs
        )
        api = Api(self._book, self._clock, self._current_knobs)
        self._doors = Doors(endpoints, api, self._book, self._journal)
        self._control = Control(self, self._doors.answer)
        self._server: Server | None = None
        super().__init__("")

    def _current_knobs(self) -> Knobs:
        return self._knobs

    # Serving

    def start(self) -> None:
        """Listen; a second start takes the port that the first one had."""
        self._server = Server(self.port, self._control.answer)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="strict-issuer", daemon=True
        ).start()

    def stop(self) -> None:
        """Refuse connections from now on; what it knows stays. An error of its own rises here."""
        if self._server is None:
            return
        server, self._server = self._server, None
        self.release_all()
        server.stop()
        if server.errors:
            raise ExceptionGroup("The issuer itself failed", server.errors)

    # Settings and clock

    def configure(self, **knobs: Any) -> dict[str, Any]:
        self._knobs = replace(self._knobs, **knobs)
        return asdict(self._knobs)

    def set_clock(self, *, skew: float | None = None, drift: float | None = None) -> float:
        self._clock.set(skew=skew, drift=drift)
        return self._clock.now()

    def advance(self, seconds: float) -> float:
        self._clock.advance(seconds)
        return self._clock.now()

    # Users

    def add_user(self, user: str, password: str = "secret") -> str:
        return self._accounts.add(user, password).id

    def pair_for(
        self, user: str, *, lifetime: float | None = None, refresh_lifetime: float | None = None
    ) -> dict[str, str]:
        """A new login's pair, as if the user had given the password; makes the user if missing."""
        account = self._accounts.get_or_add(user, "secret")
        pair = self._book.open_family(
            account,
            self._clock.now(),
            self._knobs,
            lifetime=lifetime,
            refresh_lifetime=refresh_lifetime,
        )
        return {"access": pair.access, "refresh": pair.refresh}

    def set_active(self, user: str, active: bool) -> None:
        self._account(user).active = active

    def delete_user(self, user: str) -> None:
        self._account(user).deleted = True

    def refuse(self, user: str, on: bool = True) -> None:
        """Refuse each refresh of that user while it is on; no token is spent by it."""
        self._account(user).refused = on

    def revoke(self, user: str) -> None:
        """End all logins of that user, as its administrator would."""
        self._book.revoke_all(self._account(user), self._knobs)

    def reject_access(self, user: str) -> None:
        """Answer 401 to all access tokens that the user has had up to now."""
        self._book.reject_access(self._account(user))

    def _account(self, user: str) -> Account:
        return self._accounts.get(user)

    # Failures

    def fail(
        self,
        mode: str | int = 503,
        *,
        times: int | None = 1,
        door: str = "refresh",
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        seconds: float = 1.0,
        location: str = "",
        size: int = 50_000_000,
        after_rotation: bool | None = None,
    ) -> None:
        """Order a failure: a status, or one of `faults.MODES`; `times=None`: until `heal()`."""
        fault = Fault(
            mode="status" if isinstance(mode, int) else mode,
            status=mode if isinstance(mode, int) else 503,
            headers=headers or {},
            body=body,
            seconds=seconds,
            location=location,
            size=size,
            after_rotation=after_rotation,
        )
        self._doors.queue(door).order(fault, times)

    def heal(self) -> None:
        for queue in self._doors.faults.values():
            queue.heal()

    # Barriers

    def hold(self, door: str = "refresh", *, until: int | None = None) -> None:
        """Hold requests at a door ("answer": after the rotation), or until so many are there."""
        self._doors.gate(door).hold(until)

    def wait_inside(self, count: int, door: str = "refresh", *, timeout: float = 10.0) -> int:
        return self._doors.gate(door).wait_inside(count, timeout)

    def release(self, door: str = "refresh", *, count: int | None = None) -> None:
        self._doors.gate(door).release(count)

    def release_all(self) -> None:
        for gate in self._doors.gates.values():
            gate.release()

    # What it saw

    def presentations(self, user: str | None = None) -> list[dict[str, Any]]:
        noted = self._journal.presentations()
        return [asdict(each) for each in noted if user is None or each.user == user]

    def times_presented(self, user: str, number: int, *, family: int | None = None) -> int:
        """How often a generation was presented; of the user's latest login unless told."""
        if family is None:
            family = max((each["id"] for each in self.families(user)), default=0)
        noted = self.presentations(user)
        return sum((each["family"], each["number"]) == (family, number) for each in noted)

    def most_presented(self) -> int:
        """The most that any one refresh token was presented: 1 where nothing went wrong."""
        return max(self._journal.counts().values(), default=0)

    def reuses(self) -> int:
        return self._book.reuses

    def families(self, user: str | None = None) -> list[dict[str, Any]]:
        return [
            {"id": each.id, "user": each.account.name, "issued": each.issued, "ended": each.ended}
            for each in self._book.families()
            if user is None or each.account.name == user
        ]

    def requests(self, door: str | None = None) -> list[dict[str, Any]]:
        return [each for each in self._journal.requests() if door is None or each["door"] == door]

    def forget(self) -> None:
        """Empty both records; tokens, users and the count of reuses stay."""
        self._journal.forget()


@contextmanager
def serve(**knobs: Any) -> Iterator[StrictIssuer]:
    issuer = StrictIssuer(**knobs)
    issuer.start()
    try:
        yield issuer
    finally:
        issuer.stop()
