"""Circumstances in which one planted bug or another does harm."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.simulation.scheduler import STANDARD


def only(**kinds: int) -> dict[str, int]:
    """Weights of faults or troubles, with spaces in their names."""
    return {name.replace("_", " "): weight for name, weight in kinds.items()}


BUSY: Final = replace(
    STANDARD, calm=0.0, expired=0.9, stale=0.1, grace=0.0, first_pairs=0.0, silent=0.0,
    lasting=0.0, processes=(2, 3), callers=(3, 5), faults=(2, 4), pace=0.08,
)  # fmt: skip
"""Several processes meet an expired pair."""
PAUSES: Final = replace(BUSY, kinds=only(pause_of_a_thread=3, pause_of_a_process=1, crash=1))
LOSSES: Final = replace(
    BUSY, trouble=0.7, troubles=only(lost=3, cut_after=2, error_after=2, swallowed=1),
)  # fmt: skip
STALE: Final = replace(LOSSES, expired=0.0, stale=1.0, callers=(4, 6), sweepers=1.0)
LOGINS: Final = replace(
    BUSY, logins=1.0, kinds=only(login=3, pause_of_a_thread=2), trouble=0.0
)  # fmt: skip
ENDED: Final = replace(
    LOGINS, kinds=only(login=3, login_ended_at_the_issuer=3, pause_of_a_thread=2), pace=0.12
)  # fmt: skip
