"""The session epoch: one number per user that ends all older sessions, whatever their engine.

A session carries the epoch that its user had at login; a session that is behind is over. No stamp
and no row both count as 0, so that installing the app logs nobody out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final
from uuid import UUID

from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.sessions.backends.base import SessionBase
from django.db import Error, connections, transaction
from django.db.models import F
from django.utils.connection import ConnectionDoesNotExist

from jwt_outbound import clock, swaps
from jwt_outbound.conf import get_settings, micro
from jwt_outbound.fields import DatabaseNow
from jwt_outbound.models import SessionEpoch, TokenPair
from jwt_outbound.querysets import alias

logger = logging.getLogger("jwt_outbound")

STAMP: Final = "_jwt_outbound_epoch"
LOG_PAUSE: Final = 60 * clock.SECOND
CACHE_SIZE: Final = 10_000

_cache: dict[tuple[str, str], tuple[int, int]] = {}
"""Alias and user to epoch and when it was read, for `EPOCH_CACHE` alone."""
_logged_at: int | None = None


def owner_of(session: SessionBase) -> str | None:
    """The user whose session this is, as the key of their epoch; None for nobody's."""
    stored = session.get(SESSION_KEY)
    return None if stored is None else key_of(stored)


def key_of(user_id: Any) -> str:
    """A user's primary key as the text that the epoch's row has."""
    return str(get_user_model()._meta.pk.to_python(user_id))


def stamp(session: SessionBase) -> None:
    """Marks a session that begins now with its user's epoch.

    Where that can't be read the session carries None, and takes the epoch over as soon as it can:
    a database that was away for a moment logs nobody out.
    """
    owner = owner_of(session)
    if owner is not None:
        session[STAMP] = _read(owner)


def restamp(session: SessionBase, users: Iterable[Any]) -> None:
    """Marks the session of one of `users` anew: they have just logged in at an issuer.

    A refusal of the pair that theirs replaced may have raised the epoch since the last stamp.
    """
    owner = owner_of(session)
    if owner is not None and owner in {key_of(user) for user in users}:
        epoch = _read(owner)
        if epoch is not None:
            session[STAMP] = epoch


def is_over(session: SessionBase) -> bool:
    """Whether the session is behind its user's epoch. False where that can't be read."""
    owner = owner_of(session)
    stamped = session.get(STAMP, 0)
    if owner is None or (stamped is not None and stamped == _cached(owner)):
        return False
    epoch = _read(owner)
    if epoch is None:
        return False
    if stamped is None or stamped > epoch:
        # Made while the epoch could not be read, or before the database came back from a backup.
        session[STAMP] = epoch
        return False
    return bool(stamped < epoch)


def is_behind_now(session: SessionBase) -> bool:
    """Like `is_over`, and never from memory: a refusal may have raised the epoch just now."""
    owner = owner_of(session)
    if owner is None:
        return False
    _cache.pop((alias(), owner), None)
    return is_over(session)


def end_sessions(user_id: Any) -> None:
    """Ends every session that the user has by now, on every host."""
    owner = key_of(user_id)
    _ensure_row(owner)
    SessionEpoch.objects.filter(pk=owner).update(epoch=F("epoch") + 1)
    _cache.pop((alias(), owner), None)


def end_sessions_over(*, user_id: Any, service: str, generation: int, event_id: UUID) -> bool:
    """Ends the user's sessions because of one refusal; False where it does not count any more.

    It counts once, and only while the refused pair is still the stored one: who has logged in
    since has stored another, and is not logged out by the old refusal.
    """
    owner = key_of(user_id)
    _ensure_row(owner)
    still = swaps.standing(generation)
    refused = TokenPair.objects.matching(still, user_id=user_id, service=service)
    with transaction.atomic(using=alias()):
        # Locks the pair's row too, so that a login either waits for the logout or is seen by it.
        first = refused.exclude(ended_event_id=event_id).update(ended_event_id=event_id)
        if not first:
            return False
        SessionEpoch.objects.filter(pk=owner).update(epoch=F("epoch") + 1)
    _cache.pop((alias(), owner), None)
    return True


def is_being_ended(*, user_id: Any, service: str) -> bool:
    """Whether a refusal is committed whose receivers are still being told."""
    configured = get_settings().services.get(service)
    if configured is None or configured.on_refusal != "logout":
        return False
    return bool(
        TokenPair.objects.filter(
            user_id=user_id,
            service=service,
            refused_at__gt=0,
            announced_at=0,
            lease_until__gt=DatabaseNow(),
        ).exists()
    )


def _ensure_row(owner: str) -> None:
    """Before and outside the transaction that counts: a snapshot would not see another's row."""
    SessionEpoch.objects.bulk_create([SessionEpoch(user_id=owner)], ignore_conflicts=True)


def _read(owner: str) -> int | None:
    """The epoch, in one query; None, and an error log a minute, where it can't be read."""
    using = alias()
    try:
        with _guard(using):
            found = SessionEpoch.objects.filter(pk=owner).values_list("epoch", flat=True).first()
    except (Error, ConnectionDoesNotExist) as error:
        _complain(using, error)
        return None
    epoch = found or 0
    if get_settings().epoch_cache > 0:
        if len(_cache) >= CACHE_SIZE:
            _cache.clear()
        _cache[using, owner] = (epoch, clock.monotonic())
    return epoch


def _cached(owner: str) -> int | None:
    """What this process has read in the last `EPOCH_CACHE` seconds."""
    length = micro(get_settings().epoch_cache)
    epoch, at = _cache.get((alias(), owner), (None, 0))
    return epoch if length > 0 and clock.monotonic() - at < length else None


def _guard(using: str) -> AbstractContextManager[Any]:
    """A savepoint where a failed query would take the caller's transaction with it."""
    connection = connections[using]
    if connection.vendor == "postgresql" and connection.in_atomic_block:
        return transaction.atomic(using=using)
    return nullcontext()


def _complain(using: str, error: Exception) -> None:
    global _logged_at
    now = clock.monotonic()
    if _logged_at is not None and now - _logged_at < LOG_PAUSE:
        return
    _logged_at = now
    logger.error(
        "The session epochs can't be read from database %r (%s), so sessions that a refusal has "
        "ended go on until they can. Run `manage.py migrate`, or bring that database back.",
        using,
        type(error).__name__,
    )
