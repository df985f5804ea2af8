"""P1 to P4: the holder of a lease is killed, and the next callers carry on (design 3.4, 3.8).

The rescuers' `later` moves their clock and the database's past the dead holder's lease.
"""

from __future__ import annotations

import pytest

from tests.concurrency import crashes
from tests.concurrency.crashes import Crash
from tests.concurrency.fleet import PATIENCE
from tests.concurrency.scene import LEASE_OVER, SHORT, Scene

pytestmark = pytest.mark.database

WINDOW = {"REPLAY_WINDOW": 20}
GRACE = 60
ROTATED = [crashes.after_sending, crashes.before_the_commit]


@pytest.fixture
def scene(scene: Scene) -> Scene:
    scene.options = dict(SHORT)
    return scene


def test_a_lease_whose_holder_died_is_waited_out(scene: Scene) -> None:
    """In real time, and by callers of two processes at once."""
    user = scene.make_user()
    crashes.before_sending(scene, user)
    rescuers = [scene.hire() for _ in range(2)]
    calls = [scene.start_call(rescuer, user) for rescuer in rescuers for _ in range(3)]
    tokens = {call.result(PATIENCE)["token"] for call in calls}
    assert len(tokens) == 1
    assert None not in tokens
    assert scene.presented(user) == [1]
    scene.assert_login_goes_on(user, *rescuers)


@pytest.mark.parametrize("crash", ROTATED)
def test_with_a_replay_window_nobody_notices(scene: Scene, crash: Crash) -> None:
    scene.options |= WINDOW
    scene.issuer.configure(grace=GRACE)
    user = scene.make_user(state="stale")
    crash(scene, user)
    rescuer = scene.hire()
    old = scene.call(rescuer, user)["token"]
    assert scene.call(rescuer, user, later=LEASE_OVER)["token"] == old
    assert rescuer.do("calls.wait_for_flights")
    new = scene.call(rescuer, user)["token"]
    assert None not in (old, new)
    assert old != new
    assert scene.presented(user) == [1, 1]
    assert scene.issuer.reuses() == 0
    scene.assert_login_goes_on(user, rescuer)


@pytest.mark.parametrize("crash", ROTATED)
def test_with_a_replay_window_an_expired_token_comes_back(scene: Scene, crash: Crash) -> None:
    scene.options |= WINDOW
    scene.issuer.configure(grace=GRACE)
    user = scene.make_user()
    crash(scene, user)
    rescuer = scene.hire()
    assert scene.call(rescuer, user, later=LEASE_OVER)["token"]
    assert scene.issuer.reuses() == 0
    scene.assert_login_goes_on(user, rescuer)


@pytest.mark.parametrize("crash", [crashes.before_sending, *ROTATED])
def test_without_a_window_the_access_token_serves_to_its_end(scene: Scene, crash: Crash) -> None:
    user = scene.make_user(state="stale")
    crash(scene, user)
    rescuer = scene.hire()
    tokens = {scene.call(rescuer, user, later=LEASE_OVER)["token"] for _ in range(3)}
    assert rescuer.do("calls.wait_for_flights")
    assert None not in tokens
    assert len(tokens) == 1
    before = [] if crash is crashes.before_sending else [1]
    assert scene.presented(user) == before
    scene.assert_login_goes_on(user, rescuer)


@pytest.mark.parametrize("crash", ROTATED)
def test_without_a_window_the_refusal_is_held_and_says_why(scene: Scene, crash: Crash) -> None:
    user = scene.make_user()
    crash(scene, user)
    rescuer = scene.hire()
    held = scene.call(rescuer, user, later=LEASE_OVER)
    assert held["error"] == "IssuerUnavailable"
    assert [each for each in scene.signals(rescuer) if each["failed"]] == []
    ends = [scene.call(rescuer, user, later=LEASE_OVER) for _ in range(2)]
    assert {(end["error"], end["reason"]) for end in ends} == {
        ("RefreshTokenRefused", "rotation_lost")
    }
    assert [each["reason"] for each in scene.signals(rescuer)] == ["rotation_lost"]
    assert scene.presented(user) == [1, 1]


def test_a_pair_that_was_stored_before_the_crash_is_there(scene: Scene) -> None:
    user = scene.make_user()
    crashes.after_the_commit(scene, user)
    rescuer = scene.hire()
    assert scene.call(rescuer, user)["token"]
    assert scene.presented(user) == [1]
    scene.assert_login_goes_on(user, rescuer)


def test_a_refusal_that_nobody_was_told_of_is_announced_by_the_next_caller(scene: Scene) -> None:
    user = scene.make_user()
    scene.issuer.refuse(user.name)
    crashes.after_the_commit(scene, user)
    event_id = scene.row(user)["event_id"]
    rescuer = scene.hire()
    outcomes = [scene.call(rescuer, user)]
    assert scene.signals(rescuer) == []
    outcomes += [scene.call(rescuer, user, later=LEASE_OVER) for _ in range(2)]
    assert {(each["error"], each["reason"]) for each in outcomes} == {
        ("RefreshTokenRefused", "refused")
    }
    assert [each["event_id"] for each in scene.signals(rescuer)] == [event_id]
    assert scene.presented(user) == [1]
