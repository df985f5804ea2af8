"""A process forks with flights under way: parent and child go on with what each has (3.3)."""

from __future__ import annotations

import pytest

from tests.concurrency.fleet import PATIENCE
from tests.concurrency.scene import Scene, User

pytestmark = pytest.mark.database


def who(scene: Scene, user: User) -> dict[str, object]:
    return {"service": scene.service, "user": user.id}


def test_the_child_waits_for_its_parents_flight_as_any_process_does(scene: Scene) -> None:
    user, worker = scene.make_user(), scene.hire()
    scene.issuer.hold()
    waiting = scene.start_call(worker, user)
    scene.wait_inside()
    child = worker.start("forks.call_in_child", **who(scene, user))
    worker.expect("child waits")
    scene.issuer.release()
    tokens = {waiting.result(PATIENCE)["token"], child.result(PATIENCE)["token"]}
    assert len(tokens) == 1
    assert None not in tokens
    assert scene.presented(user) == [1]
    scene.expire(user)
    assert scene.call(worker, user)["token"]
    assert scene.presented(user) == [1, 2]
    scene.assert_login_goes_on(user, worker)


@pytest.mark.engines("postgresql", "mariadb")
def test_the_child_uses_none_of_its_parents_connections(scene: Scene) -> None:
    """Parent and child on one connection would read each other's answers."""
    users = scene.make_users(3)
    worker = scene.hire()
    worker.do("forks.note_connections")
    scene.issuer.hold(until=2)
    calls = [scene.start_call(worker, user) for user in users[:2]]
    assert all(call.result(PATIENCE)["token"] for call in calls)
    assert worker.do("calls.wait_for_flights")
    childs = worker.do("forks.numbers_in_child", **who(scene, users[2]))
    scene.expire(users[2])
    assert scene.call(worker, users[2])["token"]
    parents = worker.do("forks.connections_of_flights")
    assert (len(childs), len(parents)) == (1, 3)
    assert set(childs) & set(parents) == set()
    assert len(set(parents)) == 2


def test_the_child_uses_none_of_its_parents_sockets(scene: Scene) -> None:
    """On a shared keep-alive socket two workers could swap their users' answers."""
    user, worker = scene.make_user(state="fresh"), scene.hire()
    statuses = [
        worker.do(f"forks.{job}", **who(scene, user)) for job in ("get", "get_in_child", "get")
    ]
    assert statuses == [200, 200, 200]
    before, child, after = [each["client"] for each in scene.issuer.requests("api")]
    assert before == after
    assert child != before
