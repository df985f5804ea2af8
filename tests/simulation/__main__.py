"""`python -m tests.simulation`: runs schedules and says what they saw; `--replay` shows one."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from tests.simulation.fleet import MOST_TOLD, Totals, run_many, set_up

BAR: Final = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every invariant held."""
    asked = _parse(arguments)
    set_up()
    return _replay(asked.seed) if asked.replay else _run(asked)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--schedules", type=int, default=100_000, help="how many (100000)")
    parser.add_argument("--seed", type=int, default=0, help="of the first one (0)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--replay", action="store_true", help="tell the one schedule of --seed")
    return parser.parse_args(arguments)


def _run(asked: argparse.Namespace) -> int:
    totals, progress = Totals(), Progress(asked.schedules)
    for chunk in run_many(asked.seed, asked.schedules, asked.processes):
        totals.add(chunk)
        progress.show(totals)
    progress.end()
    _tell(totals, progress.seconds)
    return 1 if totals.broken else 0


def _replay(seed: int) -> int:
    from tests.simulation.scheduler import run

    report = run(seed, trace=True)
    print("\n".join(report.trace or ()))
    print(f"\nSchedule {seed}: {report.steps} moves.")
    _table("Faults", report.faults)
    _table("Residual cases (docs/promises.md)", report.residuals)
    print(f"Violated: {report.violation}" if report.violation else "Every invariant held.")
    return 1 if report.violation else 0


class Progress:
    """A bar on a terminal, else a line for each tenth."""

    def __init__(self, schedules: int) -> None:
        self._schedules = schedules
        self._began = time.monotonic()
        self._tenths = 0
        self._bar = sys.stdout.isatty()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def show(self, totals: Totals) -> None:
        share = totals.schedules / self._schedules
        line = f"{totals.schedules:,} of {self._schedules:,} schedules, {len(totals.broken)} broken"
        if self._bar:
            full = round(BAR * share)
            bar = "#" * full + "." * (BAR - full)
            print(f"\r[{bar}] {line}", end="", flush=True)
        elif int(share * 10) > self._tenths:
            self._tenths = int(share * 10)
            print(f"{line}, {self.seconds:.0f} s", flush=True)

    def end(self) -> None:
        if self._bar:
            print()


def _tell(totals: Totals, seconds: float) -> None:
    print(
        f"\n{totals.schedules:,} schedules of {totals.steps:,} moves in {seconds:.0f} s, "
        f"{len(totals.paths):,} distinct interleavings."
    )
    _table("Calls ended", totals.calls)
    _table("Faults injected", totals.faults)
    _table("Residual cases, which no client can close (docs/promises.md)", totals.residuals)
    if not totals.broken:
        print("Every invariant held after every step.")
        return
    print(f"{len(totals.broken)} schedules broke an invariant:")
    for seed, violation in sorted(totals.broken.items())[:MOST_TOLD]:
        print(f"  seed {seed}: {violation[:200]}")
    print("`make simulate SEED=...` tells one of them move by move.")


def _table(title: str, counts: Counter[str]) -> None:
    print(f"{title}: {sum(counts.values()):,}")
    for name, count in sorted(counts.items()):
        print(f"  {count:>9,}  {name}")


if __name__ == "__main__":
    sys.exit(main())
