"""Bugs planted in the order of steps, in flights and in who waits for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from unittest.mock import patch

from jwt_outbound import sessions
from jwt_outbound.refresh import budget, flights, flow
from jwt_outbound.refresh.flight import Flight
from jwt_outbound.tokens import Call
from tests.simulation import faulty
from tests.simulation.circumstances import BUSY, ENDED, LOGINS, PAUSES, only
from tests.simulation.planting import (
    Mutant,
    instead,
    method,
)
from tests.simulation.rules import Rule
from tests.simulation.scheduler import STANDARD

FLOW: Final = (
    Mutant(
        name="the refusal is read, then written",
        plant=method("_end", faulty.read_then_written),
        caught_as=(Rule.REFUSED,),
        profile=ENDED,
    ),
    Mutant(
        name="the lease is not committed before sending",
        plant=method("_present", faulty.without_lease),
        caught_as=(Rule.LEASED,),
    ),
    Mutant(
        name="the lease's age is counted from its answer",
        plant=method("_present", faulty.lease_counted_late),
        caught_as=(Rule.IN_ITS_LEASE,),
        profile=PAUSES,
    ),
    Mutant(
        name="the save is given up at a row lock",
        plant=instead(flow, "persist", faulty.give_up_at_a_lock),
        caught_as=(Rule.KEPT,),
        profile=replace(BUSY, kinds=only(row_locked=1, write_failed=1)),
    ),
    Mutant(
        name="the signal before the save",
        plant=instead(flow.Refresh, "_granted", faulty.announced_early),
        caught_as=(Rule.AFTER_COMMIT,),
    ),
    Mutant(
        name="waiters are woken before the save",
        plant=instead(flow.Refresh, "_granted", faulty.acknowledged_early),
        caught_as=(Rule.WOKEN_AFTER_COMMIT,),
    ),
    Mutant(
        name="polling in an old snapshot",
        plant=method("run", faulty.old_snapshot),
        caught_as=(
            Rule.PATIENCE,
            Rule.AN_END,
            Rule.LAST_LOOK,
            Rule.CALM,
        ),
        profile=replace(BUSY, calm=0.5),
    ),
    Mutant(
        name="who loses the lease tries again without a pause",
        plant=method("run", faulty.restless),
        caught_as=(Rule.AN_END,),
        profile=replace(BUSY, snapshots=1.0, kinds=only(deletion=1), pace=0.2, trouble=0.0),
    ),
    Mutant(
        name="a flight gives up without a last look",
        plant=method("run", faulty.no_last_look),
        caught_as=(Rule.LAST_LOOK,),
        profile=replace(PAUSES, troubles=only(slow=1), trouble=1.0),
    ),
    Mutant(
        name="a caller gives up without a last look",
        plant=instead(Call, "_look_once_more", faulty.caller_without_last_look),
        caught_as=(Rule.LAST_LOOK,),
        profile=PAUSES,
    ),
    Mutant(
        name="a pair that comes after its revocation lives on at the issuer",
        plant=method("run", faulty.without_revoke),
        caught_as=(Rule.REVOKED_TOO,),
        profile=replace(BUSY, revocations=1.0, trouble=0.5, troubles=only(slow=1)),
    ),
    Mutant(
        name="that the logout failed is overlooked",
        plant=method("_announce", faulty.failure_overlooked),
        caught_as=(Rule.SESSIONS_END,),
        profile=replace(ENDED, kinds=only(login_ended_at_the_issuer=2, receiver_failed=2)),
    ),
    Mutant(
        name="logouts go on though they are suspended",
        plant=method("_refused", faulty.never_suspended),
        caught_as=(Rule.SUSPENDED,),
        profile=replace(
            ENDED, kinds=only(logouts_suspended=1, login_ended_at_the_issuer=1), logins=0.0
        ),
    ),
)

FLIGHTS: Final = (
    Mutant(
        name="who waits fails because nobody waited for the flight that he joined",
        plant=instead(
            budget, "crowded", lambda real, policy, wait, ahead: real(policy, wait, ahead=False)
        ),
        caught_as=(Rule.CALM,),
        profile=replace(
            STANDARD,
            calm=1.0,
            budget=1.0,
            sweepers=1.0,
            workers=0.0,
            expired=1.0,
            stale=0.0,
            processes=(1, 1),
        ),
    ),
    Mutant(
        name="a flight is shared by two generations",
        plant=instead(flights, "key_of", lambda real, ask: ask.pk or object()),
        caught_as=(Rule.NEVER_SERVED_OLDER,),
        profile=replace(
            LOGINS, processes=(1, 1), renewals=0.6, slow_receiver=0.6, callers=(4, 7), faults=(1, 3)
        ),
    ),
    Mutant(
        name="a flight that is over is joined",
        plant=lambda: patch.object(Flight, "is_over", False),
        caught_as=(Rule.AN_END,),
        profile=replace(
            BUSY,
            together=1.0,
            sweepers=1.0,
            processes=(2, 2),
            kinds=only(pause_of_a_thread=1),
            faults=(3, 6),
            pace=0.15,
            trouble=1.0,
            troubles=only(slow=1),
        ),
    ),
    Mutant(
        name="the answer is dropped when the caller is cancelled",
        plant=instead(Flight, "join", faulty.dropped_when_cancelled),
        caught_as=(Rule.KEPT, Rule.REFRESH_ANNOUNCED),
        profile=replace(BUSY, kinds=only(caller_gone=1)),
    ),
    Mutant(
        name="a session is not stamped anew after a login",
        plant=instead(sessions, "restamp", lambda real, *args: None),
        caught_as=(Rule.LATER_LOGIN,),
        profile=ENDED,
    ),
)
