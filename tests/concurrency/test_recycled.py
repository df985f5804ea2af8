"""A process is ended, recycled or forked by its server in a flight's midst: nothing is lost."""

from __future__ import annotations

import signal

import pytest

from tests.concurrency.databases import eventually
from tests.concurrency.fleet import PATIENCE
from tests.concurrency.scene import SHORT, Scene, User
from tests.concurrency.servers import Server, running, running_asgi, running_command

pytestmark = pytest.mark.database

WORKERS = [("--worker-class", "sync"), ("--worker-class", "gthread", "--threads", "4")]
MOST_AHEAD = 3
"""Of the eight threads, four are a service's, and one of these is left to those who wait."""


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


@pytest.mark.parametrize(
    "options", [*WORKERS, ("--preload", "--workers", "2")], ids=["sync", "threads", "preload"]
)
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


def test_a_worker_that_is_replaced_by_a_reload(scene: Scene) -> None:
    user = scene.make_user(state="stale")
    scene.issuer.hold()
    with running(scene) as gunicorn:
        _, old = gunicorn.call(user)
        scene.wait_inside()
        gunicorn.watch()
        gunicorn.send(signal.SIGHUP)
        gunicorn.read_log("This process is ending.")
        scene.issuer.release()
        gunicorn.terminate()
        assert gunicorn.wait() == 0
    assert scene.call(scene.hire(), user)["token"] != old
    assert_stored(scene, user)


def begin_many(scene: Scene, gunicorn: Server, users: list[User]) -> None:
    """Each pair is due; as many flights as may be are held by the issuer, the others wait."""
    for user in users:
        assert gunicorn.call(user)[0] == 200
    scene.wait_inside(MOST_AHEAD)
    # The note of the last one's use begins after its refresh, which by now stands in line.
    assert eventually(lambda: scene.row(users[-1])["used_generation"] == 1)
    gunicorn.watch()
    gunicorn.terminate()
    gunicorn.read_log("This process is ending.")


def test_only_what_is_under_way_is_waited_for(scene: Scene) -> None:
    users = scene.make_users(2 * MOST_AHEAD, state="stale")
    scene.issuer.hold()
    with running(scene) as gunicorn:
        begin_many(scene, gunicorn, users)
        scene.issuer.release()
        assert gunicorn.wait() == 0
    assert [scene.row(user)["generation"] for user in users] == [2] * 3 + [1] * 3
    for user in users[:MOST_AHEAD]:
        assert_stored(scene, user)
    for user in users[MOST_AHEAD:]:
        assert scene.presented(user) == []
        scene.assert_login_goes_on(user)


def test_an_issuer_that_never_answers_does_not_keep_the_process(scene: Scene) -> None:
    scene.options = dict(SHORT)
    users = scene.make_users(2 * MOST_AHEAD, state="stale")
    scene.issuer.hold()
    with running(scene) as gunicorn:
        begin_many(scene, gunicorn, users)
        assert gunicorn.wait() == 0
    for user in users:
        assert scene.row(user)["lease_until"] == 0
        scene.assert_login_goes_on(user)


def test_an_asgi_server_that_dies_of_its_signal(scene: Scene) -> None:
    """As uvicorn does, once its requests are done: no exit hook of Python's is ever run."""
    user = scene.make_user(state="stale")
    scene.issuer.hold()
    with running_asgi(scene) as uvicorn:
        assert uvicorn.call(user)[0] == 200
        scene.wait_inside()
        uvicorn.send(signal.SIGTERM)
        uvicorn.read_log("Waiting for application shutdown")
        scene.issuer.release()
        assert uvicorn.wait() == -signal.SIGTERM
    assert_stored(scene, user)


def test_a_command_that_is_told_to_end(scene: Scene) -> None:
    user = scene.make_user()
    scene.issuer.hold()
    with running_command(scene, user) as command:
        scene.wait_inside()
        command.send(signal.SIGTERM)
        command.read_log("This process is ending.")
        scene.issuer.release()
        assert command.wait() == 143
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
        scene.expire(user)
        status, token = gunicorn.call(user)
        assert (status, (200, token) in seen) == (200, False)
        gunicorn.terminate()
        assert gunicorn.wait() == 0
    assert scene.presented(user) == [1, 2]
    assert scene.history(user) == ["stored", "refreshed", "refreshed"]
    scene.assert_login_goes_on(user)
