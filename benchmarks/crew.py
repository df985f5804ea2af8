"""Processes with threads in them, as a server has, that do the same work at the same moment."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from django.db import connections

HEAD_START = 0.1
"""Seconds from an order to the moment at which all begin, so that all threads are there."""


class Team:
    """One process's threads; what an order's function is given first."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._executor = ThreadPoolExecutor(threads)

    def together(self, begin: float, work: Callable[..., Any], shares: Sequence[Any]) -> list[Any]:
        """`work(share)` for each share, each in a thread of its own while there are any left.

        The first ones begin at the moment `begin` of the monotonic clock, which all processes of
        a host have in common.
        """

        def start(share: Any) -> Any:
            wait_until(begin)
            return work(share)

        return list(self._executor.map(start, shares))


def wait_until(moment: float) -> None:
    """Until the monotonic clock shows `moment`."""
    left = moment - time.monotonic()
    if left > 0:
        time.sleep(left)


class Crew:
    """The processes, seen from the benchmark's own; each is a fork of it."""

    def __init__(self, ends: list[Connection]) -> None:
        self._ends = ends

    def each(self, order: Callable[..., Any], *arguments: Any, **own: Sequence[Any]) -> list[Any]:
        """`order(team, begin, *arguments, **own)` in each process at once; what each returned.

        `order` is a function of a module. `own`: arguments with one value for each process.
        """
        return self.timed(order, *arguments, **own)[1]

    def timed(
        self, order: Callable[..., Any], *arguments: Any, **own: Sequence[Any]
    ) -> tuple[float, list[Any]]:
        """As `each`, and before that the moment at which all began."""
        begin = time.monotonic() + HEAD_START
        for number, end in enumerate(self._ends):
            mine = {name: values[number] for name, values in own.items()}
            end.send((order, (begin, *arguments), mine))
        results = [end.recv() for end in self._ends]
        for trouble, _ in results:
            if trouble:
                raise RuntimeError(f"A process of the benchmark failed:\n{trouble}")
        return begin, [result for _, result in results]


@contextmanager
def hired(processes: int, threads: int) -> Iterator[Crew]:
    """A crew while the `with` lasts. Hire before this process has threads of its own."""
    connections.close_all()
    context = multiprocessing.get_context("fork")
    ends, members = [], []
    for _ in range(processes):
        ours, theirs = context.Pipe()
        member = context.Process(target=_work, args=(theirs, threads), daemon=True)
        member.start()
        theirs.close()
        ends.append(ours)
        members.append(member)
    try:
        yield Crew(ends)
    finally:
        for end in ends:
            end.send(None)
        for member in members:
            member.join(5)
            member.kill()


def _work(end: Connection, threads: int) -> None:
    team = Team(threads)
    while received := end.recv():
        order, arguments, own = received
        try:
            end.send((None, order(team, *arguments, **own)))
        except Exception:  # noqa: BLE001 - whatever it was, the benchmark has to hear of it
            end.send((traceback.format_exc(), None))
