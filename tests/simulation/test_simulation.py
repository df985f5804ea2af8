"""A few thousand schedules in each run of the tests; `make simulate` runs many more."""

import pytest

from tests.simulation import residuals
from tests.simulation.__main__ import main
from tests.simulation.fleet import Totals, run_chunk
from tests.simulation.mutants import MUTANTS
from tests.simulation.scenes import Profile
from tests.simulation.scheduler import run

SCHEDULES = 3000


@pytest.fixture(scope="module")
def totals() -> Totals:
    return run_chunk(0, SCHEDULES)


def test_every_invariant_holds_after_every_step(totals: Totals) -> None:
    assert totals.broken == {}


def test_the_schedules_differ(totals: Totals) -> None:
    assert len(totals.paths) > 0.9 * SCHEDULES


def test_every_fault_comes_up(totals: Totals) -> None:
    profile = Profile()
    troubles = {f"exchange: {name}" for name in profile.troubles if name != "slow"}
    assert {*profile.kinds, *troubles, "slow receiver"} - totals.faults.keys() == set()


def test_calls_end_in_every_way(totals: Totals) -> None:
    assert totals.calls["served"] > sum(totals.calls.values()) / 2
    assert totals.calls.keys() >= {
        "RefreshTokenRefused",
        "RefreshTokenExpired",
        "TokenPairNotFound",
        "IssuerUnavailable",
        "IssuerMisconfigured",
        "RefreshInProgress",
        "TokenStoreUnavailable",
    }


def test_residual_cases_are_recognised_and_counted(totals: Totals) -> None:
    assert totals.residuals.keys() >= {
        residuals.CRASHED,
        residuals.LOST,
        residuals.PAUSED,
        residuals.ROLLED_BACK,
        f"logged out: {residuals.DELAYED}",
    }


def test_a_seed_always_takes_the_same_way() -> None:
    first, again = run(7, trace=True), run(7, trace=True)
    assert (first.path, first.steps, first.trace) == (again.path, again.steps, again.trace)
    assert run(7).path == first.path


def test_the_command_says_what_it_saw(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--schedules", "60", "--seed", "500", "--processes", "1"]) == 0
    said = capsys.readouterr().out
    assert "60 schedules" in said
    assert "distinct interleavings" in said
    assert "Every invariant held" in said


def test_the_command_fails_with_the_seed_and_replays_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    mutant = next(m for m in MUTANTS if m.name == "the signal before the save")
    with mutant.plant():
        assert main(["--schedules", "30", "--processes", "1"]) == 1
        told = capsys.readouterr().out
        seed = told.split("seed ")[1].split(":")[0]
        assert main(["--seed", seed, "--replay"]) == 1
    assert "Violated: the signal comes after the commit" in capsys.readouterr().out
