"""What happens of itself: at a refusal, at a login, and when a user is deleted."""

import logging
from functools import partial
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in
from django.db import Error, transaction
from django.db.models.signals import post_delete
from django.utils.connection import ConnectionDoesNotExist

from jwt_outbound import alarm, sessions
from jwt_outbound.compare_and_swap import Swap
from jwt_outbound.conf import get_settings
from jwt_outbound.managers import note_change
from jwt_outbound.models import LinkedAccount, SessionEpoch, TokenPair, TokenPairEvent
from jwt_outbound.obtained import once_certain, store_attached
from jwt_outbound.querysets import alias
from jwt_outbound.refresh import logbook
from jwt_outbound.signals import MUST_SUCCEED, token_pair_event, token_refresh_failed

logger = logging.getLogger("jwt_outbound")


def connect() -> None:
    """Called once all apps are loaded; again, it changes nothing."""
    _connect_first()
    token_pair_event.connect(logbook.log)
    token_pair_event.connect(alarm.watch_refusals)
    user_logged_in.connect(begin_login)
    post_delete.connect(note_deletion, sender=TokenPair)
    for model in _user_models():
        post_delete.connect(forget_user, sender=model)


def _connect_first() -> None:
    """Before receivers that apps above ours have connected: callers are woken a second after
    the commit at the latest, and by then, whatever the others do, the sessions must have ended."""
    signal = token_refresh_failed
    signal.disconnect(carry_out_refusal)
    signal.connect(carry_out_refusal)
    with signal.lock:
        signal.receivers.insert(0, signal.receivers.pop())


def carry_out_refusal(
    *, user: Any, service: str, reason: str, generation: int, event_id: UUID, **_: Any
) -> None:
    """Does what the service's ON_REFUSAL says.

    A project that wants something else disconnects it:
    `token_refresh_failed.disconnect(jwt_outbound.receivers.carry_out_refusal)`.
    """
    configured = get_settings().services.get(service)
    if user is None or configured is None or reason == "revoked":
        return
    if configured.on_refusal == "reconnect":
        _mark_for_reconnecting(user, service, generation, event_id)
        return
    sessions.end_sessions_over(
        user_id=user.pk, service=service, generation=generation, event_id=event_id
    )


setattr(carry_out_refusal, MUST_SUCCEED, True)


def _mark_for_reconnecting(user: Any, service: str, generation: int, event_id: UUID) -> None:
    # Only a refused pair has an event: what was stored since is not marked.
    where = {"generation": generation, "event_id": event_id}
    swap = Swap(where=where, changes={"reconnect": True})
    TokenPair.objects.swap(swap, user_id=user.pk, service=service)


def begin_login(*, user: Any, request: Any = None, **_: Any) -> None:
    """Stores the pair that the user brings, and stamps the session."""
    store_attached(user)
    session = getattr(request, "session", None)
    if session is not None:
        sessions.stamp(session)


def note_deletion(*, instance: TokenPair, **_: Any) -> None:
    """No client in this process goes on with its copy of a deleted pair's token."""
    note_change(instance.service, instance.user_id)


def forget_user(*, instance: Any, using: str, **_: Any) -> None:
    """A deleted user's tokens go too; where they have a database of their own, once the deletion
    is certain."""
    once_certain(partial(_forget, instance.pk), using)


def _forget(user_id: Any) -> None:
    """Users can be deleted also while the token tables are missing or away."""
    using = alias()
    try:
        with transaction.atomic(using=using):
            for model in (TokenPairEvent, TokenPair, LinkedAccount):
                model._base_manager.using(using).filter(user_id=user_id).delete()
            SessionEpoch.objects.filter(pk=sessions.key_of(user_id)).delete()
    except (Error, ConnectionDoesNotExist) as error:
        logger.error(
            "The token pairs of the deleted user %s are still in database %r (%s). Delete them "
            "with `manage.py forget_token_pairs --user %s`.",
            user_id,
            using,
            type(error).__name__,
            user_id,
        )


def _user_models() -> list[type[Any]]:
    """The user model and its proxies: a deletion is sent under the name it was asked for by."""
    users = get_user_model()
    return [
        model
        for model in apps.get_models()
        if issubclass(model, users) and model._meta.concrete_model is users
    ]
