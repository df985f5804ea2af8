"""All planted bugs, and the hunt for one.

Each is a small patch on a real function, at least one for each rule of the protocol that a
schedule stands behind.
"""

from __future__ import annotations

from typing import Final

from tests.simulation.mutants_of_decisions import DECISIONS
from tests.simulation.mutants_of_flow import FLIGHTS, FLOW
from tests.simulation.mutants_of_swaps import SWAPS
from tests.simulation.planting import Mutant
from tests.simulation.scheduler import Report, run

MUTANTS: Final = SWAPS + DECISIONS + FLOW + FLIGHTS


def hunt(mutant: Mutant, schedules: int) -> Report | None:
    """The first schedule that catches the bug."""
    with mutant.plant():
        for seed in range(schedules):
            report = run(seed, mutant.profile)
            if report.violation is not None:
                return report
    return None
