"""Every write of the protocol, as data: each rule of it stands here once.

All of them are fenced on the generation; see design rule 3.1.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from jwt_outbound.compare_and_swap import NEXT, NOW, OVER, SET, Now, Swap
from jwt_outbound.rows import Pair

UNMARKED: Final[Mapping[str, Any]] = {
    "lease_until": 0,
    "presented_generation": -1,
    "presented_at": 0,
    "presentations": 0,
    "unended": False,
    "cooldown_until": 0,
    "failures": 0,
    "pending_until": 0,
    "refused_at": 0,
    "reason": "",
    "code": "",
    "event_id": None,
    "announced_at": 0,
    "revoked_at": 0,
    "reconnect": False,
    "parked": False,
    "claimed_until": 0,
}
"""Lease, journal, cool-down and marks of a pair that begins anew. The lease id stays."""


def stored(columns: Mapping[str, Any]) -> Swap:
    """A pair handed in by the application: whatever was there is over."""
    return Swap(
        where={},
        changes={
            **UNMARKED,
            "hold_until": 0,
            "holds": 0,
            "outcome": "stored",
            **columns,
            "generation": NEXT,
            "obtained_at": NOW,
        },
    )


def revoked(pair: Pair) -> Swap:
    """The pair ends by our own will: no token is left in it."""
    return Swap(
        where={"generation": pair.generation},
        changes={
            **UNMARKED,
            "generation": NEXT,
            "access_sealed": b"",
            "refresh_sealed": b"",
            "refresh_at": None,
            "revoked_at": NOW,
            "outcome": "revoked",
        },
    )


def leased(pair: Pair, length: int, *, present: bool, holder: Mapping[str, Any]) -> Swap:
    """The lease, which is the journal too where the refresh token is about to be presented.

    A lease that ran out belongs to a flight that never ended: that is remembered, since it may
    still come back with the new pair. It may also have come back since `pair` was read, so the
    marks on which it was decided must still be the same.
    """
    journal = {
        "presented_generation": pair.generation,
        "presented_at": NOW,
        "presentations": pair.presentations + 1 if pair.presented else 1,
        "unended": pair.unended or pair.lease_until > 0,
    }
    return Swap(
        where={
            "generation": pair.generation,
            "lease_id": pair.lease_id,
            "lease_until": OVER,
            "cooldown_until": pair.cooldown_until,
            "pending_until": pair.pending_until,
            "refused_at": pair.refused_at,
            "announced_at": pair.announced_at,
        },
        changes={
            "lease_id": NEXT,
            "lease_until": Now(length),
            **holder,
            **(journal if present else {}),
        },
    )


def saved(pair: Pair, columns: Mapping[str, Any]) -> Swap:
    """The issuer's new pair in place of the one exchanged, whoever holds the lease by now."""
    return Swap(
        where={"generation": pair.generation},
        changes={**UNMARKED, "outcome": "refreshed", **columns, "generation": NEXT},
    )


def released(
    pair: Pair,
    *,
    spent: bool,
    outcome: str,
    cooldown: int = 0,
    failures: int = 0,
    due_after: int = 0,
    in_hand: bool = False,
) -> Swap:
    """The lease taken on `pair` is given back, by its holder alone.

    `spent=False`: the outcome proves that this presentation did not use the token up, so the
    journal is again what it was before the lease. `due_after`: so much later the pair is due
    again; 0: as before. `in_hand`: the worker that has claimed it tries again soon.
    """
    changes: dict[str, Any] = {"lease_until": 0, "outcome": outcome}
    if not in_hand:
        changes.update(claimed_until=0)
    if cooldown:
        changes.update(cooldown_until=Now(cooldown), failures=failures)
    if due_after:
        changes.update(refresh_at=Now(due_after))
    if not spent:
        changes.update(
            presented_generation=pair.presented_generation,
            presented_at=pair.presented_at,
            presentations=pair.presentations,
        )
    return Swap(
        where={"generation": pair.generation, "lease_id": pair.lease_id + 1}, changes=changes
    )


def held(pair: Pair, length: int, code: str, reason: str = "") -> Swap:
    """A refusal is held: of a replay for one more lease, as an earlier flight may bring the new
    pair; of any pair while staff have suspended logouts (`reason`)."""
    here = {"generation": pair.generation, "refused_at": 0, "pending_until": pair.pending_until}
    return Swap(
        where=here,
        changes={
            "pending_until": Now(length),
            "refresh_at": Now(length),
            "code": code,
            "reason": reason,
        },
    )


def refused(pair: Pair, *, reason: str, code: str, event_id: UUID) -> Swap:
    """The login is over. The lease stays until the refusal is announced, and until then the pair
    is due: what a crash left unannounced is found by whoever looks for due pairs."""
    return Swap(
        where={"generation": pair.generation, "refused_at": 0},
        changes={
            "refused_at": NOW,
            "outcome": "refused",
            "reason": reason,
            "code": code,
            "event_id": event_id,
            "announced_at": 0,
            "pending_until": 0,
            "refresh_at": NOW,
        },
    )


def standing(generation: int) -> Mapping[str, Any]:
    """As a condition: the refusal of this generation still counts, as no pair has come since."""
    return {"generation": generation, "refused_at": SET}


def announced(pair: Pair, event_id: UUID) -> Swap:
    """All receivers have been told of the refusal `event_id`."""
    return Swap(
        where={"generation": pair.generation, "event_id": event_id},
        changes={"announced_at": NOW, "lease_until": 0, "refresh_at": None},
    )


def unhelped(pair: Pair, length: int) -> Swap:
    """A 401 came again after a refresh: no 401 of this pair starts another for a while.

    So the 401 before it was no expiry either, and a lifetime learned from it is forgotten.
    """
    forgotten: dict[str, Any] = {"learned_lifetime": None}
    if pair.lifetime is not None and pair.lifetime == pair.learned_lifetime:
        forgotten.update(lifetime=None, expires_at=None, refresh_at=None)
    return Swap(
        where={"generation": pair.generation},
        changes={"hold_until": Now(length), "holds": NEXT, **forgotten},
    )


def used(pair: Pair) -> Swap:
    """Somebody uses this generation, so it is worth a refresh ahead; a parked pair is due again."""
    as_read = {"used_generation": pair.used_generation, **({"parked": True} if pair.parked else {})}
    unparked = {"parked": False, "refresh_at": NOW} if pair.parked else {}
    return Swap(
        # A refused pair would be due for ever: nothing is left to be done for it.
        where={"generation": pair.generation, "refused_at": 0, **as_read},
        changes={"used_generation": pair.generation, **unparked},
    )


def parked(pair: Pair, until: int | None) -> Swap:
    """Nobody uses the pair, so it is not due before `until`; None: not at all."""
    as_read = {"used_generation": pair.used_generation, "refresh_at": pair.refresh_at}
    return Swap(
        where={"generation": pair.generation, **as_read},
        changes={"parked": True, "refresh_at": until, "claimed_until": 0},
    )


def postponed(pair: Pair, until: Now | int | None) -> Swap:
    """Nothing would help the pair now, so it is not due before `until`; None: not at all. Its use
    does not change that, unlike a parked one's."""
    return Swap(
        where={"generation": pair.generation, "refresh_at": pair.refresh_at},
        changes={"refresh_at": until, "claimed_until": 0},
    )
