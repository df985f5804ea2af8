"""Our GraphQL transports against the demo's billing service, in a process of its own."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from gql import Client, gql

from demo_project import places, servers
from demo_project.people import BILLING_USERS
from jwt_outbound.clients.gql import async_transport, transport
from jwt_outbound.exceptions import RefreshTokenRefused
from jwt_outbound.models import TokenPair
from jwt_outbound.testing import shift_clock
from tests.conftest import Configure

pytestmark = pytest.mark.django_db(transaction=True)

SUMMARY = gql("{ username total invoices(first: 1) { number customer } }")


@pytest.fixture(scope="module")
def billing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the demo's billing answers."""
    folder: Path = tmp_path_factory.mktemp("billing")
    environment = {**os.environ, places.DIRECTORY: str(folder), places.CONTROLS: "1"}
    server = servers.start("billing", servers.listen(0, "--billing-port"), environment)
    try:
        server.wait_until_it_answers()
        yield server.url
    finally:
        server.stop()


@pytest.fixture
def alice(billing: str, user: User, configure: Configure) -> User:
    """A user with a first pair of billing's."""
    token = f"{billing}/api/token/"
    configure(
        BASE_URL=billing,
        OPTIONS={"obtain_url": token, "refresh_url": f"{token}refresh/"},
    )
    TokenPair.objects.obtain(
        user=user, service="billing", username="alice", password=BILLING_USERS["alice"]
    )
    return user


def ask(user: User) -> Any:
    with Client(transport=transport("billing", user, url="graphql/")) as session:
        return session.execute(SUMMARY)


async def aask(user: User) -> Any:
    async with Client(transport=async_transport("billing", user, url="graphql/")) as session:
        return await session.execute(SUMMARY)


@pytest.mark.parametrize("ask", [ask, async_to_sync(aask)], ids=["sync", "async"])
def test_the_demo_s_graphql(alice: User, ask: Any) -> None:
    assert ask(alice)["username"] == "alice"
    shift_clock(20)
    assert len(ask(alice)["invoices"]) == 1
    assert TokenPair.objects.get().generation == 2


@pytest.mark.parametrize("ask", [ask, async_to_sync(aask)], ids=["sync", "async"])
def test_a_login_revoked_at_the_demo_s_issuer(alice: User, billing: str, ask: Any) -> None:
    shift_clock(6)
    answer = requests.post(f"{billing}/control/alice/revoke/", json={}, timeout=5)
    assert answer.json()["revoked"] >= 1
    with pytest.raises(RefreshTokenRefused):
        ask(alice)
