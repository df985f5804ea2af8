"""A GraphQL API on strawberry that lets in whom the issuer's own API lets in.

It needs no database, and so is served by a plain thread, under the URLs of this module.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
import strawberry
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from graphql import GraphQLError
from strawberry.django.views import GraphQLView
from strawberry.file_uploads import Upload
from strawberry.schema.config import StrawberryConfig
from strawberry.types import Info


@dataclass
class Doorkeeper:
    """How the API refuses, and what it has seen."""

    ask: str = ""
    """An URL that answers 200 to those who may come in."""
    by_status: bool = True
    """Refuse with HTTP 401, as a view of DRF's; else with HTTP 200 and an error code."""
    code: str = "UNAUTHENTICATED"
    admitted: list[bool] = field(default_factory=list)
    """Of each request in turn, whether its token was good."""
    done: list[str] = field(default_factory=list)
    """What mutations have done."""

    def admits(self, request: HttpRequest) -> bool:
        header = {"Authorization": request.headers.get("Authorization", "")}
        self.admitted.append(requests.get(self.ask, headers=header, timeout=5).ok)
        return self.admitted[-1]


doorkeeper = Doorkeeper()


def ensure_admitted(info: Info[Any, None]) -> None:
    if not info.context.request.admitted:
        raise GraphQLError("Who are you?", extensions={"code": doorkeeper.code})


@strawberry.type
class Query:
    @strawberry.field
    def secret(self, info: Info[Any, None]) -> str | None:
        ensure_admitted(info)
        return "for users"

    @strawberry.field
    def open(self) -> str:
        return "for all"


@strawberry.type
class Mutation:
    @strawberry.mutation
    def pay(self, info: Info[Any, None], amount: int) -> str | None:
        ensure_admitted(info)
        doorkeeper.done.append(f"paid {amount}")
        return doorkeeper.done[-1]

    @strawberry.mutation
    def note(self, text: str) -> str | None:
        doorkeeper.done.append(f"noted {text}")
        return doorkeeper.done[-1]

    @strawberry.mutation
    def upload(self, info: Info[Any, None], scan: Upload) -> str | None:
        ensure_admitted(info)
        doorkeeper.done.append(f"kept {scan.read().decode()}")  # type: ignore[attr-defined]
        return doorkeeper.done[-1]


class View(GraphQLView):  # type: ignore[type-arg]
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.admitted = doorkeeper.admits(request)  # type: ignore[attr-defined]
        if doorkeeper.by_status and not request.admitted:  # type: ignore[attr-defined]
            return JsonResponse({"detail": "no"}, status=401)
        return super().dispatch(request, *args, **kwargs)


schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    config=StrawberryConfig(batching_config={"max_operations": 5}),
)
graph = View.as_view(schema=schema, graphql_ide=None, multipart_uploads_enabled=True)

urlpatterns = [path("graphql/", csrf_exempt(graph))]


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""


@contextmanager
def serving() -> Iterator[str]:
    """Where Django answers, with the settings as they are at each request."""
    server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
    server.set_app(WSGIHandler())
    thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
