"""Flights: one for each pair and generation, on threads of the library's own."""

import contextvars
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured

from jwt_outbound.conf import get_service
from jwt_outbound.exceptions import TokenStoreUnavailable
from jwt_outbound.models import TokenPair
from jwt_outbound.refresh import connections as own
from jwt_outbound.refresh import flight as one_flight
from jwt_outbound.refresh import flights as module
from jwt_outbound.refresh import head_starts, turns
from jwt_outbound.refresh.driver import Driver
from jwt_outbound.refresh.flight import Flight
from jwt_outbound.refresh.flights import Flights
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
        monkeypatch.setattr(one_flight, "GRACE", 0.01 if slow else LONG)

        def work(flight: Flight) -> Outcome:
            flight.committed(DONE)
            return held(flight) if slow else DONE

        flight = flights.start("pair", "billing", work)
        assert flight.join().result(LONG) is DONE
        assert held.begun.is_set() is slow
        held.may_end.set()

    def test_who_comes_after_the_commit_waits_no_longer(
        self, flights: Flights, held: Held, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(one_flight, "GRACE", 0.01)

        def work(flight: Flight) -> Outcome:
            flight.committed(DONE)
            return held(flight)

        flight = flights.start("pair", "billing", work)
        assert held.begun.wait(LONG)
        assert flight.join().result(LONG) is DONE
        held.may_end.set()

    def test_where_nobody_waits_it_takes_no_thread(
        self, flights: Flights, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        alarms: list[threading.Timer] = []
        monkeypatch.setattr(threading.Timer, "start", alarms.append)
        over = threading.Event()

        def work(flight: Flight) -> Outcome:
            flight.committed(DONE)
            over.set()
            return DONE

        flights.start("pair", "billing", work)
        assert over.wait(LONG)
        assert alarms == []


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


class TestHeadStart:
    """Of the call that found its pair due, before the refresh that nobody waits for."""

    @pytest.fixture(autouse=True)
    def long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(head_starts, "HEAD_START", LONG)

    def test_ends_once_somebody_waits(self, flights: Flights, held: Held) -> None:
        flight = flights.start("pair", "billing", held, ahead=True)
        held.may_end.set()
        assert not flights.drain(0.05)
        assert not held.begun.is_set()
        assert flights.start("pair", "billing", at_once) is flight
        assert flight.join().result(LONG / 2) is DONE
        assert held.begun.is_set()

    def test_ends_with_the_process(self, flights: Flights, held: Held) -> None:
        flights.start("pair", "billing", held, ahead=True)
        held.may_end.set()
        assert flights.close(LONG / 2)
        assert held.begun.is_set()

    def test_takes_no_thread_from_those_who_wait(self, flights: Flights) -> None:
        held_back = [flights.start(("ahead", n), "billing", at_once, ahead=True) for n in range(8)]
        works = [Held() for _ in range(4)]
        for number, work in enumerate(works):
            flights.start(number, "billing", work)
        assert all(work.begun.wait(LONG / 2) for work in works)
        assert not any(flight.is_over for flight in held_back)
        for work in works:
            work.may_end.set()

    def test_nobody_who_waits_grants_one(self, flights: Flights) -> None:
        assert flights.start("pair", "billing", at_once).join().result(LONG / 2) is DONE

    def test_what_goes_wrong_at_its_end_keeps_no_later_one_on_the_ground(
        self, flights: Flights, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(head_starts, "HEAD_START", 0.01)
        failed = threading.Event()
        real = module.get_settings

        def get_settings() -> Any:
            if threading.current_thread() is threading.main_thread() or failed.is_set():
                return real()
            failed.set()
            raise ImproperlyConfigured("no settings just now")

        monkeypatch.setattr(module, "get_settings", get_settings)
        flights.start("first", "billing", at_once, ahead=True)
        assert failed.wait(LONG)
        wait(set(flights._jobs), LONG)
        second = Held()
        flights.start("second", "billing", second, ahead=True)
        assert second.begun.wait(LONG / 2)
        second.may_end.set()

    def test_of_what_the_end_of_the_interpreter_meets_in_it_the_first_still_flies(
        self, flights: Flights, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In the thread that watches over it, which is waited for; no other can be had any more."""
        monkeypatch.setattr(head_starts, "HEAD_START", 1.0)
        first, second = (flights.start(n, "billing", at_once, ahead=True) for n in (1, 2))
        assert flights._executor is not None
        flights._executor.shutdown(wait=False)
        assert first.join().result(LONG) is DONE
        failure = second.join().result(LONG).failure
        assert failure is not None
        assert "process is ending" in failure.message


class TestTurns:
    """Eight threads, so four for a service, of which three at most refresh ahead."""

    @pytest.fixture
    def ahead(self, flights: Flights) -> Iterator[list[Held]]:
        """Refreshes ahead at an issuer that never answers, as many as may be under way."""
        works = [Held() for _ in range(3)]
        for number, work in enumerate(works):
            flights.start(("ahead", number), "billing", work, ahead=True)
        assert all(work.begun.wait(LONG) for work in works)
        yield works
        for work in works:
            work.may_end.set()

    def test_refreshes_ahead_leave_a_thread_to_those_who_wait(
        self, flights: Flights, ahead: list[Held]
    ) -> None:
        begun = threading.Event()

        def note(flight: Flight) -> Outcome:
            begun.set()
            return DONE

        flights.start("one more", "billing", note, ahead=True)
        assert flights.start("waits", "billing", at_once).join().result(LONG) is DONE
        assert not begun.is_set()
        ahead[0].may_end.set()
        assert begun.wait(LONG)

    def order(self, flights: Flights, held: Held, promote: bool) -> list[str]:
        """Who flies in which order, once the one who waits has held up the others."""
        seen: list[str] = []

        def note(name: str) -> Callable[[Flight], Outcome]:
            def work(flight: Flight) -> Outcome:
                seen.append(name)
                return DONE

            return work

        flights.start("holds", "billing", held)
        for name in ("ahead 1", "ahead 2"):
            flights.start(name, "billing", note(name), ahead=True)
        if promote:
            assert flights.start("ahead 2", "billing", at_once).ahead is False
        flights.start("waits", "billing", note("waits"))
        assert seen == []
        held.may_end.set()
        assert flights.drain(LONG)
        return seen

    @pytest.mark.parametrize(
        ("promote", "expected"),
        [(False, ["waits", "ahead 1", "ahead 2"]), (True, ["ahead 2", "waits", "ahead 1"])],
    )
    def test_those_who_wait_overtake_and_whoever_joins_a_refresh_ahead_takes_it_along(
        self,
        flights: Flights,
        held: Held,
        configure: Configure,
        promote: bool,
        expected: list[str],
    ) -> None:
        configure(FLIGHT_THREADS=2)
        assert self.order(flights, held, promote) == expected

    def test_a_service_may_have_a_lower_limit_of_its_own(
        self, flights: Flights, held: Held, configure: Configure
    ) -> None:
        configure(EXCHANGES_AT_ONCE=1)
        flights.start("holds", "billing", held)
        second = flights.start("waits", "billing", at_once)
        assert flights.start("another service", "crm", at_once).join().result(LONG) is DONE
        assert not second.is_over
        held.may_end.set()
        assert second.join().result(LONG) is DONE

    def test_only_so_many_wait_to_refresh_ahead(
        self, flights: Flights, ahead: list[Held], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(turns, "MOST_AHEAD", 2)
        kept = [flights.start(n, "billing", at_once, ahead=True) for n in ("a", "b")]
        dropped = flights.start("c", "billing", at_once, ahead=True)
        failure = dropped.join().result(LONG).failure
        assert failure is not None
        assert failure.kind is TokenStoreUnavailable
        assert not any(flight.is_over for flight in kept)
        assert flights.start("c", "crm", at_once, ahead=True).join().result(LONG) is DONE
        assert flights.start("c", "billing", at_once).join().result(LONG) is DONE
        for work in ahead:
            work.may_end.set()
        assert [flight.join().result(LONG) for flight in kept] == [DONE, DONE]

    def test_two_black_holes_leave_their_turn_to_a_third_service_as_soon_as_one_ends(
        self, flights: Flights
    ) -> None:
        works = [Held() for _ in range(10)]
        for number, work in enumerate(works):
            flights.start(number, "billing" if number % 2 else "crm", work)
        third = flights.start("third", "mail", at_once)
        assert all(work.begun.wait(LONG) for work in works[:8])
        assert not third.is_over
        works[0].may_end.set()
        assert third.join().result(LONG) is DONE
        for work in works:
            work.may_end.set()

    def test_a_full_pool_is_left_to_those_who_wait_first(self, flights: Flights) -> None:
        works = [Held() for _ in range(8)]
        seen: list[str] = []
        for number, work in enumerate(works):
            flights.start(number, "billing" if number % 2 else "crm", work)
        assert all(work.begun.wait(LONG) for work in works)
        for name, ahead in (("mail", True), ("files", False)):
            flights.start(
                name, name, lambda flight: seen.append(flight.service) or DONE, ahead=ahead
            )
        works[0].may_end.set()
        assert flights.start("files", "files", at_once).join().result(LONG) is DONE
        for work in works:
            work.may_end.set()
        assert flights.drain(LONG)
        assert seen == ["files", "mail"]

    def test_what_only_waits_does_not_prolong_the_stop(
        self, flights: Flights, ahead: list[Held]
    ) -> None:
        waiting = flights.start("waits its turn", "billing", at_once, ahead=True)
        assert not flights.close(0.01)
        failure = waiting.join().result(LONG).failure
        assert failure is not None
        assert failure.kind is TokenStoreUnavailable
        assert "process is ending" in failure.message

    def test_nor_does_it_once_the_interpreter_ends(
        self, flights: Flights, ahead: list[Held]
    ) -> None:
        waiting = flights.start("waits its turn", "billing", at_once, ahead=True)
        later = flights.start("its head start ends later", "crm", at_once, ahead=True)
        while not later.is_over:
            time.sleep(0.01)
        assert flights._executor is not None
        flights._executor.shutdown(wait=False)
        ahead[0].may_end.set()
        assert waiting.join().result(LONG).failure is not None


class TestNoMoreThreads:
    """At the interpreter's end, on Python 3.12 and later, no thread can be started."""

    @pytest.fixture(autouse=True)
    def none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def start(self: threading.Timer) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

        monkeypatch.setattr(threading.Timer, "start", start)

    def test_a_flight_goes_on_after_its_commit(self, flights: Flights) -> None:
        after = threading.Event()

        def work(flight: Flight) -> Outcome:
            flight.committed(DONE)
            after.set()
            return DONE

        assert flights.start("pair", "billing", work).join().result(LONG) is DONE
        assert after.wait(LONG)

    def test_and_its_connection_is_given_back(
        self, flights: Flights, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(own, "_in_a_test_run", lambda: False)
        assert flights.start("pair", "billing", at_once).join().result(LONG) is DONE
        own.close_idle()


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
