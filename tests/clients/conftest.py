from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from jwt_outbound.clients.httpx import TokenPairAuth
from jwt_outbound.models import TokenPair
from tests.clients import graph_api
from tests.clients.graph_api import Doorkeeper
from tests.clients.ways import Way, make_way
from tests.conftest import Configure
from tests.issuer_server import StrictIssuer, serve


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Way:
    return make_way(request.param)


@pytest.fixture
def elsewhere() -> Iterator[StrictIssuer]:
    """Another server, at an origin that is not the service's."""
    with serve() as server:
        yield server


@pytest.fixture
def rejected(
    stored: dict[str, str], issuer: StrictIssuer, later: Callable[[float], None]
) -> dict[str, str]:
    """The stored tokens, of which the API does not take the access token any more."""
    later(30)
    issuer.reject_access("alice")
    return stored


@pytest.fixture
def bob(issuer: StrictIssuer, django_user_model: type[User]) -> User:
    user = django_user_model.objects.create_user("bob")
    TokenPair.objects.store(user=user, service="billing", **issuer.pair_for("bob"))
    return user


@pytest.fixture
def anybodys(way: Way, user: User) -> Callable[[], Any]:
    """Makes a client as anybody does, with our auth."""
    auth = TokenPairAuth("billing", user)
    return lambda: way.client(auth=auth)


@pytest.fixture(scope="module")
def graph_url() -> Iterator[str]:
    with graph_api.serving() as url:
        yield url


@pytest.fixture
def doorkeeper(
    monkeypatch: pytest.MonkeyPatch,
    issuer: StrictIssuer,
    graph_url: str,
    configure: Configure,
) -> Doorkeeper:
    """A GraphQL API that asks the issuer's API whom to let in; service "billing" is there."""
    configure(BASE_URL=graph_url)
    doorkeeper = Doorkeeper(ask=issuer.base_url)
    monkeypatch.setattr(graph_api, "doorkeeper", doorkeeper)
    return doorkeeper
