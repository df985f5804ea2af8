"""`python -m tests.concurrency`: the figures of the stampedes on every database that answers.

Ends with status 1 where a generation was presented twice, a call failed or a connection leaked.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from tests.concurrency.databases import Databases, created, eventually
from tests.concurrency.fleet import launched
from tests.concurrency.scene import Scene
from tests.concurrency.stampede import Crowd, Figures
from tests.issuer_server import serve
from tests.which_databases import SERVERS, answers

EXPIRIES = 3


@dataclass(frozen=True, kw_only=True)
class Line:
    """One crowd on one database, all its expiries together."""

    database: str
    crowd: str
    calls: int
    generations: int
    presentations: int
    most: int
    reuses: int
    failed: int
    leaked: int

    @property
    def per_generation(self) -> float:
        return self.presentations / self.generations

    @property
    def is_kept(self) -> bool:
        """What is promised: one presentation for each generation, and every call is served."""
        return self.most == self.per_generation == 1 and not (
            self.reuses or self.failed or self.leaked
        )


Meet = Callable[[Scene], Iterator[Figures]]


def three_expiries(processes: int, threads: int, tasks: int) -> Meet:
    def meet(scene: Scene) -> Iterator[Figures]:
        user = scene.make_user(state="fresh")
        crowd = Crowd(scene, processes=processes, threads=threads, tasks=tasks)
        for _ in range(EXPIRIES):
            scene.expire(user)
            yield crowd.meet(user)

    return meet


def many_users(number: int) -> Meet:
    def meet(scene: Scene) -> Iterator[Figures]:
        users = scene.make_users(number)
        yield Crowd(scene, processes=4, threads=8).meet_all(users, shares=8)

    return meet


CROWDS: dict[str, Meet] = {
    "4 processes x 8 threads": three_expiries(4, 8, 0),
    "8 processes x 8 threads": three_expiries(8, 8, 0),
    "3 x (4 threads + 4 tasks)": three_expiries(3, 4, 4),
    "200 users at once, 4 x 8": many_users(200),
}


def measure(engine: str) -> Iterator[Line]:
    with created(engine) as databases, launched(databases, engine) as fleet:
        for name, meet in CROWDS.items():
            with serve() as issuer:
                scene = Scene(fleet, issuer)
                seen = list(meet(scene))
                yield line_of(engine, name, seen, leaked=leaked_after(scene, databases))
                scene.close()


def leaked_after(scene: Scene, databases: Databases) -> int:
    """Connections that are still open when all workers have closed their flights."""
    scene.fleet.do("calls.close_flights")
    eventually(lambda: databases.connections() == 0, seconds=5)
    return databases.connections()


def line_of(engine: str, crowd: str, seen: list[Figures], *, leaked: int) -> Line:
    return Line(
        database=engine,
        crowd=crowd,
        calls=sum(each.calls for each in seen),
        generations=sum(each.generations for each in seen),
        presentations=sum(each.presentations for each in seen),
        most=max(each.most for each in seen),
        reuses=max(each.reuses for each in seen),
        failed=sum(each.failed for each in seen),
        leaked=leaked,
    )


def show(line: Line) -> str:
    return (
        f"{line.database:<11} {line.crowd:<26} {line.calls:>6} calls"
        f"  {line.per_generation:.2f} presentations per generation"
        f"  {line.reuses} reuses  {line.failed} failed  {line.leaked} connections leaked"
        f"{'' if line.is_kept else '   NOT AS PROMISED'}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.concurrency", description=__doc__)
    parser.add_argument("databases", nargs="*", help="sqlite, postgresql, mariadb; all by default")
    parser.add_argument("--json", action="store_true", help="one JSON object for each line")
    given = parser.parse_args()
    lines = []
    for engine in given.databases or ["sqlite", *filter(answers, SERVERS)]:
        for line in measure(engine):
            lines.append(line)
            print(json.dumps(asdict(line)) if given.json else show(line), flush=True)
    return 0 if all(line.is_kept for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
