"""Bugs planted in the compare-and-swaps."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from jwt_outbound import swaps
from jwt_outbound.compare_and_swap import NEXT, Now
from tests.simulation import faulty
from tests.simulation.circumstances import BUSY, ENDED, LOGINS, LOSSES, PAUSES, STALE, only
from tests.simulation.planting import (
    Mutant,
    instead,
    setting,
    unchanged,
    unfenced,
)
from tests.simulation.rules import Rule

SWAPS: Final = (
    Mutant(
        name="the save is fenced on the lease's owner",
        plant=instead(swaps, "saved", faulty.fenced_on_the_owner),
        caught_as=(Rule.HELD, Rule.CAUSED, Rule.AN_END, Rule.KEPT),
        profile=PAUSES,
    ),
    Mutant(
        name="the save is not fenced",
        plant=unfenced("saved", "generation"),
        caught_as=(Rule.LINEAGE,),
        profile=LOGINS,
    ),
    Mutant(
        name="the refusal is not fenced",
        plant=unfenced("refused", "generation"),
        caught_as=(Rule.REFUSED,),
        profile=ENDED,
    ),
    Mutant(
        name="a lease is released by whoever comes",
        plant=unfenced("released", "lease_id"),
        caught_as=(Rule.OWN_RELEASE,),
        profile=replace(PAUSES, trouble=0.5, troubles=only(busy=1, lost=1)),
    ),
    Mutant(
        name="the lease id is left out of the compare-and-swap",
        plant=unfenced("leased", "lease_id"),
        caught_as=(
            Rule.ONE_REPLAY,
            Rule.IN_ITS_WINDOW,
            Rule.ONE_LEASE,
            Rule.NOT_COOLING,
            Rule.COOLDOWN,
        ),
        profile=replace(STALE, kinds=only(pause_of_a_thread=4, crash=1), faults=(4, 8)),
    ),
    Mutant(
        name="the marks are left out of the compare-and-swap",
        plant=unfenced("leased", "cooldown_until", "pending_until", "refused_at", "announced_at"),
        caught_as=(Rule.NOT_COOLING, Rule.NOT_PENDING, Rule.NOT_ENDED, Rule.REFUSAL_ONCE),
        profile=replace(LOSSES, kinds=only(time_passed=3, login_ended_at_the_issuer=1)),
    ),
    Mutant(
        name="the lease is shorter than the deadline",
        plant=instead(swaps, "leased", faulty.shorter),
        caught_as=(Rule.IN_ITS_LEASE, Rule.ALONE),
        profile=BUSY,
    ),
    Mutant(
        name="the journal is not kept",
        plant=unchanged("leased", "presented_generation", "presented_at", "presentations"),
        caught_as=(Rule.ONE_REPLAY, Rule.IN_ITS_WINDOW),
        profile=STALE,
    ),
    Mutant(
        name="an ambiguous answer is taken for a proof",
        plant=instead(swaps, "released", faulty.as_proof),
        caught_as=(Rule.PROOF,),
        profile=LOSSES,
    ),
    Mutant(
        name="a refused replay is not held",
        plant=setting("held", pending_until=Now(1)),
        caught_as=(Rule.HELD,),
        profile=PAUSES,
    ),
    Mutant(
        name="store() keeps the lease",
        plant=unchanged("stored", "lease_until"),
        caught_as=(Rule.CLEAN_LOGIN,),
        profile=LOGINS,
    ),
    Mutant(
        name="store() computes the generation from a stale read",
        plant=instead(swaps, "stored", faulty.stored_from_a_stale_read),
        caught_as=(Rule.GENERATION_MOVES, Rule.GENERATION_GROWS),
        profile=LOGINS,
    ),
    Mutant(
        name="a revocation does not move the generation",
        plant=unchanged("revoked", "generation"),
        caught_as=(Rule.GENERATION_MOVES,),
        profile=replace(BUSY, revocations=1.0),
    ),
    Mutant(
        name="a refusal moves the generation",
        plant=setting("refused", generation=NEXT),
        caught_as=(Rule.SAME_GENERATION,),
        profile=ENDED,
    ),
    Mutant(
        name="that a refusal was announced is not written down",
        plant=unchanged("announced", "announced_at"),
        caught_as=(Rule.REFUSAL_ONCE, Rule.REFUSAL_IN_THE_END),
        profile=ENDED,
    ),
    Mutant(
        name="the epoch is raised though the pair has been stored anew",
        plant=instead(swaps, "standing", lambda real, generation: {}),
        caught_as=(Rule.LATER_LOGIN,),
        profile=ENDED,
    ),
)
