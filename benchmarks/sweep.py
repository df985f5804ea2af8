"""How many pairs a second the fleet's worker refreshes: `python -m benchmarks.sweep`.

`refresh_token_pairs --once --threads 32` in a process of its own, over the same number of exchanges
by bare `requests.post` on 32 threads of another process, without a database. The issuer takes
100 ms. The two take turns; every pair is due, in use and still good.
"""

from __future__ import annotations

import argparse
import io
import time
from statistics import median
from typing import Any

import requests

from benchmarks.crew import Crew, Team, hired
from benchmarks.figures import Figure, parser_of, progress, report
from benchmarks.issuer import Issuer, issuing
from benchmarks.people import SERVICE, make_users, store_pairs
from benchmarks.project import configure

THREADS, PAIRS, ROUNDS, DELAY = 32, 2000, 3, 0.1
QUICK_PAIRS, QUICK_ROUNDS = 40, 1
LIFETIME = 300
AGE = 280
"""Seconds: beyond any jitter's due time, and before the late leeway."""
TARGETS = {"sqlite": 0.90, "postgresql": 0.80}


def sweep(team: Team, begin: float) -> float:
    """The command, as cron would call it; the seconds that it took in this process."""
    from django.core.management import call_command

    began = time.monotonic()
    call_command("refresh_token_pairs", once=True, threads=team.threads, stdout=io.StringIO())
    return time.monotonic() - began


def post(team: Team, begin: float, url: str, tokens: list[str]) -> float:
    """The same exchanges by hand; the seconds that they took."""

    def exchange(token: str) -> None:
        requests.post(url, json={"refresh": token}).raise_for_status()

    began = time.monotonic()
    team.together(began, exchange, tokens)
    return time.monotonic() - began


def make_due(issuer: Issuer, users: list[Any]) -> None:
    """A pair for each that is due, in use, and still good."""
    from django.db.models import F

    from jwt_outbound.models import TokenPair

    store_pairs(issuer, users, lifetime=LIFETIME, age=AGE)
    TokenPair.objects.update(used_generation=F("generation"))
    issuer.do("counts")


def compare(issuer: Issuer, fleet: Crew, bare: Crew, users: list[Any]) -> tuple[float, float]:
    """Pairs a second by the command, and by hand."""
    pairs = issuer.do("pairs", number=len(users), lifetime=LIFETIME)
    tokens = [pair["refresh"] for pair in pairs]
    (by_hand,) = bare.each(post, issuer.refresh_url, tokens)
    make_due(issuer, users)
    (ours,) = fleet.each(sweep)
    counts = issuer.do("counts")
    assert counts["presentations"] == counts["generations"] == len(users), counts
    return len(users) / ours, len(users) / by_hand


def measure(database: str, number: int, rounds: int) -> list[Figure]:
    """The figure; a round of a tenth of the pairs comes first and does not count."""
    with issuing(delay=DELAY, lifetime=LIFETIME) as issuer:
        configure(database, SERVICES={SERVICE: issuer.service()})
        users = make_users(number)
        with hired(1, THREADS) as fleet, hired(1, THREADS) as bare:
            compare(issuer, fleet, bare, users[: number // 10])
            found = []
            for place in range(rounds):
                ours, by_hand = compare(issuer, fleet, bare, users)
                found.append((ours, by_hand))
                progress(
                    f"sweep, {database}, {place + 1} of {rounds}: "
                    f"{ours:.0f} pairs a second, by hand {by_hand:.0f}"
                )
    ratios = [ours / by_hand for ours, by_hand in found]
    return [
        Figure(
            benchmark="sweep",
            what="pairs a second, over the same exchanges by hand",
            database=database,
            measured=median(ratios),
            target=TARGETS[database],
            at_least=True,
            note=f"{median(ours for ours, _ in found):.0f} over "
            f"{median(by_hand for _, by_hand in found):.0f} pairs a second; "
            f"{min(ratios):.2f} to {max(ratios):.2f} in {rounds} rounds",
        )
    ]


def main() -> None:
    parser = parser_of("sweep", __doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    report(given, lambda: _measured(given))


def _measured(given: argparse.Namespace) -> list[Figure]:
    if given.quick:
        return measure(given.database, QUICK_PAIRS, QUICK_ROUNDS)
    return measure(given.database, PAIRS, given.rounds)


if __name__ == "__main__":
    main()
