"""Carries the flow's steps out on real parts: the store, the issuer, the signals, the clock."""

import logging
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.db import Error as DatabaseFailure

from jwt_outbound import clock, signals
from jwt_outbound.ciphers import ACCESS, REFRESH, sealer
from jwt_outbound.conf import Service, issuer_of
from jwt_outbound.exceptions import JWTOutboundError
from jwt_outbound.faults import describe
from jwt_outbound.forks import gate
from jwt_outbound.issuers.answers import Answer
from jwt_outbound.models import TokenPair
from jwt_outbound.querysets import place
from jwt_outbound.refresh import store
from jwt_outbound.refresh.failures import store_unavailable
from jwt_outbound.refresh.flow import Refresh
from jwt_outbound.refresh.policies import policy_of
from jwt_outbound.refresh.steps import (
    Admit,
    Announce,
    Change,
    Committed,
    Exchange,
    Flow,
    Health,
    Insert,
    Outcome,
    Pause,
    Prepare,
    Prepared,
    Read,
    Record,
    Reply,
    Revoke,
    Save,
    Settle,
    Step,
    undone,
)
from jwt_outbound.refresh.words import Ask, Failure, may_send
from jwt_outbound.rows import Pair, Reading
from jwt_outbound.users import find_user

logger = logging.getLogger("jwt_outbound")

at_the_issuer: ContextVar[tuple[str, Any] | None] = ContextVar("at_the_issuer", default=None)
"""Service and user for whom this context is asking the issuer right now."""


@dataclass(kw_only=True)
class Driver:
    """Runs one flow in the current thread."""

    service: Service
    ask: Ask
    user: Any = None
    """The caller's own instance of the user, if it had one."""
    committed: Callable[[Outcome], None] = lambda outcome: None
    inline: bool = False
    """On the caller's connection, in the caller's transaction."""
    known: Reading | None = None
    """The flow's first reading, where it has just been made."""
    record: Callable[[Record], None] = store.record
    """Writes a line of history, now or later; must not raise."""
    outside: Callable[[], AbstractContextManager[None]] = nullcontext
    """Entered for the waits that have nothing to do with the database; must not raise."""

    def run(self) -> Outcome:
        """The flow's outcome. What goes wrong on the way is one too: nothing is raised."""
        holder = {f"lease_{name}": value for name, value in place().items()}
        refresh = Refresh(
            ask=self.ask,
            policy=policy_of(self.service),
            monotonic=clock.monotonic,
            chance=random.SystemRandom(),
            holder=holder,
        )
        try:
            return self._drive(refresh.run())
        except JWTOutboundError as error:
            failure = Failure(kind=type(error), message=str(error), attributes=_attributes(error))
            return undone(failure)
        except DatabaseFailure as error:
            return undone(store_unavailable(policy_of(self.service), error))

    def _drive(self, flow: Flow[Outcome]) -> Outcome:
        result: Any = None
        while True:
            try:
                step = flow.send(result)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            result = self._carry_out(step)

    def _carry_out(self, step: Step) -> Any:
        match step:
            case Read(ask):
                known, self.known = self.known, None
                return known or store.read(ask, renewable=not self.inline)
            case Insert():
                return store.insert(step)
            case Prepare(pair):
                return self._prepare(pair)
            case Change():
                return store.change(step)
            case Admit():
                return store.admit(self.service.name, step)
            case Exchange():
                with self.outside():
                    return self._exchange(step)
            case Save():
                return store.save(step, renewable=not self.inline)
            case Settle():
                return store.settle(step)
            case Committed(outcome):
                return self.committed(outcome)
            case Health():
                return store.change_health(self.service.name, step)
            case Record():
                return self._record(step)
            case Announce():
                return self._announce(step)
            case Revoke(answer):
                return self._revoke(answer)
            case Pause(length):
                with self.outside():
                    return _pause(length / clock.SECOND)

    def _prepare(self, pair: Pair) -> Prepared:
        issuer_of(self.service)
        own = sealer(pair.service, pair.user_id)
        own.seal("probe", ACCESS)
        return Prepared(refresh=own.open(pair.refresh_sealed, REFRESH), seal=own.seal)

    def _exchange(self, step: Exchange) -> Reply:
        started = clock.monotonic()
        if not may_send(step.start_by, started):
            return Reply(answer=None, started=started, ended=started)
        answer = self._ask_issuer(step)
        return Reply(answer=answer, started=started, ended=clock.monotonic())

    def _ask_issuer(self, step: Exchange) -> Answer:
        issuer, deadline = issuer_of(self.service), self.service.issuer_deadline
        token = at_the_issuer.set((self.service.name, self.ask.user_id))
        try:
            answer: Any
            if step.first:
                answer = issuer.first_pair(self.user or find_user(self.ask.user_id), deadline)
            else:
                answer = issuer.exchange(step.prepared.refresh.reveal(), deadline)
        except Exception as error:  # noqa: BLE001 - it may be a stranger's issuer
            logger.error("The issuer of service %r raised %s.", self.service.name, describe(error))
            return Answer.unavailable(ambiguous=True, code="issuer_raised")
        finally:
            at_the_issuer.reset(token)
        if isinstance(answer, Answer) and (bool(answer.access) or not answer.is_grant):
            return answer.without(step.prepared.refresh)
        return Answer.unavailable(ambiguous=True, code="issuer_returned_nonsense")

    def _record(self, step: Record) -> None:
        self.record(step)
        line = {name: value for name, value in step.line.items() if name != "id"}
        signals.token_pair_event.send_robust(
            sender=TokenPair,
            service=step.pair.service,
            user_id=step.pair.user_id,
            **{"generation": step.pair.generation, "failures": step.pair.failures, **line},
        )

    def _announce(self, step: Announce) -> bool:
        """Whether it is done; a receiver that raises harms nobody, unless the protocol needs it."""
        signal = signals.token_refresh_failed if step.failed else signals.token_pair_refreshed
        if not signal.has_listeners(TokenPair):
            return True
        try:
            user = find_user(self.ask.user_id)
        except DatabaseFailure as error:
            logger.error("A signal about user %s waits: %s.", self.ask.user_id, describe(error))
            return False
        results = signal.send_robust(
            sender=TokenPair,
            user=user,
            service=step.pair.service,
            reason=step.reason,
            code=step.code,
            generation=step.pair.generation,
            event_id=step.event_id,
        )
        return not any(
            isinstance(result, Exception) and getattr(receiver, signals.MUST_SUCCEED, False)
            for receiver, result in results
        )

    def _revoke(self, answer: Answer) -> None:
        issuer = issuer_of(self.service)
        if not issuer.revokes or answer.refresh is None:
            return
        try:
            issuer.revoke(answer.refresh.reveal(), self.service.issuer_deadline)
        except Exception as error:  # noqa: BLE001 - it may be a stranger's issuer
            logger.error(
                "A superseded pair for service %r was not revoked at the issuer: %s.",
                self.service.name,
                describe(error),
            )


def _pause(seconds: float) -> None:
    with gate.open():
        time.sleep(seconds)


def _attributes(error: JWTOutboundError) -> dict[str, Any]:
    return {k: v for k, v in vars(error).items() if k not in ("service", "user_id")}
