"""P1: however many callers meet an expired token, the issuer is asked once and all are served."""

from __future__ import annotations

import pytest

from tests.concurrency.scene import Scene
from tests.concurrency.stampede import Crowd, Figures

pytestmark = pytest.mark.database

CROWDS = [
    pytest.param(4, 8, 0, id="4 processes x 8 threads"),
    pytest.param(8, 8, 0, id="8 processes x 8 threads"),
    pytest.param(3, 4, 4, id="threads and tasks mixed"),
]


def assert_one_refresh(seen: Figures, *, calls: int, users: int = 1) -> None:
    assert (seen.failed, seen.reuses) == (0, 0)
    assert (seen.generations, seen.presentations, seen.most) == (users, users, 1)
    assert seen.calls == calls
    assert len(seen.tokens) == users


@pytest.mark.parametrize(("processes", "threads", "tasks"), CROWDS)
def test_one_refresh_at_each_of_three_expiries(
    scene: Scene, processes: int, threads: int, tasks: int
) -> None:
    user = scene.make_user(state="fresh")
    crowd = Crowd(scene, processes=processes, threads=threads, tasks=tasks)
    tokens: set[str] = set()
    for _ in range(3):
        scene.expire(user)
        seen = crowd.meet(user)
        assert_one_refresh(seen, calls=processes * (threads + tasks))
        tokens |= seen.tokens
    assert len(tokens) == 3
    assert scene.row(user)["generation"] == 4
    scene.assert_login_goes_on(user, *crowd.workers)


def test_two_hundred_users_expire_at_once(scene: Scene) -> None:
    users = scene.make_users(200)
    crowd = Crowd(scene, processes=4, threads=8)
    seen = crowd.meet_all(users, shares=8)
    assert_one_refresh(seen, calls=4 * 200, users=200)


def test_callers_of_a_token_that_is_still_good_do_not_wait(scene: Scene) -> None:
    """The one refresh ahead is held inside the issuer, and everybody is served meanwhile."""
    user = scene.make_user(state="stale")
    workers = [scene.hire() for _ in range(3)]
    scene.issuer.hold()
    old = {scene.call(worker, user)["token"] for worker in workers for _ in range(4)}
    scene.wait_inside()
    scene.issuer.release()
    for worker in workers:
        assert worker.do("calls.wait_for_flights")
    new = {scene.call(worker, user)["token"] for worker in workers}
    assert (len(old), len(new), len(old & new)) == (1, 1, 0)
    assert scene.presented(user) == [1]
