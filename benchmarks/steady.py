"""Steady use: does anybody wait for a refresh? `python -m benchmarks.steady [--outage]`.

50 users with tokens that live for 10 seconds, two worker processes with four threads each. Every
quarter of a second each user makes one call, in an order shuffled anew each time, by a
`ServiceClient` of its own as in a web request, to an API that answers 401 to a token that has run
out. The issuer takes 100 ms; `--outage`: its port refuses connections for 2 seconds in every 10.
Of each round of two minutes the first tenth does not count; the figures are of all rounds' calls.
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from contextlib import nullcontext
from typing import Any

from benchmarks.crew import Team, hired, wait_until
from benchmarks.figures import Figure, parser_of, progress, report
from benchmarks.issuer import Issuer, issuing
from benchmarks.people import SERVICE, make_users, store_pairs
from benchmarks.project import configure
from benchmarks.steady_figures import Called, Round, Run, Told, figures_of

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
    """The issuer's bad days: down for 2 seconds in every 10, first after 5. From `with` on."""

    def __init__(self, url: str, seconds: float) -> None:
        super().__init__(daemon=True)
        self._issuer, self._seconds = Issuer(url), seconds

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *failure: object) -> None:
        self.join()

    def run(self) -> None:
        """For as long as the calls go on."""
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
    rounds: int,
    outage: bool = False,
    wave: bool = False,
) -> Run:
    """So many rounds, each from the first pair to the last call."""
    with issuing(delay=0.1, lifetime=lifetime) as issuer:
        configure(database, SERVICES={SERVICE: issuer.service()})
        people = make_users(users)
        calls = plan(people, seconds)
        done = []
        for number in range(rounds):
            progress(
                f"steady, {database}, round {number + 1} of {rounds}: "
                f"{len(calls)} calls in {seconds:.0f} s"
            )
            with hired(PROCESSES, THREADS) as crew:
                log_in(issuer, people, lifetime, wave=wave)
                with Outages(issuer.url, seconds) if outage else nullcontext():
                    shares = [calls[n::PROCESSES] for n in range(PROCESSES)]
                    results = crew.each(work, calls=shares)
            done.append(Round.of(results, seconds))
        return Run(rounds=done, counts=issuer.do("counts"), logged_out=_logged_out())


def log_in(issuer: Issuer, people: list[Any], lifetime: float, *, wave: bool) -> None:
    """New pairs: all of one moment, or of any age, as users have who don't know of each other."""
    if wave:
        store_pairs(issuer, people, lifetime=lifetime)
        return
    for place, user in enumerate(people):
        store_pairs(issuer, [user], lifetime=lifetime, age=lifetime * place / len(people))


def _logged_out() -> int:
    from jwt_outbound.models import TokenPair

    return int(TokenPair.objects.filter(refused_at__gt=0).count())


def main() -> None:
    parser = parser_of("steady", __doc__)
    parser.add_argument("--seconds", type=float, default=120, help="of a round")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--outage", action="store_true", help="the issuer is down now and then")
    parser.add_argument("--wave", action="store_true", help="all have logged in at one moment")
    given = parser.parse_args()
    report(given, lambda: _measured(given))


def _measured(given: argparse.Namespace) -> list[Figure]:
    seconds, users, lifetime = (8, 5, 6) if given.quick else (given.seconds, USERS, LIFETIME)
    how = {"outage": given.outage, "wave": given.wave}
    rounds = 1 if given.quick else given.rounds
    return figures_of(
        run(given.database, seconds, users, lifetime, rounds=rounds, **how), given.database, **how
    )


if __name__ == "__main__":
    main()
