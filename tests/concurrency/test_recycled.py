"""gunicorn ends, recycles or forks its workers in the middle of a flight: nothing is lost."""

from __future__ import annotations

import pytest

from tests.concurrency.fleet import PATIENCE
from tests.concurrency.gunicorn_server import running
from tests.concurrency.scene import Scene, User

pytestmark = pytest.mark.database

WORKERS = [("--worker-class", "sync"), ("--worker-class", "gthread", "--threads", "4")]


def assert_stored(scene: Scene, user: User) -> None:
    assert scene.row(user)["generation"] == 2
    assert scene.presented(user) == [1]
    assert scene.history(user) == ["stored", "refreshed"]
    scene.assert_login_goes_on(user)


@pytest.mark.parametrize("options", WORKERS, ids=["sync", "threads"])
def test_terminated_while_a_request_waits(scene: Scene, options: tuple[str, ...]) -> None:
    user = scene.make_user()
    scene.issuer.hold()
    with running(scene, *options) as gunicorn:
        request = gunicorn.start_call(user)
        scene.wait_inside()
        gunicorn.terminate()
        scene.issuer.release()
        status, token = request.result(PATIENCE)
        assert gunicorn.wait() == 0
    assert status == 200
    assert scene.call(scene.hire(), user)["token"] == token
    assert_stored(scene, user)


@pytest.mark.parametrize("options", WORKERS, ids=["sync", "threads"])
def test_terminated_while_nobody_waits_for_a_refresh_ahead(
    scene: Scene, options: tuple[str, ...]
) -> None:
    user = scene.make_user(state="stale")
    scene.issuer.hold()
    with running(scene, *options) as gunicorn:
        assert gunicorn.call(user)[0] == 200
        scene.wait_inside()
        gunicorn.terminate()
        scene.issuer.release()
        assert gunicorn.wait() == 0
    assert_stored(scene, user)


def test_a_worker_that_is_replaced_after_its_last_request(scene: Scene) -> None:
    user = scene.make_user(state="stale")
    scene.issuer.hold()
    with running(scene, "--max-requests", "1") as gunicorn:
        _, old = gunicorn.call(user)
        scene.wait_inside()
        gunicorn.read_log("Autorestarting worker")
        scene.issuer.release()
        gunicorn.read_log("Booting worker")
        status, new = gunicorn.call(user)
    assert status == 200
    assert new != old
    assert_stored(scene, user)


def test_workers_forked_from_a_master_that_has_a_flight_under_way(scene: Scene) -> None:
    user = scene.make_user()
    scene.issuer.hold()
    with running(scene, "--preload", "--workers", "2", early=user) as gunicorn:
        scene.wait_inside()
        assert gunicorn.pid()
        requests = [gunicorn.start_call(user) for _ in range(4)]
        scene.issuer.release()
        seen = {request.result(PATIENCE) for request in requests}
        assert {status for status, _ in seen} == {200}
        assert len(seen) == 1
        assert_stored(scene, user)
        scene.expire(user)
        status, token = gunicorn.call(user)
        assert (status, (200, token) in seen) == (200, False)
        gunicorn.terminate()
        assert gunicorn.wait() == 0
    assert scene.presented(user) == [1, 2]
