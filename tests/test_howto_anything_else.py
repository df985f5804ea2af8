"""The code of docs/howto/anything-else.md, run.

websockets and Celery (in eager mode) are the real libraries. `grpc` and the vendor's SDK are
stand-ins with the same signatures: grpcio brings threads that survive no fork, and other tests of
this process fork.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import CO_COROUTINE
from itertools import count
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import pytest
import requests
from asgiref.sync import async_to_sync
from celery import Celery, Task
from celery.signals import task_prerun
from django.contrib.auth.models import User
from django.db import connection
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from jwt_outbound.exceptions import TokenPairNotFound
from jwt_outbound.models import TokenPair
from tests.conftest import EXPIRED_AFTER
from tests.issuer_server import StrictIssuer

PAGE = Path(__file__).resolve().parent.parent / "docs" / "howto" / "anything-else.md"
FEED = "wss://billing.example/feed/"

pytestmark = pytest.mark.django_db

Names = dict[str, Any]
runs = count(1)


class Unauthorized(Exception):
    pass


class RpcError(Exception):
    def __init__(self, code: str) -> None:
        self._code = code

    def code(self) -> str:
        return self._code


class Api:
    """What each stand-in asks with the token that it was given: the issuer's own API."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.tokens: list[str] = []

    def admits(self, authorization: str) -> bool:
        self.tokens.append(authorization.removeprefix("Bearer "))
        headers = {"Authorization": authorization}
        return requests.get(self.url, headers=headers, timeout=5).ok


@pytest.fixture
def api(issuer: StrictIssuer, stored: dict[str, str]) -> Api:
    return Api(f"{issuer.base_url}invoices/")


@pytest.fixture
def vendor(api: Api) -> ModuleType:
    class Client:
        def __init__(self, *, token: str = "", get_token: Callable[[], str] | None = None) -> None:
            self.get_token = get_token or (lambda: token)

        def invoices(self) -> str:
            if not api.admits(f"Bearer {self.get_token()}"):
                raise Unauthorized
            return "invoices"

    module = ModuleType("vendor")
    module.__dict__.update(Client=Client, Unauthorized=Unauthorized)
    return module


@pytest.fixture
def grpc() -> ModuleType:
    """The names that the page uses of grpcio, with its signatures."""

    class AuthMetadataPlugin:
        def __call__(self, context: Any, callback: Any) -> None:
            raise NotImplementedError

    def access_token_call_credentials(access_token: str) -> str:
        return f"Bearer {access_token}"

    def metadata_call_credentials(metadata_plugin: Any, name: str | None = None) -> Any:
        return metadata_plugin

    def composite_channel_credentials(channel_credentials: Any, *call_credentials: Any) -> Any:
        return call_credentials

    def secure_channel(target: str, credentials: Any, options: Any = None) -> Any:
        return target, credentials

    module = ModuleType("grpc")
    module.__dict__.update(
        AuthMetadataPlugin=AuthMetadataPlugin,
        RpcError=RpcError,
        StatusCode=type("StatusCode", (), {"UNAUTHENTICATED": "16", "UNAVAILABLE": "14"}),
        access_token_call_credentials=access_token_call_credentials,
        metadata_call_credentials=metadata_call_credentials,
        composite_channel_credentials=composite_channel_credentials,
        secure_channel=secure_channel,
        ssl_channel_credentials=lambda: "TLS",
    )
    return module


class Stub:
    """A service's stub: its method has the signature of a UnaryUnaryMultiCallable."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def ListInvoices(  # noqa: N802 - gRPC's own way to write it
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = "",
    ) -> str:
        if not self.api.admits(credentials):
            raise RpcError("16")
        return "invoices"


@contextmanager
def feeding(api: Api) -> Iterator[str]:
    """A WebSocket server that lets in whom the API lets in, says one thing and closes."""

    def door(connection: ServerConnection, request: Request) -> Response | None:
        if api.admits(request.headers.get("Authorization", "")):
            return None
        return connection.respond(401, "no")

    def say(connection: ServerConnection) -> None:
        connection.send("an invoice")

    with serve(say, "127.0.0.1", 0, process_request=door) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/feed/"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(
    api: Api,
    user: User,
    vendor: ModuleType,
    grpc: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Names]:
    """What the page's code has defined and done."""
    monkeypatch.setitem(sys.modules, "vendor", vendor)
    monkeypatch.setitem(sys.modules, "grpc", grpc)
    app = Celery("tests", set_as_current=True)
    app.conf.update(task_always_eager=True)
    # A shared task is registered under its module's name, for good.
    names: Names = {
        "__name__": f"page_{next(runs)}",
        "user": user,
        "stub": Stub(api),
        "request": b"",
    }
    with feeding(api) as url:
        for source in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
            run(source.replace(FEED, url), names)
        yield names
    app.close()


def run(source: str, names: Names) -> None:
    """A block may await at its top level, as in `python -m asyncio`."""
    code = compile(source, PAGE.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & CO_COROUTINE:

        async def story() -> None:
            await eval(code, names)  # noqa: S307

        async_to_sync(story)()
    else:
        exec(code, names)  # noqa: S102


def test_each_way_came_through_with_the_stored_token(
    page: Names, api: Api, issuer: StrictIssuer, stored: dict[str, str]
) -> None:
    # SDK twice, gRPC once, the WebSocket four times, the task once.
    assert api.tokens == [stored["access"]] * 8
    assert page["messages"] == ["an invoice"] * 2
    assert issuer.requests("refresh") == []


@pytest.mark.parametrize("way", ["list_invoices", "ask", "first_message"])
def test_a_refused_token_is_replaced_once(
    page: Names,
    api: Api,
    issuer: StrictIssuer,
    user: User,
    later: Callable[[float], None],
    way: str,
) -> None:
    later(60)  # a younger token's refusal would be an answer, not an expiry
    issuer.reject_access("alice")
    api.tokens.clear()
    done = {
        "list_invoices": lambda: page["list_invoices"](user),
        "ask": lambda: page["ask"](page["stub"].ListInvoices, b"", user),
        "first_message": lambda: page["with_token"](
            "billing", user, page["first_message"], page["is_401"]
        ),
    }[way]()
    assert done in {"invoices", "an invoice"}
    first, second = api.tokens
    assert first != second
    assert len(issuer.requests("refresh")) == 1


def test_a_refusal_that_is_no_expiry_is_not_tried_again(page: Names, user: User) -> None:
    tried: list[str] = []

    def call(token: str) -> None:
        tried.append(token)
        raise Unauthorized

    with pytest.raises(Unauthorized):
        page["with_token"]("billing", user, call, lambda error: isinstance(error, Unauthorized))
    assert len(tried) == 1


def test_another_error_is_not_taken_for_a_refusal(page: Names, user: User) -> None:
    tried: list[str] = []

    def call(token: str) -> None:
        tried.append(token)
        raise OSError("the line is dead")

    with pytest.raises(OSError, match="the line is dead"):
        page["with_token"]("billing", user, call, lambda error: False)
    assert len(tried) == 1


@pytest.mark.django_db(transaction=True)
def test_the_plugin_gives_grpc_the_header_or_the_error(
    page: Names, stored: dict[str, str], user: User
) -> None:
    target, (plugin,) = page["channel"]
    assert target == "billing.example:443"
    metadata, error = asked_in_a_thread(plugin)
    assert (metadata, error) == ((("authorization", f"Bearer {stored['access']}"),), None)
    TokenPair.objects.filter(user_id=user.pk).delete()
    metadata, error = asked_in_a_thread(plugin)
    assert metadata == ()
    assert isinstance(error, TokenPairNotFound)


def asked_in_a_thread(plugin: Callable[..., None]) -> Any:
    """What the plugin calls back with, in a thread of its own, as gRPC asks it."""
    given: list[Any] = []
    open_connections: list[bool] = []

    def ask() -> None:
        plugin(None, lambda metadata, error: given.append((metadata, error)))
        open_connections.append(connection.connection is not None)

    thread = Thread(target=ask)
    thread.start()
    thread.join()
    assert open_connections == [False]
    return given.pop()


@pytest.fixture
def retries(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The countdown of each retry that a task has asked for."""
    asked: list[float] = []
    original = Task.retry

    def retry(self: Any, *args: Any, countdown: float, **kwargs: Any) -> Any:
        asked.append(countdown)
        return original(self, *args, countdown=countdown, **kwargs)

    monkeypatch.setattr(Task, "retry", retry)
    return asked


def test_the_task_comes_again_when_the_issuer_may_answer(
    page: Names,
    issuer: StrictIssuer,
    user: User,
    later: Callable[[float], None],
    retries: list[float],
) -> None:
    later(EXPIRED_AFTER)
    issuer.fail(429, times=2, headers={"Retry-After": "7"})

    def wait(task: Any, **_: Any) -> None:
        """Eager mode does not: the clock goes on by as much instead."""
        if task.request.retries:
            later(retries[-1])

    task_prerun.connect(wait)
    try:
        assert page["export_invoices"].delay(user.pk).get() == "invoices"
    finally:
        task_prerun.disconnect(wait)
    assert len(retries) == 2
    assert all(countdown >= 7 for countdown in retries), retries


def test_the_task_stops_where_only_the_user_can_help(
    page: Names,
    issuer: StrictIssuer,
    user: User,
    later: Callable[[float], None],
    retries: list[float],
    caplog: pytest.LogCaptureFixture,
) -> None:
    later(EXPIRED_AFTER)
    issuer.refuse("alice")
    with caplog.at_level("INFO", logger=page["__name__"]):
        assert page["export_invoices"].delay(user.pk).get() is None
    assert retries == []
    said = f"User {user.pk} has to connect billing before the export can go on."
    assert said in caplog.messages


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", PAGE.read_text()):
        assert (PAGE.parent / target).exists(), target
