"""The tables: pairs, their history, and what all hosts share about users and issuers.

No table has a constraint to the user table: the two may live in different databases.
"""

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from jwt_outbound.managers import TokenPairEventManager, TokenPairManager
from jwt_outbound.querysets import AliasedManager, IssuerStateQuerySet


def _user() -> Any:
    return models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="+",
        verbose_name=_("user"),
    )


def _time(text: Any) -> Any:
    """Microseconds since 1970 UTC by the database's clock; 0: not."""
    return models.BigIntegerField(text, default=0, editable=False)


def _perhaps(text: Any, **options: Any) -> Any:
    return models.BigIntegerField(text, null=True, editable=False, **options)


class TokenPair(models.Model):
    """One user's access and refresh token for one service, sealed, with all that protects it.

    The meaning of the protocol's columns stands with `rows.Pair`, which mirrors them.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = _user()
    service = models.CharField(_("service"), max_length=100)
    generation = models.BigIntegerField(_("generation"), default=0, editable=False)
    access_sealed = models.BinaryField(default=b"", editable=False)
    refresh_sealed = models.BinaryField(default=b"", editable=False)

    expires_at = _perhaps(_("expires at"))
    lifetime = _perhaps(_("lifetime"))
    # NULL: not due for anything. Indexed below.
    refresh_at = _perhaps(_("refresh at"))
    refresh_expires_at = _perhaps(_("refresh token expires at"))
    refresh_lifetime = _perhaps(_("refresh token's lifetime"))
    learned_lifetime = _perhaps(_("learned lifetime"))
    skew = _perhaps(_("issuer's clock less ours"))
    # What the access token says of itself, for staff to search by.
    sub = models.CharField(_("subject"), max_length=191, default="", db_index=True, editable=False)
    jti = models.CharField(_("token id"), max_length=191, default="", db_index=True, editable=False)
    obtained_at = _time(_("obtained at"))
    young_until = _time(_("young until"))
    hold_until = _time(_("held until"))
    holds = models.PositiveIntegerField(_("holds"), default=0, editable=False)
    used_generation = models.BigIntegerField(_("last used generation"), default=-1, editable=False)
    parked = models.BooleanField(_("left alone, as unused"), default=False, editable=False)
    # Until then one worker of the fleet has it in hand. Only spares work: the lease decides.
    claimed_until = _time(_("claimed until"))

    # No lease column is indexed: that would end PostgreSQL's HOT updates.
    lease_id = models.BigIntegerField(_("lease"), default=0, editable=False)
    lease_until = _time(_("leased until"))
    lease_host = models.CharField(_("lease holder"), max_length=100, default="", editable=False)
    lease_pid = models.BigIntegerField(_("lease holder's process"), default=0, editable=False)

    presented_generation = models.BigIntegerField(default=-1, editable=False)
    presented_at = _time(_("presented at"))
    presentations = models.PositiveIntegerField(_("presentations"), default=0, editable=False)
    unended = models.BooleanField(default=False, editable=False)

    cooldown_until = _time(_("cooling down until"))
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)

    pending_until = _time(_("refusal pending until"))
    refused_at = _time(_("refused at"))
    reason = models.CharField(_("reason"), max_length=20, default="", editable=False)
    code = models.CharField(_("issuer's code"), max_length=100, default="", editable=False)
    event_id = models.UUIDField(null=True, editable=False)
    # The refusal that has ended the user's sessions: each does so once.
    ended_event_id = models.UUIDField(null=True, editable=False)
    announced_at = _time(_("announced at"))
    revoked_at = _time(_("revoked at"))
    outcome = models.CharField(_("last outcome"), max_length=20, default="", editable=False)
    reconnect = models.BooleanField(_("to be reconnected"), default=False, editable=False)

    created = models.DateTimeField(_("created"), auto_now_add=True, db_index=True)

    events: "models.Manager[TokenPairEvent]"
    objects: ClassVar[TokenPairManager] = TokenPairManager()

    class Meta:
        verbose_name = _("token pair")
        verbose_name_plural = _("token pairs")
        permissions: ClassVar = [
            ("refresh_now_tokenpair", _("Can refresh token pairs at once")),
            ("revoke_tokenpair", _("Can revoke token pairs at the issuer")),
            ("end_sessions_tokenpair", _("Can end the sessions of token pairs' users")),
            ("clear_cool_down_tokenpair", _("Can clear the cool-downs of token pairs")),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "service"], name="jwt_outbound_one_pair")
        ]
        # Not partial: MariaDB has none. By service first: whoever looks for what is due at one
        # does not have to pass over what waits for another, whose issuer may be down.
        indexes: ClassVar = [
            models.Index(fields=["service", "refresh_at"], name="jwt_outbound_due")
        ]

    def __str__(self) -> str:
        return f"{self.service}, user {self.user_id}, generation {self.generation}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Only for a new row: a pair is changed by `store()`, `revoke()` and refreshes alone."""
        if not self._state.adding:
            raise TypeError(
                "A token pair can't be saved: that would put back what a refresh has replaced "
                "meanwhile. Use TokenPair.objects.store() or revoke()."
            )
        super().save(*args, **kwargs)


class TokenPairEvent(models.Model):
    """One line of a pair's history: what, when, why, how long. Never a token."""

    class Kind(models.TextChoices):
        """What happened."""

        STORED = "stored", _("stored")
        REFRESHED = "refreshed", _("refreshed")
        SUPERSEDED = "superseded", _("refreshed, but a newer pair was there")
        UNSENT = "unsent", _("not sent")
        UNAVAILABLE = "unavailable", _("issuer unavailable")
        MISCONFIGURED = "misconfigured", _("misconfigured")
        PENDING = "pending", _("refusal pending")
        REFUSED = "refused", _("refused")
        REVOKED = "revoked", _("revoked")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # No constraint: a flight may write its line just after the pair was deleted.
    pair = models.ForeignKey(
        TokenPair, on_delete=models.CASCADE, db_constraint=False, related_name="events"
    )
    user = _user()
    service = models.CharField(_("service"), max_length=100)
    generation = models.BigIntegerField(_("generation"))
    at = models.DateTimeField(_("at"), db_index=True)
    kind = models.CharField(_("what"), max_length=20, choices=Kind)
    reason = models.CharField(_("why"), max_length=20, default="")
    code = models.CharField(_("issuer's code"), max_length=100, default="")
    status = models.PositiveIntegerField(_("HTTP status"), null=True)
    ambiguous = models.BooleanField(_("ambiguous"), default=False)
    replay = models.BooleanField(_("replay"), default=False)
    takeover = models.BooleanField(_("lease taken over"), default=False)
    skew = models.BigIntegerField(_("issuer's clock less ours"), null=True)
    duration_ms = models.PositiveIntegerField(_("duration in ms"), null=True)
    host = models.CharField(_("host"), max_length=100, default="")
    pid = models.BigIntegerField(_("process"), default=0)

    objects = TokenPairEventManager()

    class Meta:
        verbose_name = _("token pair event")
        verbose_name_plural = _("token pair events")
        ordering: ClassVar = ["-at"]
        indexes: ClassVar = [
            models.Index(fields=["service", "kind", "at"], name="jwt_outbound_by_kind")
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.service}: {self.kind}"


class SessionEpoch(models.Model):
    """How often a user's sessions have been ended; a session behind it is over."""

    user_id = models.CharField(_("user"), primary_key=True, max_length=191)
    epoch = models.BigIntegerField(_("epoch"), default=0)

    objects: ClassVar[Any] = AliasedManager()

    class Meta:
        verbose_name = _("session epoch")
        verbose_name_plural = _("session epochs")

    def __str__(self) -> str:
        return f"user {self.user_id}: {self.epoch}"


class IssuerState(models.Model):
    """What all hosts know of one service's issuer; `rows.IssuerHealth` mirrors it."""

    service = models.CharField(_("service"), primary_key=True, max_length=100)
    cooling_until = _time(_("cooling down until"))
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    recovered_at = _time(_("answered again at"))
    next_exchange_at = _time(_("next exchange at"))
    proven = models.BooleanField(_("has refreshed a pair"), default=False)
    suspended = models.BooleanField(_("logouts suspended"), default=False)
    alarmed_at = _time(_("last alarm at"))

    objects: ClassVar[Any] = AliasedManager.from_queryset(IssuerStateQuerySet)()

    class Meta:
        verbose_name = _("issuer")
        verbose_name_plural = _("issuers")
        permissions: ClassVar = [
            ("suspend_logouts_issuerstate", _("Can suspend the logouts of a service")),
        ]

    def __str__(self) -> str:
        return self.service


class LinkedAccount(models.Model):
    """Who at the issuer is who here: `TokenObtainBackend` goes by this, never by a name."""

    service = models.CharField(_("service"), max_length=100)
    subject = models.CharField(_("issuer's user id"), max_length=191)
    user = _user()

    objects: ClassVar[Any] = AliasedManager()

    class Meta:
        verbose_name = _("linked account")
        verbose_name_plural = _("linked accounts")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["service", "subject"], name="jwt_outbound_one_link")
        ]

    def __str__(self) -> str:
        return f"{self.service}: {self.subject}"
