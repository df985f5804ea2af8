"""All benchmarks, one after the other: `python -m benchmarks [--quick] [--write]`.

Each runs in a process of its own, since Django is set up for one database in each. The figures
go to var/benchmarks/results.json; `--write` makes docs/benchmarks.md and its picture of them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import machine, page
from benchmarks.figures import Figure, progress, table
from benchmarks.project import VAR
from tests.which_databases import answers


class Step(NamedTuple):
    """One benchmark on one database."""

    module: str
    database: str
    options: tuple[str, ...] = ()


def steps(databases: list[str], *, quick: bool) -> Iterator[Step]:
    """What is to be run, in the order of the table."""
    how = ("--quick",) if quick else ()
    for database in databases:
        with_peers = database == "sqlite" and not quick
        calls = (*(("--rounds", "1") if quick else ()), *(() if with_peers else ("--no-peers",)))
        yield Step("calls", database, calls)
    for module in ("waiting", "steady", "due", "sweep"):
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="do they run? not: how fast is it")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md and .svg")
    given = parser.parse_args()
    if given.quick and given.write:
        parser.error("a quick run's figures mean nothing, so they are not for the documentation")
    databases = ["sqlite", *(["postgresql"] if answers("postgresql") else [])]
    results: dict[str, Any] = {"machine": machine.describe(databases), "figures": []}
    for step in steps(databases, quick=given.quick):
        progress(f"== benchmarks.{step.module} {step.database} {' '.join(step.options)}")
        found = run(step)
        results["figures"] += found["figures"]
        if found.get("peers"):
            results["peers"] = found["peers"]
    print(table(results["figures"]))
    keep(results, write=given.write)


def keep(results: dict[str, Any], *, write: bool) -> None:
    """On disk, as JSON, and where it is wished as a page of the documentation."""
    plain = {**results, "figures": [asdict(figure) for figure in results["figures"]]}
    VAR.mkdir(parents=True, exist_ok=True)
    (VAR / "results.json").write_text(json.dumps(plain, indent=1) + "\n")
    if write:
        page.write(plain)


if __name__ == "__main__":
    main()
