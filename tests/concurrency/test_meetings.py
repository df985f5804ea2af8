"""P1, P3, P4: what else may come at the very moment of a refresh, and who wins."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from tests.concurrency.fleet import PATIENCE, Worker
from tests.concurrency.scene import LEASE_OVER, PATIENT, SHORT, Scene, User

pytestmark = pytest.mark.database

PROCESSES, THREADS = 3, 6
CALLERS = PROCESSES * THREADS


def start_held(scene: Scene, user: User) -> tuple[list[Worker], list[Future[Any]]]:
    """All callers of all processes wait for the one refresh, which is held inside the issuer."""
    workers = [scene.hire() for _ in range(PROCESSES)]
    scene.issuer.hold()
    how = {"service": scene.service, "users": [user.id], "threads": THREADS}
    calls = [worker.start("calls.fetch", **how) for worker in workers]
    for worker in workers:
        worker.expect("joined", THREADS)
    scene.wait_inside()
    return workers, calls


def outcomes(calls: list[Future[Any]]) -> list[dict[str, Any]]:
    return [outcome for call in calls for outcome in call.result(PATIENCE)]


def test_a_refusal_reaches_every_caller_and_is_announced_once(scene: Scene) -> None:
    user = scene.make_user()
    scene.issuer.refuse(user.name)
    workers, calls = start_held(scene, user)
    scene.issuer.release()
    seen = outcomes(calls)
    assert len(seen) == CALLERS
    assert {(each["error"], each["reason"]) for each in seen} == {
        ("RefreshTokenRefused", "refused")
    }
    for worker in workers:
        assert worker.do("calls.wait_for_flights")
    assert [each["reason"] for each in scene.signals(*workers)] == ["refused"]
    assert scene.clerk.do("rows.epoch", user=user.id) == 1
    assert scene.presented(user) == [1]


def test_an_outage_is_met_once_and_cools_for_all(scene: Scene) -> None:
    user = scene.make_user()
    scene.issuer.fail(503, times=None)
    workers, calls = start_held(scene, user)
    scene.issuer.release()
    seen = outcomes(calls)
    assert {each["error"] for each in seen} == {"IssuerUnavailable"}
    assert scene.presented(user) == [1]
    scene.issuer.heal()
    assert scene.call(workers[0], user)["error"] == "IssuerUnavailable"
    assert scene.call(workers[1], user, later=LEASE_OVER)["token"]
    scene.assert_login_goes_on(user, *workers)


def test_a_login_in_the_middle_of_a_refresh_wins(scene: Scene) -> None:
    user = scene.make_user()
    workers, calls = start_held(scene, user)
    pair = scene.issuer.pair_for(user.name)
    scene.clerk.do("rows.store", service=scene.service, user=user.id, pair=pair)
    scene.issuer.release()
    tokens = {each["token"] for each in outcomes(calls)}
    assert len(tokens) == 1
    assert None not in tokens
    assert scene.row(user)["generation"] == 2
    assert scene.call(workers[0], user)["token"] in tokens
    assert scene.presented(user) == [1]
    assert scene.history(user).count("superseded") == 1
    scene.assert_login_goes_on(user, *workers)


def test_a_login_in_the_middle_of_a_refusal_is_not_undone(scene: Scene) -> None:
    user = scene.make_user()
    scene.issuer.revoke(user.name)
    workers, calls = start_held(scene, user)
    pair = scene.issuer.pair_for(user.name)
    scene.clerk.do("rows.store", service=scene.service, user=user.id, pair=pair)
    scene.issuer.release()
    tokens = {each["token"] for each in outcomes(calls)}
    assert len(tokens) == 1
    assert None not in tokens
    assert scene.clerk.do("rows.epoch", user=user.id) == 0
    scene.assert_login_goes_on(user, *workers)


def test_a_revocation_in_the_middle_of_a_refresh_ends_the_new_pair_too(scene: Scene) -> None:
    user = scene.make_user()
    workers, calls = start_held(scene, user)
    assert scene.clerk.do("rows.revoke", service=scene.service, user=user.id)
    scene.issuer.release()
    assert {(each["error"], each["reason"]) for each in outcomes(calls)} == {
        ("RefreshTokenRefused", "revoked")
    }
    for worker in workers:
        assert worker.do("calls.wait_for_flights")
    (family,) = scene.issuer.families(user.name)
    assert family["ended"] == "revoked"
    assert scene.issuer.reuses() == 0
    assert [each for each in scene.signals(*workers) if each["failed"]] == []


def test_a_user_deleted_in_the_middle_of_a_refresh(scene: Scene) -> None:
    user = scene.make_user()
    _, calls = start_held(scene, user)
    scene.clerk.do("rows.delete_user", user=user.id)
    scene.issuer.release()
    assert {each["error"] for each in outcomes(calls)} == {"TokenPairNotFound"}
    assert scene.clerk.do("rows.count", service=scene.service) == 0
    assert scene.presented(user) == [1]


def test_many_requests_that_are_met_by_a_401_at_once(scene: Scene) -> None:
    """The second line: the API rejects a token that looks good; one refresh, all resent."""
    user = scene.make_user(state="fresh")
    workers = [scene.hire() for _ in range(PROCESSES)]
    how = {"service": scene.service, "user": user.id, "path": "me/", "threads": THREADS}
    calls = [worker.start("calls.get", **how) for worker in workers]
    for worker in workers:
        worker.expect("ready", THREADS)
    scene.clerk.do("rows.grow_old", service=scene.service, users=[user.id])
    scene.issuer.reject_access(user.name)
    scene.issuer.hold()
    for worker in workers:
        worker.open("get")
    for worker in workers:
        worker.expect("joined", THREADS)
    scene.issuer.release()
    assert [status for call in calls for status in call.result(PATIENCE)] == [200] * CALLERS
    assert scene.presented(user) == [1]
    scene.assert_login_goes_on(user, *workers)


@pytest.mark.parametrize("crowd", [(1, 1), (PROCESSES, THREADS)], ids=["one", "many"])
def test_a_first_pair_is_asked_for_once(scene: Scene, crowd: tuple[int, int]) -> None:
    """No row, and an issuer that makes pairs for users: whoever gets the lease asks."""
    name = f"newcomer-{scene.service}"
    scene.issuer.add_user(name)
    user = scene.clerk.do("rows.make_users", service=scene.service, pairs={name: None})[name]
    settings = scene.settings(
        ISSUER="jwt_outbound.issuers.CallableIssuer",
        OPTIONS={"obtain": "tests.concurrency.first_pairs.obtain"},
    )
    settings["FIRST_PAIR_URL"] = scene.issuer.obtain_url
    processes, threads = crowd
    workers = [scene.hire(settings=settings) for _ in range(processes)]
    how = {"service": scene.service, "users": [user], "threads": threads}
    calls = [worker.start("calls.fetch", **how) for worker in workers]
    tokens = {each["token"] for each in outcomes(calls)}
    assert len(tokens) == 1
    assert None not in tokens
    assert len(scene.issuer.requests("obtain")) == 1
    assert scene.clerk.do("rows.count", service=scene.service) == 1


def test_a_short_patience_ends_while_the_refresh_goes_on(scene: Scene) -> None:
    scene.options = dict(SHORT)
    user = scene.make_user()
    holder = scene.hire(settings=scene.settings(**PATIENT))
    scene.issuer.hold()
    held = scene.start_call(holder, user)
    scene.wait_inside()
    hurried = scene.hire(settings=scene.settings(ISSUER_DEADLINE=0.1, LEASE=1.2, WAIT=0.3))
    seen = scene.call(hurried, user)
    assert seen["error"] == "RefreshInProgress"
    scene.issuer.release()
    token = held.result(PATIENCE)["token"]
    assert scene.call(hurried, user)["token"] == token is not None
    assert scene.presented(user) == [1]
