"""Ways of doing one thing take turns, so that what slows the machine slows all of them."""

import random
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

CALLS = 40
"""Of each way, in one round."""

Way = Callable[[], float]
"""Does it once; seconds for one call."""


def timed(call: Callable[[], object], calls: int = 1) -> Way:
    """A way that makes `calls` calls at once."""

    def once() -> float:
        began = time.perf_counter()
        call()
        return (time.perf_counter() - began) / calls

    return once


def take_turns(ways: Mapping[str, Way], rounds: int, calls: int = CALLS) -> dict[str, Any]:
    """`ratio` to the first way and `p50_us` of each, over `rounds` after one to warm up."""
    medians: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, times in _one_round(ways, calls).items():
            if number:
                medians[name].append(statistics.median(times))
    floor = medians[next(iter(ways))]
    return {
        name: {
            "ratio": statistics.median(a / b for a, b in zip(own, floor, strict=True)),
            "p50_us": statistics.median(own) * 1e6,
        }
        for name, own in medians.items()
    }


def _one_round(ways: Mapping[str, Way], calls: int) -> dict[str, list[float]]:
    """Call by call, in an order that changes: nobody finds the server or the caches warmer."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    order = list(ways)
    for _ in range(calls):
        random.shuffle(order)
        for name in order:
            times[name].append(ways[name]())
    return times
