"""What a call costs, beside a bare `requests` call with the same header.

`python -m benchmarks.calls [--database sqlite|postgresql] [--rounds N] [--json FILE]`

The floor is one keep-alive `requests.Session` with a static Authorization header. It and our ways
to call take turns in one process, against one server; a figure is the median over the rounds of
(our median in a round / the floor's in the same round), so what slows the machine slows both.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from benchmarks import api_server, peers, project
from benchmarks.turns import Way, take_turns, timed

PATH = "invoices/7"

TARGETS = {
    "sqlite": {"kept": 1.00, "fresh": 1.10, "five": 1.00},
    "postgresql": {"kept": 1.00, "fresh": 1.60, "five": 1.00},
}
MEANINGS = {
    "floor": "requests.Session, kept, static header",
    "kept": "one ServiceClient, many calls",
    "fresh": "a ServiceClient for each web request, one call",
    "five": "a ServiceClient for each web request, five calls (each)",
}


def our_ways(url: str) -> dict[str, Way]:
    """The floor and ours; a pair that lives for an hour is stored for one user."""
    from django.contrib.auth import get_user_model

    from jwt_outbound.clients import ServiceClient
    from jwt_outbound.models import TokenPair

    user = get_user_model().objects.create_user("alice")
    access, refresh = "a" * 300, "r" * 300
    TokenPair.objects.store(
        user=user, service="billing", access=access, refresh=refresh, expires_in=3600
    )
    floor, kept = requests.Session(), ServiceClient("billing", user)
    floor.headers["Authorization"] = f"Bearer {access}"

    def web_request(calls: int) -> None:
        with ServiceClient("billing", user) as client:
            for _ in range(calls):
                client.get(PATH)

    return {
        "floor": timed(lambda: floor.get(url + PATH)),
        "kept": timed(lambda: kept.get(PATH)),
        "fresh": timed(lambda: web_request(1)),
        "five": timed(lambda: web_request(5), calls=5),
    }


def measure(database: str, rounds: int) -> dict[str, Any]:
    """All figures of ours. Sets Django up, so once in a process."""
    with api_server.serving() as api:
        url = f"{api.url}/api/"
        project.configure(database, SERVICES={"billing": service(url)})
        found = take_turns(our_ways(url), rounds)
    for name, target in TARGETS[database].items():
        found[name]["target"] = target
    return found


def service(url: str) -> dict[str, Any]:
    """ "billing", whose issuer is never asked here."""
    return {
        "BASE_URL": url,
        "ISSUER": "jwt_outbound.issuers.SimpleJWTIssuer",
        "OPTIONS": {"refresh_url": "http://127.0.0.1:1/", "obtain_url": "http://127.0.0.1:1/"},
    }


def show(database: str, found: Mapping[str, Any]) -> None:
    """The table of ours."""
    print(
        f"\nOne GET on {database}, over the floor (p50 in microseconds); "
        f"the environment has {len(os.environ)} variables"
    )
    for name, figure in found.items():
        target = figure.get("target")
        verdict = "" if target is None else f"<= {target:.2f}  {_verdict(figure)}"
        print(f"  {MEANINGS[name]:<56}{figure['ratio']:>6.2f} {figure['p50_us']:>7.0f}   {verdict}")


def _verdict(figure: Mapping[str, float]) -> str:
    return "met" if round(figure["ratio"], 2) <= figure["target"] else "falls short"


def main(arguments: list[str]) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls", description=__doc__)
    parser.add_argument("--database", choices=project.DATABASES, default="sqlite")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--no-peers", action="store_true", help="ours only")
    chosen = parser.parse_args(arguments)
    results: dict[str, Any] = {"calls": measure(chosen.database, chosen.rounds)}
    show(chosen.database, results["calls"])
    if not chosen.no_peers:
        results["peers"] = peers.measure(chosen.rounds)
        print(f"\n{peers.markdown(results['peers'])}")
    if chosen.json:
        chosen.json.write_text(json.dumps({chosen.database: results}, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
