"""Which pairs are due, and taking them in hand so that no two workers go for the same ones.

A claim only spares work: whoever refreshes takes the lease first, as everyone does. Nothing in here
waits for a row that somebody has locked: a caller's transaction may hold it, and want another one
that is in this worker's hand.
"""

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import connections, transaction

from jwt_outbound import clock, swaps
from jwt_outbound.clock import SECOND
from jwt_outbound.compare_and_swap import Now
from jwt_outbound.fleet.plans import Do, Plan, plan_for
from jwt_outbound.models import IssuerState, TokenPair
from jwt_outbound.querysets import alias, database_now
from jwt_outbound.refresh.words import Ask, Policy
from jwt_outbound.rows import IssuerHealth, Pair, Reading
from jwt_outbound.users import active_among

CLAIM: Final = 30 * SECOND
"""Microseconds after which what a worker has taken and not done is anybody's again."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """A pair in hand, and what is to be done with it."""

    pair: Pair
    reading: Reading
    """What the plan was made from."""
    plan: Plan
    ends_at: int
    """When the claim is over, on this host's monotonic clock."""

    @property
    def ask(self) -> Ask:
        """What its flight has to bring."""
        return Ask(
            service=self.pair.service,
            user_id=self.pair.user_id,
            pk=self.pair.pk,
            generation=self.pair.generation,
            renew=self.pair.generation,
            ahead=True,
        )

    @property
    def is_mine(self) -> bool:
        """Whether the claim still holds."""
        return clock.monotonic() < self.ends_at


def due_pairs(now: int, services: Collection[str], by: int | None = None) -> Any:
    """The pairs of these services that are due and in nobody's hand, the most urgent first; with
    `by` only those that were due at that time.

    Both are numbers and not the database's own expression: PostgreSQL uses no index for what
    changes within a statement.
    """
    return TokenPair.objects.filter(
        refresh_at__lte=now if by is None else min(by, now),
        claimed_until__lte=now,
        service__in=services,
    ).order_by("refresh_at")


def claim(services: Collection[str], limit: int, by: int | None = None) -> list[Pair]:
    """Takes at most `limit` due pairs in hand for `CLAIM`. What another worker is taking at this
    moment, or a caller has locked, is passed over."""
    now = database_now()
    due = due_pairs(now, services, by)
    if not _passes_over():
        while found := due.pairs(limit):
            if mine := _claim_by_mark(found, now):
                return mine
            # Others were quicker with all of these; that is no reason to believe nothing is due.
        return []
    with transaction.atomic(using=alias()):
        pairs: list[Pair] = due.select_for_update(skip_locked=True).pairs(limit)
        TokenPair.objects.filter(pk__in=_keys(pairs)).update(claimed_until=now + CLAIM)
    return pairs


def _claim_by_mark(pairs: list[Pair], now: int) -> list[Pair]:
    """Without SKIP LOCKED: all of them are marked at once, and the mark tells whose they are.

    No transaction: SQLite's fails at once, without waiting, where it first reads and then writes
    and another has written meanwhile.
    """
    mark = now + CLAIM + random.randrange(SECOND)  # noqa: S311 - only tells workers apart
    rows = TokenPair.objects.filter(pk__in=_keys(pairs))
    if not rows.filter(refresh_at__lte=now, claimed_until__lte=now).update(claimed_until=mark):
        return []
    mine = set(rows.filter(claimed_until=mark).values_list("pk", flat=True))
    return [pair for pair in pairs if pair.pk in mine]


def with_plans(
    pairs: Sequence[Pair],
    policies: Mapping[str, Policy],
    issuers: Mapping[str, IssuerHealth],
    ends_at: int = 0,
) -> list[Due]:
    """What is to be done with each of these pairs."""
    at = clock.monotonic()
    now = database_now()
    took = clock.monotonic() - at
    active = active_among({pair.user_id for pair in pairs})

    def due(pair: Pair) -> Due:
        issuer = issuers.get(pair.service, IssuerHealth())
        plan = plan_for(
            pair,
            issuer,
            policies[pair.service],
            now,
            active=pair.user_id in active,
            chance=random.random(),  # noqa: S311 - it spreads load, nothing is secret
        )
        reading = Reading(pair=pair, issuer=issuer, now=now, at=at, took=took)
        return Due(pair=pair, reading=reading, plan=plan, ends_at=ends_at)

    return [due(pair) for pair in pairs]


def take(
    services: Mapping[str, Policy],
    limit: int,
    issuers: Mapping[str, IssuerHealth],
    by: int | None = None,
) -> tuple[list[Due], list[Due]]:
    """Claims due pairs: those to be refreshed or finished, and those that were left alone."""
    ends_at = clock.monotonic() + CLAIM
    todo: list[Due] = []
    left: list[Due] = []
    for due in with_plans(claim(services, limit, by), services, issuers, ends_at):
        (todo if due.plan.do in (Do.REFRESH, Do.FINISH) else left).append(due)
    if left:
        with transaction.atomic(using=alias()):
            free = _lock_free(_keys(due.pair for due in left))
            for due in left:
                if due.pair.pk in free:
                    _leave(due)
    return todo, left


def _leave(due: Due) -> None:
    """Out of hand, and out of sight until its time comes."""
    pair, until = due.pair, due.plan.until
    if due.plan.do is Do.PARK:
        TokenPair.objects.swap(swaps.parked(pair, until), pk=pair.pk)
    elif due.plan.do is Do.FORGET:
        TokenPair.objects.swap(swaps.postponed(pair, until), pk=pair.pk)
    else:
        TokenPair.objects.filter(pk=pair.pk).update(claimed_until=until or 0)


def put_aside(pair: Pair, length: int) -> None:
    """A try has changed nothing and would change nothing now: it is due again `length` later.

    Or many such pairs, always the most urgent ones, would keep the workers from all others.
    """
    TokenPair.objects.swap(swaps.postponed(pair, Now(length)), pk=pair.pk)


def let_go(dues: Iterable[Due]) -> None:
    """Out of hand: anybody may take these pairs."""
    keys = _keys(due.pair for due in dues if due.is_mine)
    if keys:
        with transaction.atomic(using=alias()):
            TokenPair.objects.filter(pk__in=_lock_free(keys)).update(claimed_until=0)


def health_of_all(services: Collection[str]) -> dict[str, IssuerHealth]:
    """What all hosts know of these services' issuers."""
    health: dict[str, IssuerHealth] = IssuerState.objects.health_of_all(services)
    return health


def _lock_free(keys: Collection[UUID]) -> set[UUID]:
    """Those of these pairs that nobody has locked; now this transaction has."""
    if not _passes_over():
        return set(keys)
    rows = TokenPair.objects.filter(pk__in=keys).select_for_update(skip_locked=True)
    return set(rows.values_list("pk", flat=True))


def _passes_over() -> bool:
    return bool(connections[alias()].features.has_select_for_update_skip_locked)


def _keys(pairs: Iterable[Pair]) -> list[UUID]:
    return [pair.pk for pair in pairs]
