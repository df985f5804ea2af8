"""docs/benchmarks.md and its picture, from what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.picture import draw

DOCS = Path(__file__).resolve().parent.parent / "docs"

INTRODUCTION = """\
# Benchmarks

This page is written by `make bench`, which takes an hour (`ARGS="--write --only due"`
measures one benchmark anew and leaves the others' figures of the last run here); one alone is
`python -m benchmarks.waiting --database postgresql` and the like, with `--help`. Nearly all figures
are ratios: what the library does and the same thing done by hand, with bare `requests` and without
a database, take turns in one run on one machine, so that a slow machine slows both. They were
measured over loopback, issuer and API on the same cores as the callers, so the library's own
work is a greater part of everything than it is across a network.
"""

MEANINGS = """\
## What the figures mean

- **calls** (`benchmarks.calls`): one GET by `ServiceClient`, over one GET by a kept
  `requests.Session` with a fixed `Authorization` header against the same server. *kept*: one client
  for many calls. *fresh*: a client for each web request, which reads the pair's row once. *five*:
  five calls in one web request, the time of each.
- **waiting** (`benchmarks.waiting`): 4 processes with 8 threads each ask at once for the token of
  one pair that has run out; the issuer takes 100 ms. The figure is what callers wait beyond the
  issuer's own time, measured inside it. *200 users at once*: each with an expired pair of his own,
  asked for by the same 32 threads, until the last one has its token; by hand the same exchanges are
  made by `requests.post` in 4 processes with 4 threads each, since that many exchanges of one
  service a process has under way by default (half of `FLIGHT_THREADS`).
- **steady** (`benchmarks.steady`): 50 users with tokens of 10 seconds for two minutes, two
  processes with four threads each. Each user makes a call in each quarter of a second, in an order
  shuffled anew each time, with a fresh `ServiceClient`. A call *around expiry* is one within 1.5 s
  of a refresh of its user's pair. The first tenth of the time does not count. The tokens are of any
  age at the beginning, as those of users are who don't know of each other, so calls around expiry
  and away from it have the same work going on beside them. The 99.9th percentiles are of six
  rounds' calls together, and still rest on the 48 to 84 slowest: of one round
  the ratio is anything between 0.9 and 1.3. *issuer down*: its port refuses connections for 2
  seconds in every 10. A token of 10 seconds is usually refreshed in its last 1.75 to 2.5 seconds,
  which the first outage may outlast; it falls into the time that does not count. After it tokens
  are refreshed in their last 3 to 5 seconds. *all logged in at one moment*: all tokens are made in
  the same moment; they are refreshed within the same second or two, and "around expiry" is when
  everybody's are.
- **due** (`benchmarks.due`): the query by which `refresh_token_pairs` finds what is due, in a table
  of a million pairs.
- **sweep** (`benchmarks.sweep`): pairs a second of `refresh_token_pairs --once --threads 32`, over
  the same exchanges by `requests.post` on 32 threads of one process without a database. Those
  mostly wait for the issuer, which with 100 ms can't answer 32 threads more than 320 times a
  second; the worker has three statements more to make for each pair. Both use one core at most,
  so this ratio, unlike the others, rises with the processor's speed: where a bare GET took 1.2 ms,
  the same code came to 0.75 on SQLite and 0.72 on PostgreSQL.

The issuer is `benchmarks/issuer.py`, and as strict as that of the tests: a refresh token is good
once, a second presentation ends its family, and presentations are counted. It is an
`asyncio.Protocol`, so that its own work is small beside what is measured.
"""


def write(results: dict[str, Any], docs: Path = DOCS) -> list[Path]:
    """Page and picture; returns where they are."""
    figures = [Figure(**each) for each in results["figures"]]
    page, picture = docs / "benchmarks.md", docs / "benchmarks.svg"
    picture.write_text(draw(figures))
    page.write_text("\n".join(_page(results, figures)))
    return [page, picture]


def _page(results: dict[str, Any], figures: list[Figure]) -> Iterator[str]:
    yield INTRODUCTION
    yield "Machine: " + "; ".join(f"{k} {v}" for k, v in results["machine"].items()) + ".\n"
    yield "Begun (UTC): " + "; ".join(f"{k}: {v}" for k, v in results["begun"].items()) + ".\n"
    yield "![Each figure over its target](benchmarks.svg)\n"
    yield "## Figures\n"
    yield from _rows(
        ("benchmark", "figure", "database", "target", "measured", "", "remarks"),
        [
            (f.benchmark, f.what, f.database, f.shown_target, f.shown, f.verdict, f.note)
            for f in figures
        ],
    )
    yield "\n## What falls short\n"
    yield from _shortfalls(figures)
    yield f"\n{MEANINGS}"
    yield from _peers(results.get("peers"))


def _shortfalls(figures: list[Figure]) -> Iterator[str]:
    short = [f for f in figures if f.is_met is False]
    for f in short:
        yield (
            f"- {f.benchmark}, {f.what}, on {f.database}: {f.shown} where {f.shown_target} "
            "was wished."
        )
    if not short:
        yield "Nothing in this run."


def _peers(peers: list[dict[str, Any]] | None) -> Iterator[str]:
    if not peers:
        return
    from benchmarks.peers import markdown

    yield "## Other libraries beside it\n"
    yield markdown(peers)


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        cells = (cell.replace("|", "\\|").replace("<=", "≤").replace(">=", "≥") for cell in row)
        yield f"| {' | '.join(cells)} |"
