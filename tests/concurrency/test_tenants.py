"""Two tenants with one user id call at the same moment: their flights never meet (3.1, 3.3)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.concurrency.databases import Databases
from tests.concurrency.fleet import PATIENCE, Worker
from tests.concurrency.scene import Scene
from tests.concurrency.tenants import SCHEMAS

pytestmark = [pytest.mark.database, pytest.mark.engines("postgresql")]


@pytest.fixture
def clerk(scene: Scene) -> Iterator[Worker]:
    """The two schemas are there."""
    scene.clerk.do("tenancy.make_schemas")
    yield scene.clerk
    scene.clerk.do("tenancy.drop_schemas")


def hire(scene: Scene) -> Worker:
    settings = scene.settings()
    settings["JWT_OUTBOUND"]["FLIGHT_CONTEXT"] = "tests.concurrency.tenants.flight_context"
    return scene.hire(settings=settings)


def make_users(scene: Scene, clerk: Worker) -> int:
    """One user of each tenant; all of them have the id that is returned."""
    ids = {
        clerk.do(
            "tenancy.make_user",
            schema=schema,
            service=scene.service,
            name=schema,
            pair=scene.issuer.pair_for(schema),
        )
        for schema in SCHEMAS
    }
    assert len(ids) == 1
    return int(ids.pop())


@pytest.mark.parametrize("processes", [1, 2])
def test_flights_of_two_tenants_never_meet(scene: Scene, clerk: Worker, processes: int) -> None:
    user = make_users(scene, clerk)
    workers = [hire(scene) for _ in range(processes)]
    scene.issuer.hold(until=len(SCHEMAS))
    who = {"service": scene.service, "user": user}
    calls = {
        schema: [worker.start("tenancy.fetch_one", schema=schema, **who) for worker in workers]
        for schema in SCHEMAS
    }
    tokens = {
        schema: {call.result(PATIENCE)["token"] for call in calls[schema]} for schema in SCHEMAS
    }
    assert all(len(each) == 1 and None not in each for each in tokens.values())
    assert tokens[SCHEMAS[0]] != tokens[SCHEMAS[1]]
    for schema in SCHEMAS:
        assert clerk.do("tenancy.row", schema=schema, **who)["generation"] == 2
        assert [each["number"] for each in scene.issuer.presentations(schema)] == [1]


def test_a_renewed_connection_is_back_in_its_tenants_schema(
    scene: Scene, clerk: Worker, databases: Databases
) -> None:
    """Cut while the issuer is asked: the new pair is saved in the schema that it belongs to."""
    user = make_users(scene, clerk)
    worker = hire(scene)
    who = {"schema": SCHEMAS[1], "service": scene.service, "user": user}
    scene.issuer.hold()
    call = worker.start("tenancy.fetch_one", **who)
    scene.wait_inside()
    assert databases.cut() >= 1
    scene.issuer.release()
    token = call.result(PATIENCE)["token"]
    assert worker.do("tenancy.fetch_one", **who)["token"] == token is not None
    assert clerk.do("tenancy.row", **who)["generation"] == 2
    other = clerk.do("tenancy.row", **{**who, "schema": SCHEMAS[0]})
    assert (other["generation"], other["lease_id"]) == (1, 0)
