"""How long callers wait who meet an expired token: `python -m benchmarks.waiting`.

One pair: 4 processes x 8 threads ask for it at once, the issuer takes 100 ms; what of each
caller's time is not the issuer's own. Many pairs: 200 users at once, over the same 200 exchanges
by bare `requests.post` on as many threads as the flights have, without a database. Each round
measures everything, one after the other.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import requests

from benchmarks.crew import Crew, Team, hired
from benchmarks.figures import Figure, parser_of, percentile, progress, report
from benchmarks.issuer import Issuer, issuing
from benchmarks.people import SERVICE, expire_pairs, make_users
from benchmarks.project import configure

PROCESSES, THREADS, USERS = 4, 8, 200
FLIGHTS = 4
"""Half of `FLIGHT_THREADS`: the exchanges of one service that a process has under way."""
DELAY = 0.1
WARM_UP = 2
"""Rounds that do not count: modules, connections and threads are there after them."""
ONE_PAIR = {"sqlite": 30, "postgresql": 60}
"""Milliseconds that a caller may wait beyond the issuer's time (99th percentile)."""
MANY_PAIRS = {"sqlite": 1.5, "postgresql": 4}


def fetch_one(team: Team, begin: float, user: Any) -> list[float]:
    """All threads want the same user's token; how long each waited."""
    return team.together(begin, _timed_fetch, [user] * team.threads)


def _timed_fetch(user: Any) -> float:
    from jwt_outbound.tokens import fetch_valid_access_token

    began = time.monotonic()
    fetch_valid_access_token(SERVICE, user)
    return time.monotonic() - began


def fetch_many(team: Team, begin: float, users: list[Any]) -> float:
    """Each user's token, by the process's threads; when the last one was there."""
    team.together(begin, _timed_fetch, users)
    return time.monotonic()


def post_many(team: Team, begin: float, url: str, tokens: list[str]) -> float:
    """The same exchanges by hand, on as many threads as flights have."""
    shares = [(url, tokens[n::FLIGHTS]) for n in range(FLIGHTS)]
    team.together(begin, _post, shares)
    return time.monotonic()


def _post(share: tuple[str, list[str]]) -> None:
    url, tokens = share
    for token in tokens:
        requests.post(url, json={"refresh": token}).raise_for_status()


def _bare_post(issuer: Issuer) -> float:
    (pair,) = issuer.do("pairs", number=1, lifetime=300)
    began = time.monotonic()
    requests.post(issuer.refresh_url, json={"refresh": pair["refresh"]}).raise_for_status()
    return time.monotonic() - began


class Waiting:
    """The rounds, and what they have shown."""

    def __init__(self, issuer: Issuer, crew: Crew, users: list[Any]) -> None:
        self._issuer, self._crew, self._users = issuer, crew, users
        self._shares = [users[n::PROCESSES] for n in range(PROCESSES)]
        self.excess: list[float] = []
        self.bare: list[float] = []
        self.ratios: list[float] = []
        self.exchanges = 0

    def one_pair(self) -> None:
        """One expiry that 32 callers meet, and one exchange by hand."""
        expire_pairs(self._issuer, self._users[:1])
        self.bare.append(_bare_post(self._issuer))
        self._issuer.do("counts")
        waits = self._crew.each(fetch_one, self._users[0])
        counts = self._issuer.do("counts")
        assert counts["presentations"] == 1, counts
        self.excess += [wait - counts["seconds"][0] for each in waits for wait in each]

    def many_pairs(self) -> None:
        """200 expiries at once, by hand and by the library."""
        pairs = self._issuer.do("pairs", number=len(self._users), lifetime=300)
        tokens = [pair["refresh"] for pair in pairs]
        shares = [tokens[n::PROCESSES] for n in range(PROCESSES)]
        by_hand = self._took(post_many, self._issuer.refresh_url, tokens=shares)
        expire_pairs(self._issuer, self._users)
        self._issuer.do("counts")
        ours = self._took(fetch_many, users=self._shares)
        counts = self._issuer.do("counts")
        assert counts["presentations"] == counts["generations"] == len(self._users), counts
        self.ratios.append(ours / by_hand)
        progress(f"  {len(self._users)} users {ours:.3f} s, by hand {by_hand:.3f} s")

    def _took(self, order: Any, *arguments: Any, **own: Sequence[Any]) -> float:
        begin, ends = self._crew.timed(order, *arguments, **own)
        return max(ends) - begin

    def forget(self) -> None:
        """What was measured up to now was the warming up."""
        self.excess, self.bare, self.ratios = [], [], []


def measure(
    database: str, rounds: int, *, warm_up: int = WARM_UP, users: int = USERS
) -> list[Figure]:
    """Both figures; `rounds` with all users, and five times as many with one pair."""
    with issuing(delay=DELAY) as issuer:
        configure(database, SERVICES={SERVICE: issuer.service()})
        people = make_users(users)
        with hired(PROCESSES, THREADS) as crew:
            waiting = Waiting(issuer, crew, people)
            for number in range(warm_up + rounds):
                if number == warm_up:
                    waiting.forget()
                progress(f"waiting, {database}: round {number + 1} of {warm_up + rounds}")
                for _ in range(5):
                    waiting.one_pair()
                waiting.many_pairs()
    return figures_of(waiting, database)


def figures_of(waiting: Waiting, database: str) -> list[Figure]:
    excess = [1000 * seconds for seconds in waiting.excess]
    over = 1000 * (median(waiting.bare) - DELAY)
    common: dict[str, Any] = {"benchmark": "waiting", "database": database}
    return [
        Figure(
            what="wait for one pair, beyond the issuer's time, 99th percentile",
            measured=percentile(excess, 0.99),
            unit="ms",
            target=ONE_PAIR[database],
            note=f"median {median(excess):.1f}, longest {max(excess):.1f}, of {len(excess)}; "
            f"a bare POST {over:.1f}",
            **common,
        ),
        Figure(
            what="200 users at once, over the same exchanges by hand",
            measured=median(waiting.ratios),
            target=MANY_PAIRS[database],
            note=f"{min(waiting.ratios):.2f} to {max(waiting.ratios):.2f} in "
            f"{len(waiting.ratios)} rounds",
            **common,
        ),
    ]


def main() -> None:
    parser = parser_of("waiting", __doc__)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    report(given, lambda: _measured(given))


def _measured(given: argparse.Namespace) -> list[Figure]:
    if given.quick:
        return measure(given.database, 1, warm_up=0, users=20)
    return measure(given.database, given.rounds)


if __name__ == "__main__":
    main()
