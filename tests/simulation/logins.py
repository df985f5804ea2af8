"""Who brings pairs and who takes them away: logins, admins, deletions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import SESSION_KEY

from jwt_outbound import sessions, swaps
from jwt_outbound.clock import SECOND
from jwt_outbound.rows import Pair
from jwt_outbound.terms import Terms, of_issued, of_stored
from tests.simulation.actors import call
from tests.simulation.issuer import Issued
from tests.simulation.scenes import USER, granted_terms
from tests.simulation.sealing import opened
from tests.simulation.world import AT_ONCE, Session

if TYPE_CHECKING:
    from tests.simulation.table import Transaction
    from tests.simulation.world import Actor, Course, World

TRY_LOCK: Final = SECOND // 20


def log_in(
    world: World, actor: Actor, *, rolls_back: bool = False, calls: bool = False
) -> Course[None]:
    """A login in a request: the issuer's pair is stored, and the session stamped.

    `calls`: the same transaction goes on to use the pair, whose access token is of no use.
    """
    asked_at = world.now
    issued = world.issuer.log_in(world.now)
    session: Any = {SESSION_KEY: str(USER)}
    sessions.stamp(session)
    yield AT_ONCE
    transaction = world.table.begin(actor)
    yield from _store(world, actor, transaction, issued, asked_at, empty=calls)
    if calls:
        yield from call(world, actor)
    yield AT_ONCE
    if rolls_back:
        transaction.roll_back()
        return
    transaction.commit()
    number = world.ledger.logins
    yield AT_ONCE
    sessions.restamp(session, [USER])
    world.sessions.append(Session(number, session, world.now))


def _store(
    world: World, actor: Actor, transaction: Transaction, issued: Issued, asked_at: int, *,
    empty: bool,
) -> Course[None]:  # fmt: skip
    """`TokenPair.objects.store_answer`: one UPDATE, or an INSERT first."""
    swap = swaps.stored(columns_of(world, issued, asked_at, empty=empty))
    yield AT_ONCE
    while world.table.is_locked(transaction) or not world.table.swap(
        actor, swap, "store", transaction
    ):
        if not world.table.insert(actor, transaction):
            yield world.now + TRY_LOCK


def columns_of(
    world: World, issued: Issued, asked_at: int, *, empty: bool = False
) -> dict[str, Any]:
    """The columns of a pair that comes from outside of a refresh."""
    assert issued.refresh is not None
    access = "" if empty else issued.access.text
    terms = _terms(world, access, issued, asked_at)
    return {
        "access_sealed": world.seal(access, "access"),
        "refresh_sealed": world.seal(issued.refresh.text, "refresh"),
        **terms.columns(),
    }


def _terms(world: World, access: str, issued: Issued, asked_at: int) -> Terms:
    """As `store_answer` reckons them after a login at the issuer, or as `store` does for a pair
    that the application hands in: of that, nobody knows how old it is."""
    rules, kind, now = world.scene.policy.rules, world.issuer.kind, world.now
    assert issued.refresh is not None
    if access and world.rng.random() < 0.5:
        terms = granted_terms(kind)
        return of_issued(access, issued.refresh.text, sent_at=asked_at, rules=rules, **terms)
    left = max(0, issued.access.expires_at - now) / SECOND
    known = left if kind.tells_lifetime and access else None
    return of_stored(access, issued.refresh.text, known, now, rules)


def revoke(world: World, actor: Actor) -> Course[None]:
    """`TokenPair.objects.revoke`: ours ends first, then the issuer is told."""
    yield AT_ONCE
    while True:
        pair = world.table.row
        if pair is None or pair.revoked_at:
            return
        swap = swaps.revoked(pair)
        yield AT_ONCE
        if world.table.is_locked(None):
            yield world.now + TRY_LOCK
        elif world.table.swap(actor, swap, "revoke", pk=pair.pk):
            break
    yield AT_ONCE
    _tell_issuer(world, pair)


def _tell_issuer(world: World, pair: Pair) -> None:
    text = opened(pair.refresh_sealed)
    world.say(f"tells the issuer that {text or 'nothing'} is over", world.actor)
    world.issuer.revoke(text)


def delete(world: World, actor: Actor) -> Course[None]:
    """The row goes, with the user or by a command."""
    yield AT_ONCE
    while world.table.is_locked(None):
        yield world.now + TRY_LOCK
    if world.table.row is not None:
        world.table.delete(actor)
