"""P2: a caller, a loop or a process that leaves while it waits ends the waiting, not the flight."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from tests.concurrency.fleet import PATIENCE, Worker
from tests.concurrency.scene import Scene, User
from tests.settings import ENGINE

pytestmark = pytest.mark.database


def start(scene: Scene, worker: Worker, job: str, user: User, **how: Any) -> Future[Any]:
    """Begins a job whose call is held inside the issuer by now."""
    scene.issuer.hold()
    started = worker.start(job, service=scene.service, user=user.id, **how)
    scene.wait_inside()
    return started


def assert_stored(scene: Scene, worker: Worker, user: User) -> None:
    """The flight has ended by itself, and the next caller needs no other."""
    assert worker.do("calls.wait_for_flights")
    assert scene.row(user)["generation"] == 2
    assert scene.call(worker, user)["token"]
    assert scene.presented(user) == [1]
    scene.assert_login_goes_on(user, worker)


def test_a_cancelled_task(scene: Scene) -> None:
    user, worker = scene.make_user(), scene.hire()
    waiting = start(scene, worker, "loops.cancelled_task", user)
    worker.open("cancel")
    assert waiting.result(PATIENCE) == "CancelledError"
    scene.issuer.release()
    assert_stored(scene, worker, user)


def test_one_cancelled_task_does_not_cancel_the_others(scene: Scene) -> None:
    user, worker = scene.make_user(), scene.hire()
    waiting = start(scene, worker, "loops.one_of_many_cancelled", user, tasks=4)
    worker.expect("joined", 4)
    worker.open("cancel")
    worker.expect("cancelled")
    scene.issuer.release()
    assert waiting.result(PATIENCE) == ["CancelledError", "token", "token", "token"]
    assert_stored(scene, worker, user)


def test_a_loop_that_ends(scene: Scene) -> None:
    user, worker = scene.make_user(), scene.hire()
    other = scene.hire()
    waiting = start(scene, worker, "loops.loop_that_ends", user)
    beside = scene.start_call(worker, user)
    elsewhere = scene.start_call(other, user)
    worker.expect("joined", 2)
    other.expect("joined")
    worker.open("leave")
    assert waiting.result(PATIENCE) is True
    scene.issuer.release()
    tokens = {call.result(PATIENCE)["token"] for call in (beside, elsewhere)}
    assert len(tokens) == 1
    assert None not in tokens
    assert_stored(scene, worker, user)


def test_a_client_that_disconnects_from_an_asgi_server(scene: Scene) -> None:
    user, worker = scene.make_user(), scene.hire()
    scene.issuer.hold()
    path = f"/{scene.service}/acall/{user.id}/"
    request = worker.start("loops.disconnecting_client", path=path)
    scene.wait_inside()
    worker.open("disconnect")
    assert request.result(PATIENCE) == []
    scene.issuer.release()
    assert_stored(scene, worker, user)


@pytest.mark.parametrize("block", ["atomic that raises", "atomic that commits"])
def test_the_async_door_in_a_transaction(scene: Scene, block: str) -> None:
    scene.database = "tokens" if ENGINE == "sqlite" else "default"
    user, worker = scene.make_user(), scene.hire()
    how = {"service": scene.service, "user": user.id, "block": block}
    assert worker.do("loops.bridge_inside", **how)["token"]
    assert_stored(scene, worker, user)


@pytest.mark.parametrize("state", ["expired", "stale"])
def test_a_process_that_ends_waits_for_its_flights(scene: Scene, state: str) -> None:
    """Python's own end of a process; nobody waits for the flight, or a daemon thread.

    The answer comes when no thread can be started any more (Python 3.12).
    """
    user, worker = scene.make_user(state=state), scene.hire()
    worker.do("calls.tell_of_the_end")
    start(scene, worker, "calls.fetch_one", user)
    worker.leave()
    worker.expect("ending")
    scene.issuer.release()
    worker.wait_gone()
    assert_stored(scene, scene.hire(), user)
    assert scene.history(user) == ["stored", "refreshed"]
