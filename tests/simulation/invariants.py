"""What must hold of the row, of what is sent, and of a login's end (design sections 1 and 3).

Each check compares what was done with what the issuer and the committed rows say; none asks the
function that it checks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from jwt_outbound.clock import SECOND
from jwt_outbound.freshness import run_out_at
from jwt_outbound.rows import SUSPENDED, Pair
from tests.simulation.rules import Rule, violated
from tests.simulation.scenes import DEADLINE, LEASE
from tests.simulation.sealing import opened

if TYPE_CHECKING:
    from tests.simulation.issuer import Issuer
    from tests.simulation.records import Attempt, Lease, Refusal
    from tests.simulation.table import Written
    from tests.simulation.world import Actor, World

SHORTEST_COOLDOWN: Final = 3 * SECOND // 2
"""Of 2 s, with the most jitter."""


# The row


def has_other_tokens(old: Pair, new: Pair) -> bool:
    return old.access_sealed != new.access_sealed or old.refresh_sealed != new.refresh_sealed


def check_order(old: Pair, new: Pair) -> None:
    """Generations and lease ids only grow, and whatever replaces or ends a pair moves it."""
    if new.generation < old.generation:
        violated(Rule.GENERATION_GROWS, f"{old.generation} -> {new.generation}")
    if new.lease_id < old.lease_id:
        violated(Rule.LEASE_ID_GROWS)
    ended = new.revoked_at and not old.revoked_at
    if (ended or has_other_tokens(old, new)) and new.generation == old.generation:
        violated(Rule.GENERATION_MOVES)
    if old.revoked_at and not new.revoked_at and new.generation == old.generation:
        violated(Rule.REVOKED_STAYS)


def check_login(new: Pair) -> None:
    """A login begins with nothing of the pair before it."""
    marks = (new.lease_until, new.cooldown_until, new.pending_until, new.refused_at)
    if any(marks) or new.revoked_at or new.presented or new.unended:
        violated(Rule.CLEAN_LOGIN, f"{new}")


def check_lineage(issuer: Issuer, old: Pair, new: Pair) -> None:
    """A refreshed pair grew out of the very one that it replaces, and is the newer one."""
    access, before = issuer.access[opened(new.access_sealed)], opened(old.refresh_sealed)
    if access.parent and access.parent != before:
        violated(Rule.LINEAGE, f"{before} -> {access.text}")
    if not access.parent and old.refresh_sealed and not old.revoked_at:
        token = issuer.refresh[before]
        if token.expires_at > access.expires_at:
            violated(Rule.FIRST_PAIR)
    old_access = issuer.access.get(opened(old.access_sealed))
    if old_access is not None and old_access.number >= access.number:
        violated(Rule.NEVER_OLDER)


def check_lease_taken(old: Pair, new: Pair, now: int) -> None:
    if old.lease_until > now:
        violated(Rule.ONE_LEASE, f"{(old.lease_until - now) / SECOND:.3f} s were left")


def check_release(holder: Lease | None, actor: Actor) -> None:
    if holder is None or holder.actor is not actor:
        violated(Rule.OWN_RELEASE, f"by {actor}")


def check_cooldown(world: World, actor: Actor, new: Pair) -> None:
    """After an ambiguous answer the lease is given back with a cool-down."""
    attempt, window = actor.attempt, world.scene.policy.replay_window
    if attempt is None or attempt.answer is None or not attempt.answer.ambiguous:
        return
    shortest = min(SHORTEST_COOLDOWN, window // 4) if window else SHORTEST_COOLDOWN
    if new.cooldown_until < world.now + shortest:
        violated(Rule.COOLDOWN)


def check_journal(actor: Actor, old: Pair, new: Pair) -> None:
    """Only an outcome that proves the token unspent takes a presentation back."""
    if not old.presented or (new.presented and new.presentations >= old.presentations):
        return
    attempt = actor.attempt
    if attempt is not None and attempt.sent_at and not attempt.unspent:
        violated(Rule.PROOF)


# The exchange


def check_lease_held(lease: Lease | None, pair: Pair) -> None:
    """Nothing is sent but under a lease on this very pair, which is committed."""
    if lease is None or lease.row.pk != pair.pk or lease.row.generation != pair.generation:
        violated(Rule.LEASED)


def check_sending(world: World, attempt: Attempt, before: Iterable[Attempt]) -> None:
    lease, row = attempt.lease, attempt.row
    if world.now + DEADLINE > lease.until:
        violated(Rule.IN_ITS_LEASE, f"{(lease.until - world.now) / SECOND:.3f} s left")
    if row.refused_at or row.revoked_at:
        violated(Rule.NOT_ENDED)
    if row.pending_until and row.reason != SUSPENDED:
        violated(Rule.NOT_PENDING)
    if attempt.rejected and row.young_until > lease.at and serves(row, lease.at):
        violated(Rule.YOUNG)
    if attempt.token:
        _check_replay(world, attempt, [a for a in before if a.sent_at and not a.unspent])


def _check_replay(world: World, attempt: Attempt, before: list[Attempt]) -> None:
    """A refresh token is presented again only by the rules of section 3.4."""
    if not before:
        return
    lease, row, window = attempt.lease, attempt.row, world.scene.policy.replay_window
    if not attempt.rejected and serves(row, lease.at):
        if len(before) > 1:
            violated(Rule.ONE_REPLAY)
        if world.now - before[0].lease.at > window:
            violated(Rule.IN_ITS_WINDOW)
        return
    if row.cooldown_until > lease.at:
        violated(Rule.NOT_COOLING)


def check_alone(now: int, attempt: Attempt, others: Iterable[Attempt]) -> None:
    """One exchange in the air for a pair and generation."""
    for other in others:
        in_the_air = other.sent_at and other.answer is None and not other.ended_at
        punctual = not other.late and other.sent_at + DEADLINE <= other.lease.until
        if other is not attempt and in_the_air and punctual and now < other.sent_at + DEADLINE:
            violated(Rule.ALONE)


def check_nothing_dropped(world: World, attempt: Attempt) -> None:
    """An answer that arrived is stored, or a newer pair has taken its place."""
    row, before = world.table.row, attempt.row
    if attempt.answer is None or not attempt.answer.is_grant or attempt.inline:
        return
    if row is not None and row.pk == before.pk and row.generation == before.generation:
        violated(Rule.KEPT)
    announced = world.ledger.refreshed[attempt.saved_as]
    if attempt.saved_at and not announced and not attempt.unsure:
        violated(Rule.REFRESH_ANNOUNCED)
    fresh = attempt.issued.refresh if attempt.issued else None
    if row is None or row.pk != before.pk or row.generation != before.generation + 1:
        return
    if row.revoked_at and fresh is not None and not fresh.family.ended and not attempt.saved_at:
        violated(Rule.REVOKED_TOO)


# The end of a login


def check_refusal(world: World, written: Written, attempts: list[Attempt]) -> None:
    """Marked refused only for the issuer's own no to the current token, or for its age."""
    old, new, now = written.old, written.new, written.at
    assert old is not None
    assert new is not None
    since = world.table.suspended_at
    if since and since < written.actor.looked_at:
        violated(Rule.SUSPENDED)
    if new.generation != old.generation:
        violated(Rule.SAME_GENERATION)
    if new.reason == "expired":
        ends = old.refresh_expires_at
        if ends is None or now <= run_out_at(ends, old.refresh_lifetime):
            violated(Rule.RUN_OUT)
        return
    token = world.ledger.token(old)
    if any(a.answer is not None and a.answer.is_refusal and not a.token for a in attempts):
        return
    if token is None or not token.refused:
        violated(Rule.REFUSED, str(new.reason))
    _check_hold(world, written, attempts)


def _check_hold(world: World, written: Written, attempts: list[Attempt]) -> None:
    """A refused replay is held for one more lease if an earlier flight may still come back."""
    held_at, own = world.ledger.held_at, written.actor.attempt
    if own is None and written.at < held_at + LEASE:
        violated(Rule.HELD)
    for attempt in attempts:
        if attempt is own:
            return
        if attempt.may_bring_a_pair and written.at < attempt.lease.until + LEASE:
            violated(Rule.HELD)


def check_epoch(refusal: Refusal, logins: int) -> None:
    if refusal.counted > 1:
        violated(Rule.ENDED_ONCE)
    if refusal.login != logins:
        violated(Rule.LATER_LOGIN)


def serves(row: Pair, now: int) -> bool:
    """Whether the access token in the row is of use to its very end."""
    return bool(row.access_sealed) and (row.expires_at is None or row.expires_at > now)
