"""P2: the caller's transaction ends as it likes; a pair that was refreshed in it stays (3.6)."""

from __future__ import annotations

import pytest

from tests.concurrency.fleet import PATIENCE
from tests.concurrency.jobs.transactions import BLOCKS
from tests.concurrency.scene import Scene, User
from tests.settings import ENGINE

pytestmark = pytest.mark.database

SERVERS = pytest.mark.engines("postgresql", "mariadb")


@pytest.fixture
def scene(scene: Scene) -> Scene:
    """On SQLite, with its one writer for a file, the token tables have a file of their own."""
    scene.database = "tokens" if ENGINE == "sqlite" else "default"
    return scene


def assert_kept(scene: Scene, user: User, token: str | None) -> None:
    """The pair is stored, and others are served by it; its predecessor was presented once."""
    elsewhere = scene.hire()
    assert scene.call(elsewhere, user)["token"] == token is not None
    assert scene.presented(user) == [1]
    assert scene.row(user)["generation"] == 2
    scene.assert_login_goes_on(user, elsewhere)


@pytest.mark.parametrize("block", [name for name in BLOCKS if "commits" not in name])
def test_rolled_back(scene: Scene, block: str) -> None:
    user = scene.make_user()
    seen = scene.hire().do("transactions.call_inside", **call_of(scene, user), block=block)
    assert not seen["kept"]
    assert_kept(scene, user, seen["outcome"]["token"])


def test_committed(scene: Scene) -> None:
    user, block = scene.make_user(), "atomic that commits"
    seen = scene.hire().do("transactions.call_inside", **call_of(scene, user), block=block)
    assert seen["kept"]
    assert_kept(scene, user, seen["outcome"]["token"])


@pytest.mark.parametrize("view", ["fail", "call", "bridge"])
def test_under_atomic_requests(scene: Scene, view: str) -> None:
    user = scene.make_user()
    path = f"/{scene.service}/{view}/{user.id}/"
    status = scene.hire().do("transactions.get", path=path)
    assert status == (500 if view == "fail" else 200)
    assert_kept(scene, user, scene.call(scene.clerk, user)["token"])


@pytest.mark.parametrize("existing", [False, True], ids=["first pair", "in place of another"])
def test_a_pair_of_the_callers_own_open_transaction_is_refreshed_there(
    scene: Scene, existing: bool
) -> None:
    user = a_user(scene, existing=existing)
    refresh = scene.issuer.pair_for(user.name)["refresh"]
    how = {**call_of(scene, user), "refresh": refresh, "commit": True}
    token = scene.hire().do("transactions.store_and_call", **how)["token"]
    assert token is not None
    assert scene.call(scene.hire(), user)["token"] == token
    assert scene.row(user)["generation"] == (3 if existing else 2)
    assert scene.issuer.times_presented(user.name, 1) == 1
    assert scene.issuer.most_presented() == 1


@SERVERS
@pytest.mark.parametrize("existing", [False, True], ids=["first pair", "in place of another"])
def test_stored_refreshed_and_rolled_back_in_one_transaction_is_gone(
    scene: Scene, existing: bool
) -> None:
    """Of what no client can close (3.8); the login that was there before is as it was."""
    user = a_user(scene, existing=existing)
    refresh = scene.issuer.pair_for(user.name)["refresh"]
    how = {**call_of(scene, user), "refresh": refresh, "commit": False}
    assert scene.hire().do("transactions.store_and_call", **how)["token"]
    after = scene.call(scene.hire(), user)
    if existing:
        assert after["token"]
        assert scene.row(user)["generation"] == 2
    else:
        assert after["error"] == "TokenPairNotFound"
    assert scene.issuer.reuses() == 0


@SERVERS
def test_a_pair_that_another_has_stored_and_not_committed_is_not_waited_for(scene: Scene) -> None:
    """The row is locked by a login; the lease's short lock time-out ends in an error, unsent."""
    user = a_user(scene, existing=True)
    pair = scene.issuer.pair_for(user.name)
    login = scene.hire()
    storing = login.start(
        "transactions.store_and_wait", **call_of(scene, user), refresh=pair["refresh"]
    )
    login.expect("stored")
    caller = scene.hire()
    assert scene.call(caller, user)["error"] == "TokenStoreUnavailable"
    assert scene.presented(user) == []
    login.open("commit")
    storing.result(PATIENCE)
    assert scene.call(caller, user)["token"]
    assert scene.row(user)["generation"] == 3
    scene.assert_login_goes_on(user, login, caller)


@SERVERS
def test_a_caller_that_has_locked_the_row_itself_is_told_at_once(scene: Scene) -> None:
    user = scene.make_user()
    caller = scene.hire()
    seen = caller.do("transactions.call_with_the_row_locked", **call_of(scene, user))
    assert seen["error"] == "TokenStoreUnavailable"
    assert scene.presented(user) == []
    assert scene.call(caller, user)["token"]


@pytest.mark.engines("sqlite")
def test_in_a_transaction_of_the_one_file_nothing_is_sent(scene: Scene) -> None:
    scene.database = "default"
    expired, stale = scene.make_user(), scene.make_user(state="stale")
    caller, block = scene.hire(), "atomic that commits"
    seen = caller.do("transactions.call_inside", **call_of(scene, expired), block=block)
    assert seen["outcome"]["error"] == "TokenStoreUnavailable"
    assert "jwt_outbound.routers.TokenRouter" in seen["outcome"]["message"]
    assert seen["kept"]
    seen = caller.do("transactions.call_inside", **call_of(scene, stale), block=block)
    assert seen["outcome"]["token"]
    assert caller.do("calls.wait_for_flights")
    assert scene.issuer.presentations() == []
    assert scene.call(caller, expired)["token"]


def a_user(scene: Scene, *, existing: bool) -> User:
    if existing:
        return scene.make_user()
    name = f"newcomer-{scene.service}"
    made = scene.clerk.do("rows.make_users", service=scene.service, pairs={name: None})
    return User(id=made[name], name=name)


def call_of(scene: Scene, user: User) -> dict[str, object]:
    return {"service": scene.service, "user": user.id}
