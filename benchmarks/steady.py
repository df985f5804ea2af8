"""Steady use: does anybody wait for a refresh? `python -m benchmarks.steady [--outage]`.

50 users with tokens that live for 10 seconds, two worker processes with four threads each. Every
quarter of a second each user makes one call, in an order shuffled anew each time, by a
`ServiceClient` of its own as in a web request, to an API that answers 401 to a token that has run
out. The issuer takes 100 ms; `--outage`: its port refuses connections for 2 seconds in every 10.
The first tenth of the time does not count.
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from typing import Any

from benchmarks.crew import Team, hired, wait_until
from benchmarks.figures import Figure, parser_of, progress, report
from benchmarks.issuer import Issuer, issuing
from benchmarks.people import SERVICE, make_users, store_pairs
from benchmarks.project import configure
from benchmarks.steady_figures import Called, Run, Told, figures_of

PROCESSES, THREADS, USERS = 2, 4, 50
LIFETIME = 10.0
EACH_USER_EVERY = 0.25
"""Seconds between two calls of a user: several in the second or so in which a pair is STALE."""
OUTAGE, OUTAGE_EVERY = 2.0, 10.0

Plan = list[tuple[float, Any]]
"""Who calls when, in seconds from the beginning."""


def plan(users: list[Any], seconds: float) -> Plan:
    """Each user once in each quarter of a second, in an order that chance makes."""
    chance, planned, pause = random.Random(8), [], EACH_USER_EVERY / len(users)
    for number in range(int(seconds / EACH_USER_EVERY)):
        shuffled = chance.sample(users, len(users))
        begin = number * EACH_USER_EVERY
        planned += [(begin + place * pause, user) for place, user in enumerate(shuffled)]
    return planned


def work(team: Team, begin: float, calls: Plan) -> tuple[list[Called], list[Told]]:
    """A worker process's life: its part of the plan, each call at its time."""
    from jwt_outbound.refresh.flights import flights
    from jwt_outbound.signals import token_pair_event, token_waited_for

    told: list[Told] = []
    here = threading.local()

    def note_event(*, user_id: int, kind: str, **_: Any) -> None:
        told.append(Told(user_id, time.monotonic() - begin, kind))

    def note_wait(**_: Any) -> None:
        here.waited = True

    token_pair_event.connect(note_event)
    token_waited_for.connect(note_wait)

    def call(planned: tuple[float, Any]) -> Called:
        at, user = planned
        wait_until(begin + at)
        here.waited = False
        began = time.monotonic()
        outcome = _get(user)
        took = time.monotonic() - began
        return Called(user.pk, began - begin, took, here.waited, outcome)

    called = team.together(begin, call, calls)
    flights.close()
    return called, told


def _get(user: Any) -> str:
    from jwt_outbound.clients import ServiceClient
    from jwt_outbound.exceptions import JWTOutboundError

    try:
        with ServiceClient(SERVICE, user) as client:
            return str(client.get("invoices/").status_code)
    except JWTOutboundError as error:
        return type(error).__name__


class Outages(threading.Thread):
    """The issuer's bad days: down for 2 seconds in every 10, first after 5."""

    def __init__(self, issuer: Issuer, seconds: float) -> None:
        super().__init__(daemon=True)
        self._issuer, self._seconds = issuer, seconds

    def run(self) -> None:
        """From now on, for as long as the calls go on."""
        begin, down = time.monotonic(), OUTAGE_EVERY / 2
        while down + OUTAGE < self._seconds:
            wait_until(begin + down)
            self._issuer.do("down")
            wait_until(begin + down + OUTAGE)
            self._issuer.do("up")
            down += OUTAGE_EVERY


def run(
    database: str,
    seconds: float,
    users: int,
    lifetime: float,
    *,
    outage: bool,
    refresh_ahead: float | None = None,
) -> Run:
    """One run from the first pair to the last call."""
    with issuing(delay=0.1, lifetime=lifetime) as issuer:
        service = {**issuer.service(), "REFRESH_AHEAD": refresh_ahead}
        configure(database, SERVICES={SERVICE: service})
        people = make_users(users)
        calls = plan(people, seconds)
        outages = Outages(Issuer(issuer.url), seconds)
        with hired(PROCESSES, THREADS) as crew:
            store_pairs(issuer, people, lifetime=lifetime)
            progress(f"steady, {database}: {len(calls)} calls in {seconds:.0f} s")
            if outage:
                outages.start()
            results = crew.each(work, calls=[calls[n::PROCESSES] for n in range(PROCESSES)])
        counts = issuer.do("counts")
        return Run(
            called=[call for called, _ in results for call in called],
            told=[event for _, told in results for event in told],
            counts=counts,
            logged_out=_logged_out(),
        )


def _logged_out() -> int:
    from jwt_outbound.models import TokenPair

    return int(TokenPair.objects.filter(refused_at__gt=0).count())


def main() -> None:
    parser = parser_of("steady", __doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--outage", action="store_true", help="the issuer is down now and then")
    parser.add_argument(
        "--refresh-ahead",
        type=float,
        metavar="SECONDS",
        help="the setting REFRESH_AHEAD: an outage must be shorter than it, or somebody waits",
    )
    given = parser.parse_args()
    report(given, lambda: _measured(given))


def _measured(given: argparse.Namespace) -> list[Figure]:
    seconds, users, lifetime = (8, 5, 6) if given.quick else (given.seconds, USERS, LIFETIME)
    how = {"outage": given.outage, "refresh_ahead": given.refresh_ahead}
    seen = run(given.database, seconds, users, lifetime, **how)
    return figures_of(seen, given.database, seconds, **how)


if __name__ == "__main__":
    main()
