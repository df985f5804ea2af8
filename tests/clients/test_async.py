"""Async all the way: many tasks, few threads, the same flights; and nothing is left open."""

import asyncio
import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import connections, transaction

from jwt_outbound.clients import ServiceClient, httpx_pools
from jwt_outbound.clients.httpx import aservice_client, service_client
from jwt_outbound.models import TokenPair
from jwt_outbound.rows import Pair
from jwt_outbound.testing import drain
from tests.clients.open_connections import count_open_connections
from tests.clients.ways import LIBRARIES
from tests.conftest import Configure
from tests.issuer_server import StrictIssuer

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]

USERS, TASKS_EACH = 50, 4
HALF_OF_THE_FLIGHT_THREADS = 4


@pytest.fixture
def crowd(issuer: StrictIssuer, configure: Configure, later: Callable[[float], None]) -> list[User]:
    """Users whose access tokens have run out, and one more whose token is fresh."""
    configure(ISSUER_DEADLINE=8)
    users = get_user_model().objects.bulk_create(
        [User(username=f"user-{number}") for number in range(USERS + 1)]
    )
    for user in users[:-1]:
        _store(issuer, user)
    later(301)
    _store(issuer, users[-1])
    return users


def _store(issuer: StrictIssuer, user: User) -> None:
    TokenPair.objects.store(user=user, service="billing", **issuer.pair_for(user.username))


async def call(user: User) -> str:
    async with aservice_client("billing", user) as billing:
        response = await billing.get("invoices/")
        return str(response.json()["user"])


def call_in_a_thread(user: User) -> str:
    try:
        with ServiceClient("billing", user) as billing:
            return str(billing.get("invoices/").json()["user"])
    finally:
        connections.close_all()


def test_two_hundred_tasks_and_some_threads_refresh_each_pair_once(
    issuer: StrictIssuer, crowd: list[User]
) -> None:
    *expired, fresh = crowd
    before = count_open_connections()
    issuer.hold()

    async def story() -> list[str]:
        tasks = [asyncio.create_task(call(user)) for user in expired * TASKS_EACH]
        await asyncio.to_thread(issuer.wait_inside, HALF_OF_THE_FLIGHT_THREADS)
        # All threads that may ask this issuer stand there, and yet nobody else waits for them.
        assert await call(fresh) == fresh.username
        assert not any(task.done() for task in tasks)
        issuer.release()
        return await asyncio.gather(*tasks)

    with ThreadPoolExecutor(4) as threads:
        others = [threads.submit(call_in_a_thread, user) for user in expired[:8]]
        assert async_to_sync(story)() == [user.username for user in expired * TASKS_EACH]
        assert [other.result() for other in others] == [user.username for user in expired[:8]]
    assert len(issuer.presentations()) == USERS
    assert issuer.most_presented() == 1
    assert set(TokenPair.objects.values_list("generation", flat=True)) == {1, 2}
    assert drain()
    assert count_open_connections() == before


def test_a_task_that_is_cancelled_leaves_the_new_pair_behind(
    issuer: StrictIssuer, stored: dict[str, str], user: User, later: Any, row: Callable[[], Pair]
) -> None:
    later(301)
    issuer.hold()

    async def story() -> None:
        task = asyncio.create_task(call(user))
        await asyncio.to_thread(issuer.wait_inside, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        issuer.release()

    async_to_sync(story)()
    assert drain()
    assert row().generation == 2
    assert async_to_sync(call)(user) == "alice"
    assert len(issuer.presentations()) == 1


@pytest.mark.parametrize("library", LIBRARIES)
def test_connections_are_shared_in_a_loop_and_closed_with_it(
    issuer: StrictIssuer, stored: dict[str, str], user: User, bob: User, library: Any
) -> None:
    async def story() -> None:
        for who in (user, bob, user):
            async with aservice_client("billing", who, library=library) as billing:
                await billing.get("invoices/")
        assert asyncio.get_running_loop() in httpx_pools._loops

    for _ in range(2):
        async_to_sync(story)()
        assert httpx_pools._loops == {}
    gc.collect()
    clients = [seen["client"] for seen in issuer.requests("api")]
    assert len(set(clients[:3])) == len(set(clients[3:])) == 1
    assert len(set(clients)) == 2


def test_a_loop_that_was_closed_in_a_hurry_is_forgotten_later(
    issuer: StrictIssuer, stored: dict[str, str], user: User
) -> None:
    async def begin() -> None:
        await httpx_pools._transports_of_this_loop()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.close()
    assert loop in httpx_pools._loops
    assert async_to_sync(call)(user) == "alice"
    assert httpx_pools._loops == {}


def test_the_user_may_be_found_at_the_first_call(
    issuer: StrictIssuer, stored: dict[str, str], user: User
) -> None:
    asked: list[str] = []

    async def find() -> User:
        asked.append("who?")
        return await get_user_model().objects.aget(username="alice")

    async def story() -> None:
        async with aservice_client("billing", find) as billing:
            assert asked == []
            for _ in range(2):
                assert (await billing.get("invoices/")).json()["user"] == "alice"

    async_to_sync(story)()
    assert asked == ["who?"]


def test_but_not_in_a_sync_client(issuer: StrictIssuer, user: User) -> None:
    async def find() -> User:
        return user

    with (
        service_client("billing", find) as billing,
        pytest.raises(TypeError, match="the client must be async"),
    ):
        billing.get("invoices/")
    assert issuer.requests() == []


def test_inside_the_caller_s_transaction(
    issuer: StrictIssuer, stored: dict[str, str], user: User
) -> None:
    """A pair that was stored there, and is not committed yet, is the one that async code uses."""

    async def story() -> str:
        async with aservice_client("billing", user) as billing:
            return str((await billing.get("invoices/")).json()["user"])

    with transaction.atomic():
        pair = issuer.pair_for("another name there")
        TokenPair.objects.store(user=user, service="billing", **pair)
        assert async_to_sync(story)() == "another name there"
        transaction.set_rollback(True)
    assert async_to_sync(story)() == "alice"
