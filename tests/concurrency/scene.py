"""What the tests have in common: an issuer, a service of it, users with pairs, workers."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.concurrency.fleet import PATIENCE, Fleet, Worker
from tests.issuer_server import StrictIssuer

ROUTERS = ["jwt_outbound.routers.TokenRouter"]
PATIENT = {"ISSUER_DEADLINE": 25, "LEASE": 28, "WAIT": 50}
"""For a busy machine: what holds a request inside the issuer may take its time."""
SHORT = {"ISSUER_DEADLINE": 1, "LEASE": 2.5, "WAIT": 8}
"""For tests in which a lease has to run out; within what the system checks allow."""
LEASE_OVER = 3.0
"""Seconds after which a SHORT lease is over."""

_numbers = count(1)


@dataclass(frozen=True)
class User:
    id: int
    name: str


@dataclass
class Scene:
    """One test's own issuer and service, so that no test meets another's cool-down."""

    fleet: Fleet
    issuer: StrictIssuer
    database: str = "default"
    options: dict[str, Any] = field(default_factory=lambda: dict(PATIENT))
    """Further settings of the service, for all workers."""
    service: str = field(default_factory=lambda: f"billing{next(_numbers)}")
    _clerk: Worker | None = None

    # Workers

    def settings(self, **options: Any) -> dict[str, Any]:
        """Settings by which a process calls the service, with the tokens' own alias or without."""
        service = {
            "BASE_URL": self.issuer.base_url,
            "ISSUER": "jwt_outbound.issuers.SimpleJWTIssuer",
            "OPTIONS": self.issuer.options,
            **self.options,
            **options,
        }
        return {
            "JWT_OUTBOUND": {"SERVICES": {self.service: service}, "DATABASE": self.database},
            "DATABASE_ROUTERS": ROUTERS if self.database == "tokens" else [],
        }

    def hire(self, *, settings: dict[str, Any] | None = None, **order: Any) -> Worker:
        return self.fleet.hire(settings={**self.settings(), **(settings or {})}, **order)

    @property
    def clerk(self) -> Worker:
        """A worker that makes no calls, only looks at rows and writes them."""
        if self._clerk is None:
            self._clerk = self.hire()
        return self._clerk

    # Users and their pairs

    def make_users(self, number: int, *, state: str = "expired", **tokens: Any) -> list[User]:
        """New users with a pair each, whose access token is `expired`, `stale` or `fresh`."""
        names = [f"user{next(_numbers)}" for _ in range(number)]
        pairs = {name: self.issuer.pair_for(name, **tokens) for name in names}
        made = self.clerk.do("rows.make_users", service=self.service, pairs=pairs)
        users = [User(id=made[name], name=name) for name in names]
        if state == "expired":
            self.expire(*users)
        elif state == "stale":
            self.make_due(*users)
        return users

    def make_user(self, *, state: str = "expired", **tokens: Any) -> User:
        (user,) = self.make_users(1, state=state, **tokens)
        return user

    def expire(self, *users: User) -> None:
        """Their access tokens have run out."""
        self.clerk.do("rows.expire", service=self.service, users=[user.id for user in users])

    def make_due(self, *users: User) -> None:
        """Their access tokens are still good, and due for a refresh ahead."""
        self.clerk.do("rows.make_due", service=self.service, users=[user.id for user in users])

    def row(self, user: User) -> dict[str, Any]:
        row: dict[str, Any] = self.clerk.do("rows.row", service=self.service, user=user.id)
        return row

    def history(self, user: User) -> list[str]:
        lines: list[str] = self.clerk.do("rows.history", service=self.service, user=user.id)
        return lines

    # Calls

    def start_call(self, worker: Worker, user: User, **how: Any) -> Future[Any]:
        """One caller, in a thread of the worker; see `jobs.calls.fetch`."""
        return worker.start("calls.fetch_one", service=self.service, user=user.id, **how)

    def call(self, worker: Worker, user: User, **how: Any) -> dict[str, Any]:
        outcome: dict[str, Any] = self.start_call(worker, user, **how).result(PATIENCE)
        return outcome

    def signals(self, *workers: Worker) -> list[dict[str, Any]]:
        return [each for worker in workers for each in worker.do("calls.signals")]

    def wait_inside(self, count: int = 1, door: str = "refresh") -> None:
        """Until so many requests are inside the issuer, at a door that it holds."""
        self.issuer.wait_inside(count, door, timeout=PATIENCE)

    # What must hold

    def presented(self, user: User) -> list[int]:
        """The numbers of the generations that were presented, in order."""
        return [each["number"] for each in self.issuer.presentations(user.name)]

    def assert_login_goes_on(self, user: User, *workers: Worker) -> None:
        """Nobody has been logged out: no mark, and no receiver was told of a failure."""
        row = self.row(user)
        marks = {name: row[name] for name in ("refused_at", "pending_until", "reason")}
        assert marks == {"refused_at": 0, "pending_until": 0, "reason": ""}
        assert [each for each in self.signals(*workers) if each["failed"]] == []

    def close(self) -> None:
        self.fleet.dismiss()
