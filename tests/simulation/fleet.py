"""Many schedules, on all cores, and what they saw together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Final

CHUNK: Final = 250
MOST_TOLD: Final = 10
"""Violations that are told one by one."""


@dataclass
class Totals:
    """Sums over schedules."""

    schedules: int = 0
    steps: int = 0
    paths: set[int] = field(default_factory=set)
    faults: Counter[str] = field(default_factory=Counter)
    residuals: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    broken: dict[int, str] = field(default_factory=dict)
    """Seeds and what their schedules violated."""

    def add(self, other: Totals) -> None:
        self.schedules += other.schedules
        self.steps += other.steps
        self.paths |= other.paths
        self.faults += other.faults
        self.residuals += other.residuals
        self.calls += other.calls
        self.broken |= other.broken


def run_many(first: int, schedules: int, processes: int) -> Iterator[Totals]:
    """The sums of one chunk after another; with one process, in this one."""
    chunks = [
        (start, min(CHUNK, first + schedules - start))
        for start in range(first, first + schedules, CHUNK)
    ]
    if processes == 1:
        yield from (run_chunk(*chunk) for chunk in chunks)
        return
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=set_up
    ) as pool:
        for done in as_completed([pool.submit(run_chunk, *chunk) for chunk in chunks]):
            yield done.result()


def run_chunk(first: int, schedules: int) -> Totals:
    from tests.simulation.scheduler import run  # in a new process, Django is set up by then

    totals = Totals(schedules=schedules)
    for seed in range(first, first + schedules):
        report = run(seed)
        totals.steps += report.steps
        totals.paths.add(report.path)
        totals.faults += report.faults
        totals.residuals += report.residuals
        totals.calls += report.calls
        if report.violation is not None:
            totals.broken[seed] = str(report.violation)
    return totals


def set_up() -> None:
    """Settings and models; no database is touched."""
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
