"""The verbs on token pairs: `store`, `obtain`, `revoke`."""

from __future__ import annotations

import logging
import random
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from django.db import IntegrityError, connections, transaction
from django.views.decorators.debug import sensitive_variables

from jwt_outbound import seen, swaps
from jwt_outbound.ciphers import ACCESS, REFRESH, sealer
from jwt_outbound.compare_and_swap import Swap
from jwt_outbound.conf import Service, get_service, issuer_of, micro
from jwt_outbound.exceptions import IssuerUnavailable, TokenPairUnreadable
from jwt_outbound.faults import describe, discreet
from jwt_outbound.querysets import (
    AliasedManager,
    RowManager,
    TokenPairEventQuerySet,
    TokenPairQuerySet,
    alias,
    database_now,
)
from jwt_outbound.rows import Pair
from jwt_outbound.terms import Rules, Terms, of_issued, of_stored
from jwt_outbound.transactions import only_a_test_case
from jwt_outbound.users import user_id_of

if TYPE_CHECKING:
    from jwt_outbound.issuers import Answer
    from jwt_outbound.models import TokenPair

logger = logging.getLogger("jwt_outbound")

LONGEST_TOKEN: Final = 64 * 1024


class TokenPairManager(RowManager.from_queryset(TokenPairQuerySet)):  # type: ignore[misc]
    """`TokenPair.objects`. Everything here runs in the caller's own transaction."""

    @discreet
    def store(
        self,
        *,
        user: Any,
        service: str,
        access: str = "",
        refresh: str = "",
        expires_in: float | None = None,
    ) -> TokenPair:
        """Stores a pair that the application has got hold of, in place of any older one.

        `expires_in`: seconds that the access token is still good for, where it does not say so
        itself. Ends every mark, lease and cool-down of the older pair. Raises ValueError for
        tokens that are no visible ASCII text or longer than 64 KiB, `ServiceNotConfigured`.
        """
        configured = get_service(service)
        user_id = user_id_of(user, service)
        _ensure_sendable(access, "access")
        _ensure_sendable(refresh, "refresh")
        if not access and not refresh:
            raise ValueError("Both tokens are empty: there is nothing to store.")
        now = database_now()
        terms = of_stored(access, refresh, expires_in, now, rules_of(configured))
        return self._put(configured, user_id, access, refresh, terms, now)

    @discreet
    def store_answer(
        self, *, user: Any, service: str, answer: Answer, sent_at: int | None = None
    ) -> TokenPair:
        """Stores the pair that an issuer has just granted.

        `sent_at`: the database's time, in microseconds, at which the issuer was asked; the
        tokens' lifetimes count from then.
        """
        configured = get_service(service)
        now = database_now()
        access = answer.access.reveal()
        refresh = answer.refresh.reveal() if answer.refresh else ""
        terms = of_issued(
            access,
            refresh,
            sent_at=now if sent_at is None else sent_at,
            rules=rules_of(configured),
            **answer.terms(),
        )
        return self._put(configured, user_id_of(user, service), access, refresh, terms, now)

    @discreet
    def obtain(self, *, user: Any, service: str, username: str, password: str) -> TokenPair:
        """Logs in at the issuer with the user's name and password there, and stores the pair.

        Raises `CredentialsRefused`, `IssuerUnavailable` or `IssuerMisconfigured`; then nothing is
        stored. The password is passed on once and kept nowhere.
        """
        configured = get_service(service)
        user_id = user_id_of(user, service)
        sent_at = database_now()
        answer = ask_for_pair(configured, username, password)
        answer.ensure_granted(service=service, user_id=user_id)
        return self.store_answer(user=user_id, service=service, answer=answer, sent_at=sent_at)

    @discreet
    def revoke(self, *, user: Any, service: str) -> bool:
        """Ends the pair here and revokes its refresh token at the issuer (RFC 7009).

        False if there was none. Our side ends first, and in any case: if the issuer can't be
        told, its `TemporarilyUnavailable` is raised, and the pair is gone here all the same.
        Inside a transaction the issuer is told when that commits; a failure is then logged.
        """
        configured = get_service(service)
        pair = self._end(user_id_of(user, service), service)
        if pair is None:
            return False
        tell = partial(self._tell_issuer, configured, pair)
        if only_a_test_case(alias()) or not connections[alias()].in_atomic_block:
            tell()
        else:
            transaction.on_commit(tell, using=alias(), robust=True)
        return True

    def _end(self, user_id: Any, service: str) -> Pair | None:
        """The pair as it was when it ended; a refresh that comes between is met by a new try."""
        while True:
            reading = self.read(user_id=user_id, service=service)
            pair = reading.pair
            if pair is None or pair.revoked_at:
                return None
            if self.swap(swaps.revoked(pair), pk=pair.pk):
                note_change(service, user_id)
                self._events().record(pair, reading.now, kind="revoked", reason="revoked")
                return pair  # type: ignore[no-any-return]

    @sensitive_variables()
    def _tell_issuer(self, service: Service, pair: Pair) -> None:
        try:
            refresh = sealer(pair.service, pair.user_id).open(pair.refresh_sealed, REFRESH)
        except TokenPairUnreadable as error:
            logger.error("%s It is ended here, but can't be revoked at the issuer.", error)
            return
        issuer = issuer_of(service)
        if refresh and issuer.revokes:
            answer = issuer.revoke(refresh.reveal(), deadline=service.issuer_deadline)
            if not answer.is_refusal:
                answer.ensure_granted(service=pair.service, user_id=pair.user_id)

    @sensitive_variables()
    def _put(
        self, service: Service, user_id: Any, access: str, refresh: str, terms: Terms, now: int
    ) -> TokenPair:
        seal = sealer(service.name, user_id).seal
        columns = {
            "access_sealed": seal(access, ACCESS),
            "refresh_sealed": seal(refresh, REFRESH),
            **terms.columns(),
        }
        if not refresh and not issuer_of(service).makes_first_pair:
            columns["refresh_at"] = None
        pair = self._upsert(user_id, service.name, swaps.stored(columns))
        note_change(service.name, user_id)
        self._events().record(self.read(pk=pair.pk).pair, now, kind="stored")
        anew = seen.logged_in_anew.get()
        if anew is not None:
            anew.add(user_id)
        return pair

    def _upsert(self, user_id: Any, service: str, swap: Swap) -> TokenPair:
        """One UPDATE, which counts the generation itself; an INSERT first where no row is.

        The UPDATE comes first: it sees also what an old snapshot of the caller's does not.
        """
        which = {"user_id": user_id, "service": service}
        while not self.swap(swap, **which):
            self.insert_empty(**which)
        return self.get(**which)  # type: ignore[no-any-return]

    def insert_empty(self, user_id: Any, service: str) -> Any:
        """A row of generation 0 without tokens; None if somebody else was quicker."""
        try:
            with transaction.atomic(using=alias()):
                return self.create(user_id=user_id, service=service).pk
        except IntegrityError:
            return None

    def _events(self) -> Any:
        return self.model._meta.get_field("events").related_model.objects


class TokenPairEventManager(AliasedManager.from_queryset(TokenPairEventQuerySet)):  # type: ignore[misc]
    """`TokenPairEvent.objects`: the history."""


def note_change(service: str, user_id: Any) -> None:
    """That pair was stored, ended or deleted: now for this transaction, and once more when the
    others can see it."""
    using = alias()
    open_ended = connections[using].in_atomic_block and not only_a_test_case(using)
    seen.change(service, user_id, certain=not open_ended)
    transaction.on_commit(partial(seen.change, service, user_id), using=using)


@sensitive_variables()
def ask_for_pair(service: Service, username: str, password: str) -> Answer:
    """The issuer's answer to a login. Raises `IssuerUnavailable` where it only raised something."""
    try:
        return issuer_of(service).obtain(
            username=username, password=password, deadline=service.issuer_deadline
        )
    except Exception as error:  # noqa: BLE001 - its message may hold the password
        logger.error("The issuer of service %r raised %s.", service.name, describe(error))
    raise IssuerUnavailable(
        f"The issuer of service {service.name!r} failed while somebody logged in there.",
        service=service.name,
    )


def rules_of(service: Service) -> Rules:
    """What settings and issuer profile say of lifetimes; with a fresh jitter."""
    profile = issuer_of(service).profile
    default = service.default_lifetime or profile.default_lifetime
    return Rules(
        windows=service.windows,
        ahead=not profile.old_access_dies,
        default_lifetime=None if default is None else micro(default),
        jitter=random.random(),  # noqa: S311 - it spreads load, nothing is secret
    )


def _ensure_sendable(token: object, kind: str) -> None:
    """Visible ASCII only: a line break would write its own header (RFC 9110 5.5)."""
    if not isinstance(token, str):
        raise ValueError(f"The {kind} token must be text, not {type(token).__name__}.")
    if len(token) > LONGEST_TOKEN:
        raise ValueError(f"The {kind} token is longer than 64 KiB.")
    if not all("\x21" <= character <= "\x7e" for character in token):
        raise ValueError(f"The {kind} token has a character that is no visible ASCII.")
