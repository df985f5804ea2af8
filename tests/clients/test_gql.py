"""GraphQL over gql's own Client, sync and async, on a real endpoint over HTTP."""

import io
import sys
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from gql import Client, FileVar, GraphQLRequest, gql
from gql.transport.exceptions import (
    TransportConnectionFailed,
    TransportQueryError,
    TransportServerError,
)

from jwt_outbound.clients.gql import async_transport, transport
from jwt_outbound.exceptions import (
    ForeignOrigin,
    LoginRequired,
    RefreshTokenRefused,
    ServiceNotConfigured,
    TemporarilyUnavailable,
)
from jwt_outbound.rows import Pair
from tests.clients import graph_api
from tests.clients.graph_api import Doorkeeper
from tests.issuer_server import StrictIssuer

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls(graph_api.__name__),
]

Execute = Callable[..., Any]

QUERY = gql("{ secret }")
OPEN = gql("{ open }")
BOTH = gql("{ open secret }")
PAY = gql("mutation ($amount: Int!) { pay(amount: $amount) }")
NOTE_AND_PAY = gql('mutation { note(text: "x") pay(amount: 1) }')
UPLOAD = gql("mutation ($scan: Upload!) { upload(scan: $scan) }")


@pytest.fixture(params=["sync", "async"])
def execute(request: pytest.FixtureRequest, user: User) -> Execute:
    """`execute(document, variables=None, **transport's options)`, with a client of its own."""

    def in_thread(document: Any, *, codes: Any = ("UNAUTHENTICATED",), **options: Any) -> Any:
        made = transport("billing", user, url="graphql/", codes=codes)
        with Client(transport=made) as session:
            return session.execute(_request(document, options), **options)

    async def on_loop(document: Any, *, codes: Any = ("UNAUTHENTICATED",), **options: Any) -> Any:
        made = async_transport("billing", user, url="graphql/", codes=codes)
        async with Client(transport=made) as session:
            return await session.execute(_request(document, options), **options)

    return async_to_sync(on_loop) if request.param == "async" else in_thread


def _request(document: Any, options: dict[str, Any]) -> GraphQLRequest:
    return GraphQLRequest(document.document, variable_values=options.pop("variables", None))


by_status_and_by_code = pytest.mark.parametrize("by_status", [True, False])


def test_a_query(doorkeeper: Doorkeeper, stored: dict[str, str], execute: Execute) -> None:
    assert execute(QUERY) == {"secret": "for users"}
    assert doorkeeper.admitted == [True]


def test_an_expired_token_is_refreshed_first(
    doorkeeper: Doorkeeper,
    stored: dict[str, str],
    execute: Execute,
    later: Any,
    issuer: StrictIssuer,
) -> None:
    later(301)
    assert execute(QUERY) == {"secret": "for users"}
    assert doorkeeper.admitted == [True]
    assert len(issuer.presentations()) == 1


@by_status_and_by_code
def test_a_refused_query_is_sent_again_once(
    doorkeeper: Doorkeeper,
    rejected: dict[str, str],
    execute: Execute,
    issuer: StrictIssuer,
    by_status: bool,
) -> None:
    doorkeeper.by_status = by_status
    assert execute(QUERY) == {"secret": "for users"}
    assert doorkeeper.admitted == [False, True]
    assert len(issuer.presentations()) == 1


@by_status_and_by_code
def test_so_is_a_refused_mutation_which_is_done_once(
    doorkeeper: Doorkeeper, rejected: dict[str, str], execute: Execute, by_status: bool
) -> None:
    doorkeeper.by_status = by_status
    assert execute(PAY, variables={"amount": 7}) == {"pay": "paid 7"}
    assert (doorkeeper.admitted, doorkeeper.done) == ([False, True], ["paid 7"])


@by_status_and_by_code
def test_so_is_an_upload_whole(
    doorkeeper: Doorkeeper, rejected: dict[str, str], execute: Execute, by_status: bool
) -> None:
    doorkeeper.by_status = by_status
    scan = FileVar(io.BytesIO(b"a receipt"), filename="receipt.txt")
    found = execute(UPLOAD, variables={"scan": scan}, upload_files=True)
    assert found == {"upload": "kept a receipt"}
    assert (doorkeeper.admitted, doorkeeper.done) == ([False, True], ["kept a receipt"])


def test_a_query_answered_in_part_is_sent_again(
    doorkeeper: Doorkeeper, rejected: dict[str, str], execute: Execute
) -> None:
    doorkeeper.by_status = False
    assert execute(BOTH) == {"open": "for all", "secret": "for users"}
    assert doorkeeper.admitted == [False, True]


def test_a_mutation_done_in_part_is_not(
    doorkeeper: Doorkeeper, rejected: dict[str, str], execute: Execute, issuer: StrictIssuer
) -> None:
    doorkeeper.by_status = False
    with pytest.raises(TransportQueryError):
        execute(NOTE_AND_PAY)
    assert (doorkeeper.admitted, doorkeeper.done) == ([False], ["noted x"])
    assert issuer.presentations() == []


def test_the_error_codes_can_be_chosen(
    doorkeeper: Doorkeeper, rejected: dict[str, str], execute: Execute
) -> None:
    doorkeeper.by_status, doorkeeper.code = False, "AUTH_NOT_AUTHENTICATED"
    with pytest.raises(TransportQueryError):
        execute(QUERY)
    assert doorkeeper.admitted == [False]
    assert execute(QUERY, codes=["AUTH_NOT_AUTHENTICATED"]) == {"secret": "for users"}
    assert doorkeeper.admitted == [False, False, True]


@by_status_and_by_code
def test_never_a_third_time(
    doorkeeper: Doorkeeper,
    stored: dict[str, str],
    execute: Execute,
    issuer: StrictIssuer,
    later: Any,
    row: Callable[[], Pair],
    by_status: bool,
) -> None:
    later(30)
    doorkeeper.by_status, doorkeeper.ask = by_status, issuer.base_url + "always401/"
    with pytest.raises((TransportServerError, TransportQueryError)):
        execute(QUERY)
    assert doorkeeper.admitted == [False, False]
    assert (len(issuer.presentations()), row().holds) == (1, 1)


@by_status_and_by_code
def test_a_batch(
    doorkeeper: Doorkeeper, rejected: dict[str, str], user: User, in_batch: Execute, by_status: bool
) -> None:
    doorkeeper.by_status = by_status
    found = in_batch(GraphQLRequest(QUERY.document), GraphQLRequest(OPEN.document))
    assert found == [{"secret": "for users"}, {"open": "for all"}]
    assert doorkeeper.admitted == [False, True]


@pytest.fixture(params=["sync", "async"])
def in_batch(request: pytest.FixtureRequest, user: User) -> Execute:
    def in_thread(*requests: GraphQLRequest) -> Any:
        with Client(transport=transport("billing", user, url="graphql/")) as session:
            return session.execute_batch(list(requests))

    async def on_loop(*requests: GraphQLRequest) -> Any:
        async with Client(transport=async_transport("billing", user, url="graphql/")) as session:
            return await session.execute_batch(list(requests))

    return async_to_sync(on_loop) if request.param == "async" else in_thread


def test_our_errors_rise_as_they_are(
    doorkeeper: Doorkeeper, rejected: dict[str, str], execute: Execute, issuer: StrictIssuer
) -> None:
    issuer.fail(503)
    with pytest.raises(TemporarilyUnavailable):
        execute(QUERY)


def test_a_refusal_rises_as_it_is(
    doorkeeper: Doorkeeper, rejected: dict[str, str], execute: Execute, issuer: StrictIssuer
) -> None:
    issuer.refuse("alice")
    with pytest.raises(RefreshTokenRefused):
        execute(QUERY)


def test_other_errors_stay_gql_s_own_and_show_no_token(
    doorkeeper: Doorkeeper, stored: dict[str, str], execute: Execute
) -> None:
    """A line break in a header fails in the midst of the writing of all of them."""
    with pytest.raises(TransportConnectionFailed) as caught:
        execute(QUERY, extra_args={"headers": {"X-Note": "two\nlines"}})
    assert stored["access"] not in _all_locals(caught.value)


def _all_locals(error: BaseException | None) -> str:
    shown = ""
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            if "/tests/" not in trace.tb_frame.f_code.co_filename:
                shown += repr(trace.tb_frame.f_locals)
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
    return shown


@pytest.mark.parametrize("make", [transport, async_transport])
def test_a_foreign_url_is_refused_at_construction(
    make: Any, doorkeeper: Doorkeeper, user: User
) -> None:
    for url in ("https://elsewhere.example/graphql/", "//elsewhere.example/", "../graphql/"):
        with pytest.raises(ForeignOrigin):
            make("billing", user, url=url)
    with pytest.raises(ServiceNotConfigured):
        make("nowhere", user, url="graphql/")
    with pytest.raises(LoginRequired):
        make("billing", None, url="graphql/")


def test_the_url_is_below_the_base_url_or_the_service_s_own(
    doorkeeper: Doorkeeper, user: User, graph_url: str
) -> None:
    for url in ("graphql/", "/graphql/", f"{graph_url}/graphql/"):
        assert transport("billing", user, url=url).url == f"{graph_url}/graphql/"
    assert transport("billing", user).url == f"{graph_url}/"


def test_without_gql_the_cure_is_named(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("gql", "gql.transport", "gql.transport.httpx"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jwt-outbound\[graphql\]'"):
        transport("billing", user, url="graphql/")
