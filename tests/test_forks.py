"""A fork beside the library's threads: it waits for a step to end, and for no mere wait (P7)."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from jwt_outbound import forks
from jwt_outbound.forks import Gate, gate
from jwt_outbound.models import TokenPair
from jwt_outbound.refresh.connections import own_connection
from jwt_outbound.refresh.flights import flights
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import STALE_AFTER
from tests.forking import in_a_fork
from tests.issuer_server import StrictIssuer

LONG = 20.0
"""Seconds; only for what would hang."""


class Stay:
    """What a thread does until it is told to go on."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.may_end.wait(LONG)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forks that do not wait."""
    monkeypatch.setattr(forks, "PATIENCE", 0.0)


def until(true: Callable[[], bool]) -> None:
    """For what nobody announces."""
    pause, tries = threading.Event(), int(LONG / 0.001)
    assert any(true() or pause.wait(0.001) for _ in range(tries))


def until_a_fork_waits(which: Gate = gate) -> None:
    until(lambda: which.is_awaited)


def in_the_gate(which: Gate, stay: Stay) -> None:
    with which.shut():
        stay()


def at_rest(which: Gate, stay: Stay) -> None:
    with which.shut(), which.open():
        stay()


def fork(which: Gate) -> None:
    """As far as the gate is concerned."""
    which._before()
    which._after()


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_a_write_ends_before_the_fork_and_the_child_can_write(pool: ThreadPoolExecutor) -> None:
    """SQLite would tell it for ever that the database is locked."""
    writing = threading.Event()

    def write() -> None:
        with own_connection("default"), transaction.atomic():
            User.objects.create(username="by the parent's thread")
            writing.set()
            until_a_fork_waits()

    def write_too() -> int:
        with own_connection("default"):
            User.objects.create(username="by the child")
            return User.objects.count()

    job = pool.submit(write)
    assert writing.wait(LONG)
    assert in_a_fork(write_too) == 2
    job.result(LONG)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("stored")
def test_a_flight_that_waits_for_its_issuer_is_no_obstacle(
    user: User, issuer: StrictIssuer, later: Callable[[float], Any]
) -> None:
    later(STALE_AFTER)
    issuer.hold()
    fetch_valid_access_token("billing", user)
    issuer.wait_inside(1)
    until(lambda: gate.is_clear)  # a mark of use may be written at the same time
    issuer.release()
    assert flights.drain(LONG)
    assert TokenPair.objects.get().generation == 2  # and so it was not the deadline


class TestTheGate:
    @pytest.fixture
    def one(self) -> Gate:
        return Gate()

    def test_a_fork_waits_for_whoever_is_inside(self, one: Gate, pool: ThreadPoolExecutor) -> None:
        stay = Stay()
        job = pool.submit(in_the_gate, one, stay)
        assert stay.begun.wait(LONG)
        forked = pool.submit(fork, one)
        until_a_fork_waits(one)
        assert not one.is_clear
        assert not forked.done()
        stay.may_end.set()
        forked.result(LONG)
        job.result(LONG)
        assert not one.is_awaited

    def test_and_for_nobody_who_is_at_rest(
        self, one: Gate, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(forks, "PATIENCE", LONG)
        stay = Stay()
        pool.submit(at_rest, one, stay)
        assert stay.begun.wait(LONG)
        pool.submit(fork, one).result(LONG / 2)
        stay.may_end.set()

    def test_not_for_ever(self, one: Gate, pool: ThreadPoolExecutor, impatient: None) -> None:
        stay = Stay()
        pool.submit(in_the_gate, one, stay)
        assert stay.begun.wait(LONG)
        pool.submit(fork, one).result(LONG)
        stay.may_end.set()

    def test_a_thread_inside_may_fork_itself(self, one: Gate) -> None:
        with one.shut():
            with one.shut():
                fork(one)
            assert one._inside == {threading.get_ident()}
        assert one._inside == set()

    def test_who_comes_while_a_fork_waits_lets_it_go_first(
        self, one: Gate, pool: ThreadPoolExecutor
    ) -> None:
        first, second = Stay(), Stay()
        pool.submit(in_the_gate, one, first)
        assert first.begun.wait(LONG)
        forked = pool.submit(fork, one)
        until_a_fork_waits(one)
        pool.submit(in_the_gate, one, second)
        at_the_gate = one._changed._waiters  # type: ignore[attr-defined]
        until(lambda: second.begun.is_set() or len(at_the_gate) == 2)
        assert not second.begun.is_set()
        first.may_end.set()
        forked.result(LONG)
        assert second.begun.wait(LONG)
        second.may_end.set()

    def test_but_not_who_comes_back_with_an_answer(
        self, one: Gate, pool: ThreadPoolExecutor
    ) -> None:
        inside, waiting = Stay(), Stay()
        pool.submit(in_the_gate, one, inside)
        back = pool.submit(at_rest, one, waiting)
        assert inside.begun.wait(LONG)
        assert waiting.begun.wait(LONG)
        forked = pool.submit(fork, one)
        until_a_fork_waits(one)
        waiting.may_end.set()
        back.result(LONG)
        assert not forked.done()
        inside.may_end.set()
        forked.result(LONG)


def test_the_child_begins_with_nobody_inside_and_may_come_in(pool: ThreadPoolExecutor) -> None:
    stay = Stay()
    pool.submit(at_rest, gate, stay)
    assert stay.begun.wait(LONG)

    def come_in() -> list[bool]:
        with gate.shut():
            return [gate.is_clear, gate.is_awaited]

    assert in_a_fork(come_in) == [True, False]
    stay.may_end.set()


def test_a_flight_that_forks_is_inside_in_the_child_too() -> None:
    with gate.shut():
        assert in_a_fork(lambda: sorted(gate._inside)) == [threading.get_ident()]
        assert gate._inside == {threading.get_ident()}
