"""All benchmarks, one after the other: `python -m benchmarks [--quick] [--write] [--only NAME]`.

Each runs in a process of its own, since Django is set up for one database in each. Its figures
go to var/benchmarks/results.json as soon as it is done; `--write` makes docs/benchmarks.md and its
picture of all that is there in the end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import machine, page
from benchmarks.figures import Figure, progress, table
from benchmarks.project import VAR
from tests.which_databases import answers

MODULES = ("calls", "waiting", "steady", "due", "sweep")
"""In the order of the table."""
RESULTS = VAR / "results.json"


class Step(NamedTuple):
    """One benchmark on one database."""

    module: str
    database: str
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.module, self.database, *self.options))


def steps(databases: list[str], *, quick: bool) -> Iterator[Step]:
    """What is to be run, in the order of the table."""
    how = ("--quick",) if quick else ()
    for database in databases:
        with_peers = database == "sqlite" and not quick
        calls = (*(("--rounds", "1") if quick else ()), *(() if with_peers else ("--no-peers",)))
        yield Step("calls", database, calls)
    for module in MODULES[1:]:
        for database in databases:
            yield Step(module, database, how)
            if module == "steady":
                yield Step(module, database, ("--outage", *how))
                if not quick:
                    yield Step(module, database, ("--wave", "--rounds", "1"))


def run(step: Step) -> dict[str, Any]:
    """The step's figures, and the peers' where it measures those. Raises where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        command = [sys.executable, "-m", f"benchmarks.{step.module}"]
        command += ["--database", step.database, "--json", str(file), *step.options]
        subprocess.run(command, check=True, stdout=sys.stderr)
        found = json.loads(file.read_text())
    if step.module != "calls":
        return {"figures": [Figure(**each) for each in found]}
    ours = found[step.database]
    return {"figures": figures_of_calls(ours["calls"], step.database), "peers": ours.get("peers")}


def figures_of_calls(ways: dict[str, Any], database: str) -> list[Figure]:
    """The lines of `benchmarks.calls`, which tells each way's ratio to the floor."""
    return [
        Figure(
            benchmark="calls",
            what=f"a GET, {way}",
            database=database,
            measured=found["ratio"],
            target=found.get("target"),
            note=f"median {found['p50_us']:.0f} us",
        )
        for way, found in ways.items()
    ]


def measure(todo: list[Step], seen: dict[str, Any], keep: Path | None) -> None:
    """Runs what is `todo`; what comes of each is put into `seen`, and kept on disk at once."""
    for step in todo:
        progress(f"== {step}")
        begun = f"{datetime.now(UTC):%d %B %H:%M}".lstrip("0")
        found = run(step)
        figures = [asdict(figure) for figure in found["figures"]]
        seen[str(step)] = {"begun": begun, "figures": figures, "peers": found.get("peers")}
        if keep:
            keep.parent.mkdir(parents=True, exist_ok=True)
            keep.write_text(json.dumps(seen, indent=1) + "\n")


def put_together(every: list[Step], seen: dict[str, Any]) -> dict[str, Any]:
    """What `page` wants to know, in the table's order."""
    found = {str(step): seen[str(step)] for step in every}
    return {
        "figures": [figure for each in found.values() for figure in each["figures"]],
        "begun": {step: each["begun"] for step, each in found.items()},
        "peers": next((each["peers"] for each in found.values() if each["peers"]), None),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="do they run? not: how fast is it")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md and .svg")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        help="steps whose names begin so, as 'due' or 'steady postgresql'; the others' figures "
        "stay as the last run left them",
    )
    given = parser.parse_args()
    if given.quick and given.write:
        parser.error("a quick run's figures mean nothing, so they are not for the documentation")
    databases = ["sqlite", *(["postgresql"] if answers("postgresql") else [])]
    every = list(steps(databases, quick=given.quick))
    seen = json.loads(RESULTS.read_text()) if given.only and RESULTS.exists() else {}
    todo = [step for step in every if not given.only or str(step).startswith(tuple(given.only))]
    if not todo:
        parser.error(f"There is no such step, only: {', '.join(map(str, every))}.")
    missing = [str(step) for step in every if step not in todo and str(step) not in seen]
    if given.write and missing:
        parser.error(f"The page needs all figures. There are none yet of: {', '.join(missing)}.")
    measure(todo, seen, None if given.quick else RESULTS)
    print(table([Figure(**each) for step in todo for each in seen[str(step)]["figures"]]))
    if given.write:
        page.write({"machine": machine.describe(databases), **put_together(every, seen)})


if __name__ == "__main__":
    main()
