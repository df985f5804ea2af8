"""The holder of a lease stands still (SIGSTOP) until it has run out, and then goes on."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from tests.concurrency.fitting import GO_ON
from tests.concurrency.fleet import PATIENCE, Worker
from tests.concurrency.scene import SHORT, Scene, User

pytestmark = pytest.mark.database


@pytest.fixture
def scene(scene: Scene) -> Scene:
    scene.options = dict(SHORT)
    return scene


def pause_at(scene: Scene, user: User, step: str) -> tuple[Worker, Future[Any]]:
    holder = scene.hire(stop_at=step)
    call = scene.start_call(holder, user)
    holder.expect("stopped")
    holder.pause()
    return holder, call


def let_go(holder: Worker) -> None:
    holder.resume()
    holder.open(GO_ON)


def test_a_holder_that_slept_through_its_lease_sends_nothing(scene: Scene) -> None:
    user = scene.make_user()
    holder, call = pause_at(scene, user, "Exchange")
    rescuer = scene.hire()
    token = scene.call(rescuer, user)["token"]
    let_go(holder)
    assert call.result(PATIENCE)["token"] == token is not None
    assert scene.presented(user) == [1]
    assert scene.row(user)["generation"] == 2
    scene.assert_login_goes_on(user, holder, rescuer)


@pytest.mark.parametrize("answer", ["same", "fresh"])
def test_of_two_pairs_for_one_generation_the_first_saved_stays(scene: Scene, answer: str) -> None:
    """The holder slept with the new pair in its hands; within its grace the issuer made another."""
    scene.options |= {"REPLAY_WINDOW": 20}
    scene.issuer.configure(grace=60, grace_answer=answer)
    user = scene.make_user()
    holder, call = pause_at(scene, user, "Save")
    rescuer = scene.hire()
    token = scene.call(rescuer, user)["token"]
    let_go(holder)
    assert call.result(PATIENCE)["token"] == token is not None
    assert scene.row(user)["generation"] == 2
    assert holder.do("calls.wait_for_flights")
    assert scene.history(user).count("superseded") == 1
    scene.expire(user)
    assert scene.call(rescuer, user)["token"] not in (None, token)
    assert scene.issuer.reuses() == 0
    scene.assert_login_goes_on(user, holder, rescuer)


def test_a_pair_saved_late_undoes_a_refusal_that_was_held(scene: Scene) -> None:
    """The takeover's replay was refused, by an issuer where the successor lives on."""
    scene.issuer.configure(reuse_ends_family=False)
    user = scene.make_user()
    holder, call = pause_at(scene, user, "Save")
    rescuer = scene.hire()
    assert scene.call(rescuer, user)["error"] == "IssuerUnavailable"
    let_go(holder)
    token = call.result(PATIENCE)["token"]
    assert scene.call(rescuer, user)["token"] == token is not None
    assert holder.do("calls.wait_for_flights")
    scene.assert_login_goes_on(user, holder, rescuer)


@pytest.mark.parametrize("filler", [0, 30_000], ids=["small", "large"])
def test_an_answer_that_arrived_while_the_holder_slept_is_not_thrown_away(
    scene: Scene, filler: int
) -> None:
    """Its deadline has passed by then, but the answer is there: it counts (design 3.3, step 3).

    A large one is not read from the socket in one piece.
    """
    scene.issuer.configure(claims={"filler": "x" * filler})
    user = scene.make_user()
    holder = scene.hire()
    scene.issuer.hold("answer")
    call = scene.start_call(holder, user)
    scene.wait_inside(door="answer")
    holder.pause()
    scene.issuer.release("answer")
    sleep_through_the_deadline(scene, user)
    holder.resume()
    assert call.result(PATIENCE)["token"]
    assert scene.presented(user) == [1]
    scene.assert_login_goes_on(user, holder)


def sleep_through_the_deadline(scene: Scene, user: User) -> None:
    """Another caller, whose patience is a little longer than the holder's deadline, gives up."""
    patience = {"ISSUER_DEADLINE": 0.1, "WAIT": 1.5}
    waiting = scene.hire(settings=scene.settings(**patience))
    assert scene.call(waiting, user)["error"] == "RefreshInProgress"
