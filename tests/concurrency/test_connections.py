"""What flights do with database connections: none is leaked, starved, or in a transaction."""

from __future__ import annotations

from typing import Any

import pytest

from tests.concurrency.databases import Databases, PostgreSQL, eventually
from tests.concurrency.fitting import GO_ON
from tests.concurrency.fleet import PATIENCE, Worker
from tests.concurrency.scene import Scene, User
from tests.issuer_server import StrictIssuer
from tests.settings import ENGINE

pytestmark = pytest.mark.database

FLIGHT_THREADS = 8


def held_call(scene: Scene, worker: Worker, user: User) -> Any:
    """A call that waits for a flight whose request is held inside the issuer."""
    scene.issuer.hold()
    call = scene.start_call(worker, user)
    scene.wait_inside()
    return call


@pytest.mark.engines("postgresql", "mariadb")
def test_a_connection_that_is_cut_while_the_issuer_is_asked(
    scene: Scene, databases: Databases
) -> None:
    user = scene.make_user()
    worker = scene.hire()
    call = held_call(scene, worker, user)
    assert databases.cut() >= 2
    scene.issuer.release()
    assert call.result(PATIENCE)["token"]
    assert scene.row(user)["generation"] == 2
    scene.expire(user)
    assert scene.call(worker, user)["token"]
    assert scene.presented(user) == [1, 2]
    scene.assert_login_goes_on(user, worker)


@pytest.mark.engines("postgresql")
def test_a_database_that_is_away_while_the_pair_is_to_be_saved(
    scene: Scene, databases: Databases
) -> None:
    """It is tried again, answer in memory, until the database is back."""
    user = scene.make_user()
    worker = scene.hire(stop_at="Pause")
    call = held_call(scene, worker, user)
    assert isinstance(databases, PostgreSQL)
    with databases.away():
        scene.issuer.release()
        worker.expect("stopped")
    worker.open(GO_ON)
    assert call.result(PATIENCE)["token"]
    assert scene.row(user)["generation"] == 2
    assert scene.presented(user) == [1]
    scene.assert_login_goes_on(user, worker)


@pytest.mark.engines("postgresql", "mariadb")
def test_a_kept_connection_that_was_cut_between_two_flights(
    scene: Scene, databases: Databases
) -> None:
    users = scene.make_users(2)
    worker = scene.hire()
    assert scene.call(worker, users[0])["token"]
    assert databases.cut() >= 1
    assert scene.call(worker, users[1])["token"]
    assert [scene.presented(user) for user in users] == [[1], [1]]


def test_a_row_locked_by_a_stranger_delays_the_save_and_loses_nothing(
    scene: Scene, databases: Databases
) -> None:
    """Longer than the lock time-out, which is for reads, leases and refusals alone."""
    user = scene.make_user()
    short = {"default": {"OPTIONS": {"timeout": 0.2}}} if ENGINE == "sqlite" else {}
    worker = scene.hire(stop_at="Pause", databases=short)
    call = held_call(scene, worker, user)
    with databases.row_lock("default", scene.row(user)["pk"]):
        scene.issuer.release()
        worker.expect("stopped")
    worker.open(GO_ON)
    assert call.result(PATIENCE)["token"]
    assert scene.row(user)["generation"] == 2
    assert scene.presented(user) == [1]
    scene.assert_login_goes_on(user, worker)


@pytest.mark.parametrize("callers", [{"threads": 3, "tasks": 0}, {"threads": 0, "tasks": 3}])
def test_no_transaction_is_open_while_the_issuer_is_asked(
    scene: Scene, databases: Databases, callers: dict[str, int]
) -> None:
    user = scene.make_user()
    workers = [scene.hire() for _ in range(2)]
    scene.issuer.hold()
    how = {"service": scene.service, "users": [user.id], **callers}
    calls = [worker.start("calls.fetch", **how) for worker in workers]
    for worker in workers:
        worker.expect("joined", 3)
    scene.wait_inside()
    # The other process looks for the end of the lease now and then, which takes no time.
    assert eventually(lambda: databases.open_transactions() == 0)
    assert {databases.open_transactions() for _ in range(20)} <= {0, 1}
    scene.issuer.release()
    assert all(each["token"] for call in calls for each in call.result(PATIENCE))


def test_the_holder_alone_has_no_transaction_at_all(scene: Scene, databases: Databases) -> None:
    user = scene.make_user()
    call = held_call(scene, scene.hire(), user)
    assert {databases.open_transactions() for _ in range(50)} == {0}
    scene.issuer.release()
    assert call.result(PATIENCE)["token"]


def test_flights_keep_few_connections_and_leak_none(scene: Scene, databases: Databases) -> None:
    users = scene.make_users(30)
    worker = scene.hire()
    how = {"service": scene.service, "users": [user.id for user in users]}
    outcomes = worker.do("calls.fetch", **how, threads=6, tasks=4)
    assert all(outcome["token"] for outcome in outcomes)
    assert worker.do("calls.wait_for_flights")
    if ENGINE != "sqlite":  # it leaves files open until the last connection to them is closed
        assert eventually(lambda: 1 <= databases.connections() <= FLIGHT_THREADS)
    assert worker.do("calls.close_flights")
    assert worker.do("calls.threads") == []
    assert eventually(lambda: databases.connections() == 0)


@pytest.mark.engines("postgresql")
def test_callers_inside_transactions_use_up_a_pool_and_starve_nobody(
    scene: Scene, issuer: StrictIssuer
) -> None:
    """A pool of two, and two callers inside atomic() who both wait for a refresh."""
    pytest.importorskip("psycopg_pool")
    users = scene.make_users(2)
    pool = {"pool": {"min_size": 2, "max_size": 2, "timeout": 5}}
    worker = scene.hire(databases={"default": {"OPTIONS": pool}})
    issuer.hold(until=2)
    calls = [
        worker.start(
            "transactions.call_inside",
            service=scene.service,
            user=user.id,
            block="atomic that commits",
        )
        for user in users
    ]
    assert all(call.result(PATIENCE)["outcome"]["token"] for call in calls)
    assert [scene.presented(user) for user in users] == [[1], [1]]
