"""Many callers meet expired tokens at once, and what came of it, in figures."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from tests.concurrency.fleet import PATIENCE, Worker
from tests.concurrency.scene import Scene, User


@dataclass(frozen=True, kw_only=True)
class Figures:
    calls: int
    failed: int
    generations: int
    """How many were presented at least once."""
    presentations: int
    most: int
    """Presentations of one generation, at most."""
    reuses: int
    tokens: frozenset[str]

    @property
    def per_generation(self) -> float:
        return self.presentations / self.generations if self.generations else 0.0


class Crowd:
    """Workers whose threads and tasks all want the same users' tokens."""

    def __init__(self, scene: Scene, *, processes: int, threads: int, tasks: int = 0) -> None:
        self._scene = scene
        self._workers = [scene.hire() for _ in range(processes)]
        self._threads, self._tasks = threads, tasks

    @property
    def workers(self) -> list[Worker]:
        return self._workers

    def meet(self, user: User) -> Figures:
        """One expiry: the issuer answers when every caller of every process waits for it."""
        self._scene.issuer.hold()
        jobs = self._start([user])
        for worker in self._workers:
            worker.expect("joined", self._threads + self._tasks)
        self._scene.issuer.release()
        return self._figures(jobs, [user])

    def meet_all(self, users: list[User], *, shares: int) -> Figures:
        """All of the users' tokens have run out at once; a caller calls for one of the shares."""
        return self._figures(self._start(users, shares), users)

    def _start(self, users: list[User], shares: int = 1) -> list[Future[Any]]:
        self._scene.issuer.forget()
        how: dict[str, Any] = {"users": [user.id for user in users]}
        how |= {"threads": self._threads, "tasks": self._tasks, "shares": shares}
        how["service"] = self._scene.service
        return [worker.start("calls.fetch", **how) for worker in self._workers]

    def _figures(self, jobs: list[Future[Any]], users: list[User]) -> Figures:
        outcomes = [outcome for job in jobs for outcome in job.result(2 * PATIENCE)]
        names = {user.name for user in users}
        seen = Counter(
            (each["user"], each["number"])
            for each in self._scene.issuer.presentations()
            if each["user"] in names
        )
        return Figures(
            calls=len(outcomes),
            failed=sum(outcome["token"] is None for outcome in outcomes),
            generations=len(seen),
            presentations=sum(seen.values()),
            most=max(seen.values(), default=0),
            reuses=self._scene.issuer.reuses(),
            tokens=frozenset(each["token"] for each in outcomes if each["token"]),
        )
