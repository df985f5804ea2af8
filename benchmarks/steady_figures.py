"""What came of a run of steady use, and its figures."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.figures import Figure, percentile

AROUND = 1.5
"""Seconds before and after a pair's refresh that are "around its expiry"."""
UNCOUNTED = 0.1
"""That share of the time does not count: all begin at once with new pairs."""


@dataclass(frozen=True, slots=True)
class Called:
    """One call."""

    user: int
    at: float
    """Seconds from the beginning, as all times here."""
    took: float
    waited: bool
    outcome: str
    """The status, or the exception's name."""


@dataclass(frozen=True, slots=True)
class Told:
    """A flight has come to something."""

    user: int
    at: float
    kind: str


@dataclass(frozen=True)
class Round:
    """What came of two minutes, but for the part that does not count."""

    called: list[Called]
    told: list[Told]

    @classmethod
    def of(cls, results: list[tuple[list[Called], list[Told]]], seconds: float) -> Round:
        """Of what each process has seen."""
        called = [call for called, _ in results for call in called]
        told = [event for _, told in results for event in told]
        return cls([call for call in called if call.at >= seconds * UNCOUNTED], told)


@dataclass(frozen=True)
class Run:
    """What came of it."""

    rounds: list[Round]
    counts: dict[str, Any]
    logged_out: int


def around_and_away(rounds: list[Round]) -> tuple[list[float], list[float]]:
    """How long calls took within 1.5 s of a refresh of their user's pair, and otherwise."""
    around: list[float] = []
    away: list[float] = []
    for each in rounds:
        for call, is_near in _calls_of(each):
            (around if is_near else away).append(call.took)
    return around, away


def _calls_of(seen: Round) -> Iterator[tuple[Called, bool]]:
    refreshed: dict[int, list[float]] = defaultdict(list)
    for event in sorted(seen.told, key=lambda event: event.at):
        if event.kind == "refreshed":
            refreshed[event.user].append(event.at)
    for call in seen.called:
        times = refreshed[call.user]
        place = bisect_left(times, call.at - AROUND)
        yield call, place < len(times) and times[place] <= call.at + AROUND


def figures_of(seen: Run, database: str, *, outage: bool, wave: bool) -> list[Figure]:
    """The table's lines."""
    counted = [call for each in seen.rounds for call in each.called]
    failed = [call.outcome for call in counted if call.outcome != "200"]
    waited = [call for call in counted if call.waited]
    counts = seen.counts
    figure = partial(
        Figure,
        benchmark="steady"
        + (", issuer down 2 s in 10" if outage else "")
        + (", all logged in at one moment" if wave else ""),
        database=database,
        unit="",
        target=0,
    )
    return [
        figure(
            what="calls that waited for a refresh",
            measured=len(waited),
            note=f"of {len(counted)} calls, {len(waited) / len(counted):.4%}; longest call "
            f"{1000 * max(call.took for call in counted):.0f} ms",
        ),
        figure(what="calls that failed", measured=len(failed), note=_told(Counter(failed))),
        _around_over_away(figure, *around_and_away(seen.rounds), wave=wave),
        figure(
            what="refreshes per expiry at the issuer",
            measured=counts["presentations"] / max(1, counts["generations"]),
            unit="x",
            target=1,
            note=f"{counts['presentations']} presentations, at most {counts['most']} of one token",
        ),
        figure(what="users logged out", measured=seen.logged_out),
        figure(
            what="401s from the API",
            measured=counts["unauthorized"],
            note=f"of {counts['unauthorized'] + counts['served']} requests",
        ),
    ]


def _around_over_away(
    figure: Callable[..., Figure], around: list[float], away: list[float], *, wave: bool
) -> Figure:
    """In a wave it is no longer one call and its own pair's refresh that are compared, but the
    second in which everybody's are refreshed and the others: there is no target for that."""
    slow, usual = percentile(around, 0.999), percentile(away, 0.999)
    return figure(
        what="99.9th percentile of calls around expiry, over away from it",
        measured=slow / usual,
        unit="x",
        target=None if wave else 1.1,
        note=f"{1000 * slow:.1f} ms of {len(around)} calls over {1000 * usual:.1f} ms of "
        f"{len(away)}; medians {1000 * percentile(around, 0.5):.2f} and "
        f"{1000 * percentile(away, 0.5):.2f} ms",
    )


def _told(outcomes: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in outcomes.most_common())
