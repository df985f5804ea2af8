"""The libraries that a Django project might take instead, at the same work on SQLite.

Each runs in a process of its own, in a virtual environment that is made when it is wished for.
*kept*: the token is in memory, the session is kept. *fresh*: the token is taken from its row for
one web request, which makes one GET. Both over the floor of that very process. *stampede*: 16
threads meet one access token that has run out, at an issuer that takes 100 ms, where a refresh
token is good once and a second presentation ends its family (RFC 9700, 4.14.2).
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import api_server
from benchmarks.project import VAR
from tests.issuer_server.remote import RemoteIssuer, serve_process

ROOT = Path(__file__).resolve().parents[2]
WANTED = ROOT / "benchmarks" / "peers.txt"
VENV = VAR / "peers"

PEERS = ("ours", "with_authlib", "with_requests_oauthlib", "with_django_esi", "with_social_core")
STAMPEDES = 3
THREADS = 16
ISSUER_SECONDS = 0.1


def measure(rounds: int) -> list[dict[str, Any]]:
    """A line for each peer, ours first."""
    python = _environment()
    with api_server.serving() as api, serve_process() as issuer:
        issuer.fail("slow", seconds=ISSUER_SECONDS, times=None)
        return [
            _measure_one(
                name, sys.executable if name == "ours" else python, api.url, issuer, rounds
            )
            for name in PEERS
        ]


def markdown(lines: list[dict[str, Any]]) -> str:
    """The lines as a table, and what is to be said of each."""
    head = ("library", "kept", "fresh", "stampede: refreshes", "stampede: calls that failed")
    rows = [head, ("---",) * len(head)]
    for line in lines:
        kept, fresh = (_ratio(line["calls"].get(way)) for way in ("kept", "fresh"))
        rows.append((line["library"], kept, fresh, _range(line["sent"]), _range(line["failed"])))
    notes = [f"- {line['library']}: {line['note']}" for line in lines]
    return "\n".join([*(f"| {' | '.join(row)} |" for row in rows), "", *notes])


def _measure_one(
    name: str, python: str, api: str, issuer: RemoteIssuer, rounds: int
) -> dict[str, Any]:
    users = [f"{name}-{number}" for number in range(STAMPEDES)]
    work = {
        "api": f"{api}/api/invoices/7",
        "issuer": {"token": issuer.refresh_url, "api": f"{issuer.base_url}me"},
        "base_urls": [f"{api}/api/", issuer.base_url],
        "pairs": [issuer.pair_for(user) for user in users],
        "rounds": rounds,
        "threads": THREADS,
    }
    command = [python, "-W", "ignore", "-m", f"benchmarks.peers.{name}"]
    done = subprocess.run(
        command, input=json.dumps(work), text=True, cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "sent": [len(issuer.presentations(user)) for user in users]}


def _environment() -> str:
    """The Python of the peers' virtual environment, which is made where it is missing or old."""
    python, stamp = VENV / "bin" / "python", VENV / "installed"
    if not stamp.exists() or stamp.read_text() != WANTED.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", WANTED], check=True, stdout=sys.stderr)
        stamp.write_text(WANTED.read_text())
    return str(python)


def _ratio(found: dict[str, float] | None) -> str:
    return "-" if found is None else f"{found['ratio']:.2f}"


def _range(numbers: list[int]) -> str:
    least, most = min(numbers), max(numbers)
    return f"{least}" if least == most else f"{least} to {most}"
