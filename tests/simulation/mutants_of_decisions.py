"""Bugs planted in what is decided, measured and reckoned."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from unittest.mock import patch

from jwt_outbound.issuers import answers
from jwt_outbound.refresh import columns, decisions, flow, words
from jwt_outbound.rows import Reading
from tests.simulation import faulty
from tests.simulation.circumstances import BUSY, ENDED, LOSSES, PAUSES, STALE, only
from tests.simulation.planting import (
    Mutant,
    instead,
    together,
)
from tests.simulation.rules import Rule

DECISIONS: Final = (
    Mutant(
        name="nothing is checked before the first byte",
        plant=instead(words, "may_send", lambda real, *args: True),
        caught_as=(Rule.IN_ITS_LEASE,),
        profile=PAUSES,
    ),
    Mutant(
        name="a replay outside of its window",
        plant=together(
            instead(decisions, "may_present", lambda real, *args, **options: True),
            instead(flow, "presentable_until", lambda real, *args: None),
        ),
        caught_as=(Rule.IN_ITS_WINDOW, Rule.ONE_REPLAY),
        profile=STALE,
    ),
    Mutant(
        name="the replay window is not looked at before the first byte",
        plant=instead(flow, "presentable_until", lambda real, *args: None),
        caught_as=(Rule.IN_ITS_WINDOW,),
        profile=replace(
            STALE,
            grace=1.0,
            mild=0.5,
            lifetimes=(300,),
            together=0.4,
            processes=(1, 2),
            kinds=only(time_passed=1),
            pace=0.03,
            trouble=0.5,
            troubles=only(cut_after=1),
        ),
    ),
    Mutant(
        name="a lifetime is learned from a whim",
        plant=lambda: patch.object(columns, "MINUTE", 0),
        caught_as=(Rule.NOT_LOGGED_OUT, Rule.AN_END),
        profile=replace(
            BUSY,
            silent=1.0,
            visitors=1.0,
            expired=0.0,
            logins=1.0,
            trouble=0.0,
            kinds=only(access_token_ended_at_the_API=1),
            pace=0.15,
        ),
    ),
    Mutant(
        name="a refusal that a crash left unannounced stays so",
        plant=instead(decisions, "_refused", faulty.never_announced),
        caught_as=(Rule.REFUSAL_IN_THE_END,),
        profile=replace(
            ENDED,
            logins=0.0,
            slow_receiver=0.6,
            kinds=only(login_ended_at_the_issuer=2, crash=3),
            pace=0.2,
        ),
    ),
    Mutant(
        name="no cool-down after an ambiguous answer",
        plant=instead(flow, "cooldown", lambda real, *args: (0, real(*args)[1])),
        caught_as=(Rule.COOLDOWN,),
        profile=LOSSES,
    ),
    Mutant(
        name="an outage is taken for a refusal",
        plant=instead(answers, "read_answer", faulty.outage_as_refusal),
        caught_as=(Rule.REFUSED, Rule.CAUSED),
        profile=replace(BUSY, trouble=0.5, troubles=only(error_before=1)),
    ),
    Mutant(
        name="a 401 to a young token starts a refresh",
        plant=instead(decisions, "_demand", faulty.old_is_young),
        caught_as=(Rule.YOUNG,),
        profile=replace(
            BUSY, visitors=1.0, kinds=only(access_token_ended_at_the_API=1), pace=0.02, trouble=0.0
        ),
    ),
    Mutant(
        name="an answer without a refresh token drops the old one",
        plant=instead(flow, "new_columns", faulty.without_refresh),
        caught_as=(Rule.NOT_LOGGED_OUT, Rule.LINEAGE),
        profile=replace(BUSY, lasting=1.0),
    ),
    Mutant(
        name="a host's wall clock in place of the database's",
        plant=instead(Reading, "time", faulty.by_the_wall_clock),
        caught_as=(Rule.SERVED_GOOD, Rule.AN_END),
        profile=replace(BUSY, faults=(0, 0), trouble=0.0),
    ),
    Mutant(
        name="a lifetime counted from the save",
        plant=instead(Reading, "earliest", faulty.by_the_save),
        caught_as=(Rule.SERVED_GOOD,),
        profile=replace(BUSY, trouble=0.5, troubles=only(slow=1)),
    ),
)
