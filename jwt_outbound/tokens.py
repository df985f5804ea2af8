"""The one door to an access token that may be sent now: whatever client wants one comes here."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError
from django.db.models import Model

from jwt_outbound import clock, refresh_ahead, seen, signals, usage
from jwt_outbound.ciphers import ACCESS, sealer
from jwt_outbound.clock import SECOND
from jwt_outbound.conf import get_service, micro
from jwt_outbound.exceptions import IssuerMisconfigured
from jwt_outbound.faults import discreet
from jwt_outbound.grants import Grant, grant_of
from jwt_outbound.models import IssuerState, TokenPair
from jwt_outbound.querysets import alias
from jwt_outbound.refresh import flights
from jwt_outbound.refresh.decisions import decide
from jwt_outbound.refresh.driver import Driver, at_the_issuer
from jwt_outbound.refresh.failures import barred, in_progress, not_found, store_unavailable
from jwt_outbound.refresh.policies import policy_of
from jwt_outbound.refresh.steps import Outcome
from jwt_outbound.refresh.words import Ask, Crowded, Verdict
from jwt_outbound.rows import IssuerHealth, Reading
from jwt_outbound.secret import Secret
from jwt_outbound.transactions import Situation, situation
from jwt_outbound.users import ensure_active, user_id_of

Waiting = Future[Outcome]


@contextmanager
def _wait_signalled(service: str) -> Iterator[None]:
    began = clock.monotonic()
    try:
        yield
    finally:
        waited = {"service": service, "seconds": (clock.monotonic() - began) / SECOND}
        signals.token_waited_for.send_robust(sender=TokenPair, **waited)


@discreet
def fetch_valid_access_token(
    service: str, user: Any, min_validity: float = 0, rejected: str | None = None
) -> str:
    """An access token of `user` for `service` that is good now; refreshed first where it must be.

    `user`: an instance or a primary key. `min_validity`: seconds that the token must be good for,
    of which at most half of its lifetime counts. `rejected`: the token that the other side has
    just refused; if the same one comes back, the refusal was no expiry. Raises `LoginRequired`
    or `TemporarilyUnavailable` (see `exceptions`), `ServiceNotConfigured`.
    """
    refused = None if rejected is None else Secret(rejected)
    call = Call(service, user, min_validity=min_validity, rejected_token=refused)
    return call.fetch().access.reveal()


@discreet
async def afetch_valid_access_token(
    service: str, user: Any, min_validity: float = 0, rejected: str | None = None
) -> str:
    """As `fetch_valid_access_token`, awaited: the same flights, another way of waiting."""
    refused = None if rejected is None else Secret(rejected)
    call = Call(service, user, min_validity=min_validity, rejected_token=refused)
    return (await call.afetch()).access.reveal()


class Call:
    """One caller's way to a token: read the row, and where need be wait for a flight."""

    def __init__(
        self,
        service: str,
        user: Any,
        *,
        min_validity: float = 0,
        rejected_token: Secret | None = None,
        rejected: int | None = None,
    ) -> None:
        self.service = get_service(service)
        self.policy = policy_of(self.service)
        self.user = user
        self._rejected_token = rejected_token
        self._ask = Ask(
            service=service,
            user_id=user_id_of(user, service),
            min_validity=micro(min_validity),
            rejected=rejected,
        )
        self._give_up_at = clock.monotonic() + self.policy.wait

    @discreet
    def fetch(self) -> Grant:
        """The token, in this thread."""
        step = self._begin()
        while isinstance(step, Future):
            try:
                with _wait_signalled(self.service.name):
                    outcome = step.result(self._left())
            except TimeoutError:
                return self._look_once_more()
            step = self._proceed(outcome)
        return step

    @discreet
    async def afetch(self) -> Grant:
        """The token; only the wait is awaited here.

        All that touches the caller's connection runs where Django's async code runs its queries,
        or it would see neither the caller's transaction nor a `TestCase`'s.
        """
        step = await sync_to_async(self._begin, thread_sensitive=True)()
        while isinstance(step, Future):
            try:
                with _wait_signalled(self.service.name):
                    outcome = await asyncio.wait_for(asyncio.wrap_future(step), self._left())
            except TimeoutError:
                return await sync_to_async(self._look_once_more, thread_sensitive=True)()
            step = await sync_to_async(self._proceed, thread_sensitive=True)(outcome)
        return step

    def _begin(self) -> Grant | Waiting:
        ask = self._ask
        if at_the_issuer.get() == (ask.service, ask.user_id):
            raise IssuerMisconfigured(
                f"The refresh function of service {ask.service!r} calls the very client that it "
                "refreshes. Let it call the issuer by other means.",
                service=ask.service,
                user_id=ask.user_id,
            )
        ensure_active(self.user, ask.user_id, ask.service)
        self._version = seen.version(ask.service, ask.user_id)
        reading = self._read()
        self._note_rejection(reading)
        return self._next(reading)

    def _read(self) -> Reading:
        which = {"user_id": self._ask.user_id, "service": self._ask.service}
        reading: Reading = self._from_database(lambda: TokenPair.objects.read(**which))
        return reading

    def _health(self) -> IssuerHealth:
        name = self.service.name
        health: IssuerHealth = self._from_database(lambda: IssuerState.objects.health(name))
        return health

    def _from_database(self, query: Callable[[], Any]) -> Any:
        """Raises `TokenStoreUnavailable` where the database is away, so that it is a 503."""
        try:
            return query()
        except (OperationalError, InterfaceError) as error:
            raise store_unavailable(self.policy, error).error(self._ask) from error

    def _next(self, reading: Reading) -> Grant | Waiting:
        verdict = self._decide(reading)
        if verdict.failure is not None:
            raise verdict.failure.error(self._ask)
        if not verdict.serve and _is_not_over(reading):
            # In its last seconds, and nobody waits then while its issuer is known to be away. That
            # is not read with every call; what it says against this caller, a flight says.
            known = replace(reading, issuer=self._health())
            if self._decide(known).serve:
                reading, verdict = known, self._decide(known)
        if not verdict.serve:
            return self._fly(reading)
        if verdict.act is not None:
            self._start_ahead(reading)
        return self._grant(reading)

    def _decide(self, reading: Reading) -> Verdict:
        return decide(reading, self._ask, self.policy, reading.time(clock.monotonic()))

    def _start_ahead(self, reading: Reading) -> None:
        refresh_ahead.start(self._driver(reading, ahead=True))

    def _proceed(self, outcome: Outcome) -> Grant | Waiting:
        """What a flight's outcome means for this caller, who may have asked for something else."""
        if outcome.yours:
            return self._proceed(self._driver(outcome.reading, inline=True).run())
        if outcome.reading.pair is not None and self._decide(outcome.reading).serve:
            return self._grant(outcome.reading)
        crowded_out = isinstance(outcome.failure, Crowded) and outcome.failure.ahead
        if outcome.failure is not None and not crowded_out:
            raise outcome.failure.error(self._ask)
        if self._left() <= 0:
            raise in_progress(self.policy).error(self._ask)
        return self._next(outcome.reading)

    def _look_once_more(self) -> Grant:
        """The wait is over, but not for nothing if another's flight has brought the pair."""
        reading = self._read()
        verdict = decide(reading, self._ask, self.policy, reading.now)
        if verdict.serve:
            return self._grant(reading)
        raise (verdict.failure or in_progress(self.policy)).error(self._ask) from None

    def _fly(self, reading: Reading) -> Grant | Waiting:
        driver = self._driver(reading)
        match situation(alias()):
            case Situation.INLINE:
                driver.inline = True
                return self._proceed(driver.run())
            case Situation.BARRED:
                raise barred(self.service.name).error(self._ask)
        return flights.launch(driver).join()

    def _driver(self, reading: Reading, *, ahead: bool = False, inline: bool = False) -> Driver:
        pair = reading.pair
        return Driver(
            service=self.service,
            ask=replace(
                self._ask,
                pk=pair.pk if pair else None,
                generation=pair.generation if pair else -1,
                ahead=ahead,
            ),
            user=self.user if isinstance(self.user, Model) else None,
            inline=inline,
        )

    def _note_rejection(self, reading: Reading) -> None:
        """The refused token is the row's own, or an older one: then the row is past it."""
        pair = reading.pair
        if self._rejected_token is None or pair is None:
            return
        own = sealer(pair.service, pair.user_id).open(pair.access_sealed, ACCESS)
        if own == self._rejected_token:
            self._ask = replace(self._ask, rejected=pair.generation)

    def _grant(self, reading: Reading) -> Grant:
        if reading.pair is None:
            raise not_found(self.policy).error(self._ask)
        grant = grant_of(reading, reading.pair, self.policy.rules.windows, self._version)
        usage.note(reading, reading.pair)
        return grant

    def _left(self) -> float:
        """Seconds of the wait budget."""
        return max(0.0, (self._give_up_at - clock.monotonic()) / SECOND)


def _is_not_over(reading: Reading) -> bool:
    pair = reading.pair
    return pair is not None and (pair.expires_at or 0) > reading.now
