"""What a schedule is made of: the issuer, the settings, who comes when, and what may go wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final, TypeVar

from jwt_outbound.clock import SECOND
from jwt_outbound.freshness import Windows
from jwt_outbound.refresh.words import Policy
from jwt_outbound.terms import Rules
from tests.simulation.issuer import Kind

SERVICE: Final = "billing"
USER: Final = 1
LEASE: Final = 3 * SECOND
DEADLINE: Final = 3 * SECOND // 2
WAIT: Final = 5 * SECOND
SPACINGS: Final = (SECOND // 20, 2 * SECOND // 5)
GRACES: Final = (8 * SECOND, 30 * SECOND)

Choice = TypeVar("Choice")


def _faults() -> dict[str, int]:
    return {
        "crash": 3,
        "pause of a process": 3,
        "pause of a thread": 3,
        "caller gone": 2,
        "wall clock moved": 1,
        "login": 2,
        "revocation": 1,
        "deletion": 1,
        "login ended at the issuer": 1,
        "access token ended at the API": 1,
        "row locked": 2,
        "write failed": 2,
        "commit unknown": 2,
        "read failed": 1,
        "receiver failed": 1,
        "time passed": 2,
        "logouts suspended": 1,
    }


def _troubles() -> dict[str, int]:
    return {
        "unreachable": 2,
        "cut before": 1,
        "swallowed": 1,
        "error before": 2,
        "error after": 2,
        "busy": 2,
        "client rejected": 1,
        "lost": 3,
        "garbage": 1,
        "cut after": 2,
        "slow": 4,
        "late": 1,
    }


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Probabilities. A planted bug may ask for others, never for other invariants."""

    calm: float = 0.1
    """Schedules in which nothing goes wrong."""
    grace: float = 0.4
    mild: float = 0.35
    """Issuers that refuse a reused token and no more."""
    lasting: float = 0.08
    """Issuers that do not rotate."""
    dying_access: float = 0.1
    first_pairs: float = 0.06
    silent: float = 0.08
    """Issuers that say nothing of lifetimes."""
    lifetimes: tuple[int, ...] = (6, 40, 300)
    """Of access tokens, in seconds."""
    together: float = 0.6
    """Who comes at once; the others come when something has just run out."""
    expired: float = 0.6
    """The pair is expired when the schedule begins."""
    stale: float = 0.3
    """It is not, but due for a refresh ahead."""
    processes: tuple[int, int] = (1, 3)
    callers: tuple[int, int] = (2, 5)
    visitors: float = 0.25
    """Callers who go on to the API and come back with its 401."""
    snapshots: float = 0.1
    """Callers in a transaction with an old snapshot."""
    storing: float = 0.08
    """Callers who store a pair and use it in the same transaction."""
    sweepers: float = 0.35
    workers: float = 0.5
    """Of the sweepers: the fleet's own, who go by their plans, not by what a caller would do."""
    used: float = 0.7
    """Somebody has used the stored pair before the schedule begins."""
    budget: float = 0.15
    """Schedules in which the service has a budget of exchanges, and others use it too."""
    renewals: float = 0.05
    """Callers who want another token although theirs is good."""
    logins: float = 0.3
    revocations: float = 0.12
    long_after: float = 0.03
    """Somebody comes when the refresh token has long run out."""
    trouble: float = 0.3
    """Something goes wrong with one exchange."""
    slow_receiver: float = 0.05
    faults: tuple[int, int] = (1, 4)
    pace: float = 0.05
    """The chance of a fault at one step, while there are some left."""
    stickiness: float = 0.5
    kinds: Mapping[str, int] = field(default_factory=_faults)
    troubles: Mapping[str, int] = field(default_factory=_troubles)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One schedule's circumstances."""

    kind: Kind
    policy: Policy
    profile: Profile
    calm: bool
    processes: int
    faults: int
    age: int
    """How long before the beginning the pair was stored; -1: there is none."""
    crowd: int
    """How long after the beginning the budget's first place is free."""


def draw(rng: Random, profile: Profile) -> Scene:
    kind = _draw_issuer(rng, profile)
    calm = rng.random() < profile.calm
    policy = _policy(rng, kind)
    crowd = 0
    if rng.random() < profile.budget:
        policy = replace(policy, spacing=rng.choice(SPACINGS))
        crowd = rng.randrange(LEASE)
    return Scene(
        kind=kind,
        policy=policy,
        profile=profile,
        calm=calm,
        processes=rng.randint(*profile.processes),
        faults=0 if calm else rng.randint(*profile.faults),
        age=_draw_age(rng, kind, profile),
        crowd=crowd,
    )


def weighted(rng: Random, weights: Mapping[Choice, int]) -> Choice:
    """One of the keys; none of them by luck of a hash."""
    at = rng.random() * sum(weights.values())
    for choice, weight in weights.items():
        at -= weight
        if at < 0:
            return choice
    return next(iter(weights))


def _draw_issuer(rng: Random, profile: Profile) -> Kind:
    def chance(probability: float) -> bool:
        return rng.random() < probability

    return Kind(
        rotates=not chance(profile.lasting),
        grace=rng.choice(GRACES) if chance(profile.grace) else 0,
        same_successor=chance(0.5),
        severe=not chance(profile.mild),
        old_access_dies=chance(profile.dying_access),
        makes_first_pairs=chance(profile.first_pairs),
        lifetime=rng.choice(profile.lifetimes) * SECOND,
        tells_lifetime=not chance(profile.silent),
    )


def _policy(rng: Random, kind: Kind) -> Policy:
    return Policy(
        service=SERVICE,
        rules=Rules(windows=Windows(), ahead=not kind.old_access_dies, jitter=rng.random()),
        lease=LEASE,
        deadline=DEADLINE,
        wait=WAIT,
        replay_window=kind.grace,
        makes_first_pair=kind.makes_first_pairs,
    )


def _draw_age(rng: Random, kind: Kind, profile: Profile) -> int:
    if kind.makes_first_pairs and rng.random() < 0.5:
        return -1
    at, life = rng.random(), kind.lifetime
    if at < profile.expired:
        return life + rng.randrange(life)
    if at < profile.expired + profile.stale:
        return life - rng.randrange(life // 4)
    return rng.randrange(life)


def draw_trouble(rng: Random, scene: Scene) -> str:
    """What goes wrong with one exchange; nothing is "". A slow answer is no trouble."""
    if scene.calm:
        return "slow" if rng.random() < 0.1 else ""
    if rng.random() >= scene.profile.trouble:
        return ""
    return weighted(rng, scene.profile.troubles)


def granted_terms(kind: Kind) -> dict[str, Any]:
    """What the issuer says of lifetimes, in seconds."""
    terms: dict[str, Any] = {"refresh_expires_in": kind.refresh_lifetime / SECOND}
    if kind.tells_lifetime:
        terms["expires_in"] = kind.lifetime / SECOND
    return terms
