"""Flights: one for each pair and generation, on threads of the library's own."""

import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from django.contrib.auth.models import User

from jwt_outbound.conf import get_service
from jwt_outbound.exceptions import TokenStoreUnavailable
from jwt_outbound.models import TokenPair
from jwt_outbound.refresh import flights as module
from jwt_outbound.refresh.driver import Driver
from jwt_outbound.refresh.flights import Flight, Flights
from jwt_outbound.refresh.steps import Outcome
from jwt_outbound.refresh.words import Ask
from jwt_outbound.rows import Pair
from jwt_outbound.tokens import fetch_valid_access_token
from tests import flight_surroundings
from tests.conftest import EXPIRED_AFTER, STALE_AFTER, Configure
from tests.forking import in_a_fork
from tests.issuer_server import StrictIssuer
from tests.refresh.pairs import a_pair, a_reading

pytestmark = pytest.mark.django_db(transaction=True)

DONE = Outcome(reading=a_reading(a_pair()))
LONG = 20.0
"""Seconds; only for what would hang."""


class Held:
    """Work that says when it has begun, and ends when it is told to."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()

    def __call__(self, flight: Flight) -> Outcome:
        self.begun.set()
        assert self.may_end.wait(LONG)
        return DONE


@pytest.fixture
def flights() -> Iterator[Flights]:
    made = Flights()
    yield made
    assert made.close(LONG)


@pytest.fixture
def held() -> Iterator[Held]:
    work = Held()
    yield work
    work.may_end.set()


def at_once(flight: Flight) -> Outcome:
    return DONE


class TestJoining:
    def test_there_is_one_under_a_key_and_each_has_a_future_of_his_own(
        self, flights: Flights, held: Held
    ) -> None:
        first = flights.start("pair", "billing", held)
        second = flights.start("pair", "billing", at_once)
        assert first is second
        futures = [first.join() for _ in range(3)]
        assert futures[0].cancel()
        held.may_end.set()
        assert [future.result(LONG) for future in futures[1:]] == [DONE, DONE]

    def test_who_comes_after_the_end_has_the_outcome_at_once(self, flights: Flights) -> None:
        flight = flights.start("pair", "billing", at_once)
        assert flight.join().result(LONG) is DONE
        assert flights.drain(LONG)
        assert flight.join().done()
        assert flights.start("pair", "billing", at_once) is not flight

    def test_other_keys_fly_beside_it(self, flights: Flights, held: Held) -> None:
        flights.start("pair", "billing", held)
        assert flights.start("another", "billing", at_once).join().result(LONG) is DONE

    def test_work_that_raises_is_an_outcome_too_and_the_next_one_flies(
        self, flights: Flights, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(flight: Flight) -> Outcome:
            raise ValueError("with a token in it")

        with caplog.at_level(logging.ERROR):
            outcome = flights.start("pair", "billing", fail).join().result(LONG)
            assert flights.drain(LONG)
        assert outcome.failure is not None
        assert outcome.failure.kind is TokenStoreUnavailable
        assert "came to nothing: ValueError at " in caplog.text
        assert "with a token in it" not in caplog.text
        assert flights.start("pair", "billing", at_once).join().result(LONG) is DONE


class TestTheGrace:
    @pytest.mark.parametrize("receivers", ["quick", "slow"])
    def test_once_it_is_committed_waiters_are_woken_by_the_receivers_end_or_after_it(
        self, flights: Flights, held: Held, monkeypatch: pytest.MonkeyPatch, receivers: str
    ) -> None:
        slow = receivers == "slow"
        monkeypatch.setattr(module, "GRACE", 0.01 if slow else LONG)

        def work(flight: Flight) -> Outcome:
            flight.committed(DONE)
            return held(flight) if slow else DONE

        flight = flights.start("pair", "billing", work)
        assert flight.join().result(LONG) is DONE
        assert held.begun.is_set() is slow
        held.may_end.set()


class TestThePool:
    @pytest.fixture(autouse=True)
    def four_threads(self, configure: Configure) -> None:
        configure(FLIGHT_THREADS=4)

    def test_half_of_it_is_one_services_and_the_rest_wait_their_turn(
        self, flights: Flights
    ) -> None:
        works = [Held() for _ in range(4)]
        waiting = [
            flights.start(number, "billing", work).join() for number, work in enumerate(works)
        ]
        assert all(work.begun.wait(LONG) for work in works[:2])
        other = flights.start("other", "crm", at_once)
        assert other.join().result(LONG) is DONE, "a black hole leaves room"
        assert not works[2].begun.is_set()
        works[1].may_end.set()
        assert works[2].begun.wait(LONG)
        for work in works:
            work.may_end.set()
        assert [future.result(LONG) for future in waiting] == [DONE] * 4

    def test_draining_waits_or_says_that_it_was_too_short(
        self, flights: Flights, held: Held
    ) -> None:
        assert flights.drain()
        flights.start("pair", "billing", held)
        assert not flights.drain(0.01)
        assert not flights.close(0.01)
        held.may_end.set()
        assert flights.drain(LONG)

    def test_closed_it_has_no_threads_and_can_begin_again(self, flights: Flights) -> None:
        threads: set[threading.Thread] = set()

        def note(flight: Flight) -> Outcome:
            threads.add(threading.current_thread())
            return DONE

        for used in (1, 2):
            flights.start("pair", "billing", note).join().result(LONG)
            assert flights.close(LONG)
            assert len(threads) == used
            assert not any(thread.is_alive() for thread in threads)
        assert all(thread.name.startswith("jwt_outbound") for thread in threads)

    def test_while_the_interpreter_ends_nothing_is_begun_and_nobody_hangs(
        self, flights: Flights
    ) -> None:
        flights.start("pair", "billing", at_once).join().result(LONG)
        assert flights._executor is not None
        flights._executor.shutdown()
        outcome = flights.start("another", "billing", at_once).join().result(LONG)
        assert outcome.failure is not None
        assert outcome.failure.kind is TokenStoreUnavailable


class TestWhatTravels:
    def test_context_variables_do(self, flights: Flights) -> None:
        variable = contextvars.ContextVar("variable", default="none")
        seen: list[str] = []

        def note(flight: Flight) -> Outcome:
            seen.append(variable.get())
            variable.set("flight's")
            return DONE

        variable.set("caller's")
        flights.start("pair", "billing", note).join().result(LONG)
        assert (seen, variable.get()) == (["caller's"], "caller's")

    def test_and_what_the_project_names_for_its_connections(
        self, flights: Flights, configure: Configure
    ) -> None:
        flight_surroundings.entered.clear()
        configure(FLIGHT_CONTEXT="tests.flight_surroundings.take_along")
        for tenant in ("blue", "red"):
            flight_surroundings.caller.tenant = tenant
            flights.start(tenant, "billing", at_once).join().result(LONG)
        assert flight_surroundings.entered == ["blue", "red"]


@pytest.mark.usefixtures("stored")
class TestRefreshing:
    def launch(self, user: User, pair: Pair | None) -> Flight:
        ask = Ask(
            service="billing",
            user_id=user.pk,
            pk=pair.pk if pair else None,
            generation=pair.generation if pair else -1,
        )
        return module.launch(Driver(service=get_service("billing"), ask=ask))

    def test_a_pairs_generation_has_one_flight(
        self, user: User, row: Callable[[], Pair], issuer: StrictIssuer, later: Any
    ) -> None:
        later(EXPIRED_AFTER)
        issuer.hold()
        flight = self.launch(user, row())
        assert self.launch(user, row()) is flight
        issuer.wait_inside(1)
        issuer.release()
        outcome = flight.join().result(LONG)
        assert outcome.reading.pair is not None
        assert outcome.reading.pair.generation == 2

    def test_without_a_row_there_is_no_key_that_two_tenants_could_not_share(
        self, user: User
    ) -> None:
        TokenPair.objects.all().delete()
        flights: list[Flight] = [self.launch(user, None) for _ in range(2)]
        assert flights[0] is not flights[1]
        futures: list[Future[Outcome]] = [flight.join() for flight in flights]
        assert all(future.result(LONG).failure is not None for future in futures)

    def test_a_forked_child_has_none_of_its_parents(
        self, user: User, issuer: StrictIssuer, later: Any
    ) -> None:
        later(STALE_AFTER)
        issuer.hold()
        fetch_valid_access_token("billing", user)
        issuer.wait_inside(1)
        found = in_a_fork(
            lambda: [len(module.flights._flights), module.flights.drain(0), len(module._forgotten)]
        )
        assert found == [0, True, 1]
        issuer.release()
        assert module.flights.drain(LONG)
        assert TokenPair.objects.get().generation == 2
