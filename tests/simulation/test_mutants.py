"""Every planted bug is found, and it is the bug that is found, not the circumstances."""

import pytest

from tests.simulation.mutants import MUTANTS, hunt
from tests.simulation.planting import Mutant
from tests.simulation.scheduler import run

SCHEDULES = 2000
"""So many at most; most bugs need fewer than fifty."""
SOUND = 100


def test_no_two_bugs_have_one_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 20


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_caught(mutant: Mutant) -> None:
    report = hunt(mutant, SCHEDULES)
    assert report is not None, f"{mutant.name}: not caught in {SCHEDULES} schedules"
    assert report.violation is not None
    assert report.violation.rule in mutant.caught_as


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_without_the_bug_the_same_circumstances_do_no_harm(mutant: Mutant) -> None:
    reports = [run(seed, mutant.profile) for seed in range(SOUND)]
    assert [report.violation for report in reports] == [None] * SOUND
