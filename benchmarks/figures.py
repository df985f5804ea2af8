"""A figure: what was measured, beside what it should be. And how a benchmark shows its own."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.project import DATABASES


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table. A `target` is the most that is wished, or the least; None: none."""

    benchmark: str
    what: str
    database: str
    measured: float
    unit: str = "x"
    target: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """As it is shown, two digits after the point: what rounds to the target meets it."""
        if self.target is None:
            return None
        seen = round(self.measured, 2)
        return seen >= self.target if self.at_least else seen <= self.target

    @property
    def share(self) -> float | None:
        """How much of the target is used up; 1 is just met. None where there is no such ratio."""
        if not self.target or not self.measured:
            return None
        return self.target / self.measured if self.at_least else self.measured / self.target

    @property
    def shown_target(self) -> str:
        if self.target is None:
            return ""
        return f"{'>=' if self.at_least else '<='} {_number(self.target, self.unit)}"

    @property
    def shown(self) -> str:
        return _number(self.measured, self.unit)

    @property
    def verdict(self) -> str:
        return {None: "", True: "met", False: "falls short"}[self.is_met]


def _number(value: float, unit: str) -> str:
    digits = 0 if unit == "" and value == int(value) else 2
    return f"{value:,.{digits}f}{' ' + unit if unit not in ('', 'x') else unit}"


def table(figures: Iterable[Figure]) -> str:
    """For a terminal."""
    lines = [
        (f.benchmark, f.what, f.database, f.shown, f.shown_target, f.verdict, f.note)
        for f in figures
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def percentile(values: Iterable[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed; NaN of none."""
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def progress(text: str) -> None:
    """On standard error, so that standard output holds the figures alone."""
    print(text, file=sys.stderr, flush=True)


def parser_of(benchmark: str, about: str | None) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    parser = argparse.ArgumentParser(prog=f"benchmarks.{benchmark}", description=about)
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    parser.add_argument("--quick", action="store_true", help="does it run? not: how fast is it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser


def report(given: argparse.Namespace, measure: Callable[[], Sequence[Figure]]) -> None:
    """Measures, prints the table, and writes the figures where they are wished."""
    figures = measure()
    print(table(figures), flush=True)
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1))
