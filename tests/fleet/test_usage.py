"""Which pairs are in use: learned with one write for each generation, and at nobody's cost."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import connections, transaction

from jwt_outbound import usage
from jwt_outbound.compare_and_swap import Swap
from jwt_outbound.models import TokenPair
from jwt_outbound.querysets import RowManager
from jwt_outbound.rows import IssuerHealth, Pair, Reading
from jwt_outbound.testing import drain
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import STALE_AFTER, Configure
from tests.fleet.locking import LONG, locked
from tests.settings import ENGINE

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

Row = Callable[[], Pair]


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Of each use that was written down: whether the row took it."""
    noted: list[bool] = []
    real = RowManager.swap

    def swap(self: RowManager, swap: Swap, **which: object) -> bool:
        held = real(self, swap, **which)
        if set(swap.changes) <= {"used_generation", "parked", "refresh_at"}:
            noted.append(held)
        return held

    monkeypatch.setattr(RowManager, "swap", swap)
    return noted


def fetch(user: User) -> str:
    return fetch_valid_access_token("billing", user)


def test_many_calls_at_once_are_one_write(
    user: User, stored: dict[str, str], marks: list[bool], row: Row
) -> None:
    barrier = threading.Barrier(8)

    def call() -> set[str]:
        barrier.wait(LONG)
        try:
            return {fetch(user) for _ in range(5)}
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        served = [job.result(LONG) for job in [pool.submit(call) for _ in range(8)]]
    assert drain()
    assert served == [{stored["access"]}] * 8
    assert marks.count(True) == 1
    assert row().used_generation == 1


def test_each_generation_is_written_anew_but_for_one_that_somebody_waited_for(
    user: User, stored: dict[str, str], marks: list[bool], later: Callable[[float], None], row: Row
) -> None:
    fetch(user)
    assert drain()
    later(STALE_AFTER)
    fetch(user)
    assert drain()
    assert (row().generation, row().used_generation) == (2, 1)
    fetch(user)
    assert drain()
    assert (row().used_generation, marks.count(True)) == (2, 2)
    later(600)
    fetch(user)
    assert drain()
    assert (row().generation, row().used_generation, marks.count(True)) == (3, 3, 2)


def test_within_a_transaction_it_waits_for_the_commit(
    user: User, stored: dict[str, str], row: Row, marks: list[bool]
) -> None:
    with transaction.atomic():
        fetch(user)
        assert drain()
        assert marks == []
    assert drain()
    assert row().used_generation == 1


def test_and_after_a_rollback_there_is_none(
    user: User, stored: dict[str, str], row: Row, marks: list[bool]
) -> None:
    with transaction.atomic():
        fetch(user)
        transaction.set_rollback(True)
    assert drain()
    assert (row().used_generation, marks) == (-1, [])


def test_a_pair_that_is_gone_by_then_is_let_be(
    user: User, stored: dict[str, str], row: Row, caplog: pytest.LogCaptureFixture
) -> None:
    pair = row()
    TokenPair.objects.all().delete()
    usage.note(Reading(pair=pair, issuer=IssuerHealth(), now=0, at=0), pair)
    assert drain()
    assert caplog.records == []


def test_nor_is_one_that_was_replaced_meanwhile(
    user: User, stored: dict[str, str], row: Row
) -> None:
    pair = row()
    TokenPair.objects.store(user=user, service="billing", **stored)
    usage.note(Reading(pair=pair, issuer=IssuerHealth(), now=0, at=0), pair)
    assert drain()
    assert row().used_generation == -1


@pytest.mark.skipif(ENGINE == "sqlite", reason="it would wait for the whole file, 20 s here")
def test_a_locked_row_holds_up_nobody_and_the_next_call_notes_it(
    user: User, stored: dict[str, str], row: Row, caplog: pytest.LogCaptureFixture
) -> None:
    with locked([row().pk]):
        assert fetch(user) == stored["access"]
        assert drain()
    assert row().used_generation == -1
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    fetch(user)
    assert drain()
    assert row().used_generation == 1


def test_the_runner_off_or_not_makes_no_difference(
    user: User, stored: dict[str, str], row: Row, configure: Configure
) -> None:
    configure(REFRESH_AHEAD_RUNNER="off")
    fetch(user)
    assert drain()
    assert row().used_generation == 1
