"""The host's clock, by which leases are counted between two readings of the database's."""

import subprocess
import sys

import pytest

SUSPENDED = "import time; from jwt_outbound import clock; print({}() - time.monotonic())"


def told_in_a_host_that_was_suspended_for_an_hour(reading: str) -> float:
    """How far `reading`, in seconds, is ahead of Python's own clock, which stood still then.

    A time namespace shows its processes the clocks of such a host.
    """
    # It is for the children of the process that makes it, hence --fork.
    command = ["unshare", "--time", "--boottime", "3600", "--fork"]
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no time namespace can be made here: {error}")
    told = subprocess.run(
        [*command, sys.executable, "-c", SUSPENDED.format(reading)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(told.stdout)


@pytest.mark.parametrize("reading", ["clock.seconds", "(lambda: clock.monotonic() / 1e6)"])
def test_a_lease_runs_out_also_while_the_host_is_suspended(reading: str) -> None:
    assert told_in_a_host_that_was_suspended_for_an_hour(reading) == pytest.approx(3600, abs=60)
