"""What came of a run of steady use, and its figures."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable
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
class Run:
    """What came of it."""

    called: list[Called]
    told: list[Told]
    counts: dict[str, Any]
    logged_out: int


def around_and_away(called: list[Called], told: list[Told]) -> tuple[list[float], list[float]]:
    """How long calls took within 1.5 s of a refresh of their user's pair, and otherwise."""
    refreshed: dict[int, list[float]] = defaultdict(list)
    for event in sorted(told, key=lambda event: event.at):
        if event.kind == "refreshed":
            refreshed[event.user].append(event.at)
    around: list[float] = []
    away: list[float] = []
    for call in called:
        times = refreshed[call.user]
        place = bisect_left(times, call.at - AROUND)
        near = place < len(times) and times[place] <= call.at + AROUND
        (around if near else away).append(call.took)
    return around, away


def figures_of(
    seen: Run,
    database: str,
    seconds: float,
    *,
    outage: bool,
    refresh_ahead: float | None = None,
) -> list[Figure]:
    """The table's lines."""
    counted = [call for call in seen.called if call.at >= seconds * UNCOUNTED]
    failed = [call.outcome for call in counted if call.outcome != "200"]
    waited = [call for call in counted if call.waited]
    counts = seen.counts
    figure = partial(
        Figure,
        benchmark="steady"
        + (", issuer down 2 s in 10" if outage else "")
        + (f", REFRESH_AHEAD {refresh_ahead:g}" if refresh_ahead is not None else ""),
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
        _around_over_away(figure, *around_and_away(counted, seen.told)),
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
    figure: Callable[..., Figure], around: list[float], away: list[float]
) -> Figure:
    slow, usual = percentile(around, 0.999), percentile(away, 0.999)
    return figure(
        what="99.9th percentile of calls around expiry, over away from it",
        measured=slow / usual,
        unit="x",
        target=1.1,
        note=f"{1000 * slow:.1f} ms of {len(around)} calls over {1000 * usual:.1f} ms of "
        f"{len(away)}; medians {1000 * percentile(around, 0.5):.2f} and "
        f"{1000 * percentile(away, 0.5):.2f} ms",
    )


def _told(outcomes: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in outcomes.most_common())
