"""The protocol's steps on a database that fails now and then."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, transaction

from jwt_outbound import seen, swaps
from jwt_outbound.compare_and_swap import NEXT
from jwt_outbound.models import IssuerState, TokenPair, TokenPairEvent
from jwt_outbound.refresh import store
from jwt_outbound.refresh.steps import Change, Health, Insert, Record, Save, Settle
from jwt_outbound.refresh.words import Ask
from jwt_outbound.rows import Pair, Reading
from tests.refresh.breaking import failing, in_a_flight

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]

Row = Callable[[], Pair]


@pytest.fixture
def pair(user: User, row: Row) -> Pair:
    TokenPair.objects.store(user=user, service="billing", access="a-token", refresh="b-token")
    return row()


@pytest.fixture
def ask(pair: Pair) -> Ask:
    return Ask(service="billing", user_id=pair.user_id, pk=pair.pk, generation=pair.generation)


def saved(pair: Pair) -> Save:
    return Save(pair, swaps.saved(pair, {"access_sealed": b"new"}))


class TestReading:
    def test_pair_issuer_and_clock_are_read_together(self, ask: Ask, pair: Pair) -> None:
        IssuerState.objects.change("billing", {"failures": NEXT, "proven": True})
        reading = store.read(ask, renewable=False)
        assert reading.pair == pair
        assert (reading.issuer.failures, reading.issuer.proven) == (1, True)

    def test_without_a_key_the_row_is_found_by_user_and_service(self, pair: Pair) -> None:
        by_name = Ask(service="billing", user_id=pair.user_id)
        assert store.read(by_name, renewable=False).pair == pair

    @pytest.mark.parametrize(("failures", "found"), [(1, True), (2, False)])
    def test_a_dead_connection_is_opened_anew_once(
        self, ask: Ask, pair: Pair, failures: int, found: bool
    ) -> None:
        def read() -> Reading | None:
            with failing("jwt_outbound_tokenpair", times=failures):
                try:
                    return store.read(ask, renewable=True)
                except OperationalError:
                    return None

        reading = in_a_flight(read)
        assert (reading is not None and reading.pair == pair) is found

    def test_a_callers_connection_is_not_renewed(self, ask: Ask) -> None:
        with failing(), pytest.raises(OperationalError):
            store.read(ask, renewable=False)


class TestWriting:
    def test_a_change_says_whether_it_held_and_what_it_changed_is_seen(self, pair: Pair) -> None:
        before = seen.version("billing", pair.user_id)
        step = Change(pair, swaps.held(pair, 1, "code"))
        assert [store.change(step), store.change(step)] == [True, False]
        assert seen.version("billing", pair.user_id) != before

    def test_a_change_that_fails_raises(self, pair: Pair) -> None:
        with failing(), pytest.raises(OperationalError):
            store.change(Change(pair, swaps.held(pair, 1, "code")))

    def test_an_empty_row_may_be_there_already(self, user: User) -> None:
        for _ in range(2):
            store.insert(Insert(Ask(service="crm", user_id=user.pk)))
        assert TokenPair.objects.filter(service="crm").count() == 1

    def test_health_and_history_are_not_worth_an_error(
        self, pair: Pair, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING), failing(times=9):
            store.change_health("billing", Health({"failures": NEXT}))
            store.record(Record(pair=pair, line={"kind": "refreshed"}, now=1))
        assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
        assert TokenPairEvent.objects.filter(kind="refreshed").count() == 0


class TestSaving:
    def test_it_holds_once(self, pair: Pair, row: Row) -> None:
        assert [store.save(saved(pair), renewable=False) for _ in range(2)] == [True, False]
        assert row().access_sealed == b"new"

    def test_where_the_database_failed_nothing_is_known_and_nothing_raised(
        self, pair: Pair, row: Row, caplog: pytest.LogCaptureFixture
    ) -> None:
        def save_until_it_holds() -> list[Any]:
            with failing("UPDATE", times=2):
                return [store.save(saved(pair), renewable=True) for _ in range(3)]

        with caplog.at_level(logging.ERROR):
            assert in_a_flight(save_until_it_holds) == [None, None, True]
        assert row().generation == pair.generation + 1
        assert caplog.text.count("is not stored yet (OperationalError at ") == 2
        assert "token" not in caplog.messages[0].replace("tokens", "")

    def test_on_a_callers_connection_too(self, pair: Pair) -> None:
        with failing("UPDATE"):
            results = [store.save(saved(pair), renewable=False) for _ in range(2)]
        assert results == [None, True]

    def test_in_a_callers_transaction_it_could_not_come_true_any_more(self, pair: Pair) -> None:
        with transaction.atomic():
            with failing("UPDATE"), pytest.raises(OperationalError):
                store.save(saved(pair), renewable=False)
            transaction.set_rollback(True)

    @pytest.mark.parametrize("stranger", ["a log filter", "FLIGHT_CONTEXT"])
    def test_what_a_stranger_raises_meanwhile_does_not_let_go_of_the_answer(
        self, pair: Pair, row: Row, stranger: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def strange(*args: Any) -> None:
            raise ZeroDivisionError

        if stranger == "a log filter":
            monkeypatch.setattr(store.logger, "filter", strange)
        else:
            monkeypatch.setattr(store.own, "renew", strange)

        def save_until_it_holds() -> list[Any]:
            with failing("jwt_outbound_tokenpair", times=1):
                return [store.save(saved(pair), renewable=True) for _ in range(2)]

        assert in_a_flight(save_until_it_holds) == [None, True]
        assert row().access_sealed == b"new"

    def test_settling_reads_or_knows_nothing(self, pair: Pair) -> None:
        reading = store.settle(Settle(pair))
        assert reading is not None
        assert reading.pair == pair
        with failing():
            assert store.settle(Settle(pair)) is None
