"""The code of the how-tos, run as it stands, against a real issuer and APIs over HTTP."""

import ast
import re
from collections.abc import Iterator
from inspect import CO_COROUTINE
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import AsyncRequestFactory

from jwt_outbound.middleware import OutboundMiddleware
from tests.clients import graph_api
from tests.clients.ways import LIBRARIES
from tests.conftest import Configure
from tests.issuer_server import StrictIssuer

HOWTO = Path(__file__).resolve().parent.parent / "docs" / "howto"
API, GRAPH = "https://billing.example/api/", "https://billing.example/graphql/"

pytestmark = [pytest.mark.django_db, pytest.mark.urls(graph_api.__name__)]


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (HOWTO / page).read_text(), re.DOTALL)


def run_page(page: str, names: dict[str, Any], replaced: dict[str, str]) -> dict[str, Any]:
    """What the page's code has defined. Of its text only what is in `replaced` is changed."""
    for source in blocks(page):
        for written, meant in replaced.items():
            source = source.replace(written, meant)
        run(source, page, names)
    return names


def run(source: str, page: str, names: dict[str, Any]) -> None:
    """A block may await at its top level, as in `python -m asyncio`."""
    code = compile(source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & CO_COROUTINE:

        async def story() -> None:
            await eval(code, names)  # noqa: S307

        async_to_sync(story)()
    else:
        exec(code, names)  # noqa: S102


def visit(view: Any, user: User) -> Any:
    """The response of an async view that the user asks."""

    async def story() -> Any:
        async def auser() -> User:
            return user

        request = AsyncRequestFactory().get("/")
        request.user, request.auser = user, auser
        return await OutboundMiddleware(view)(request)  # type: ignore[misc]

    return async_to_sync(story)()


@pytest.fixture(scope="module")
def graph_url() -> Iterator[str]:
    with graph_api.serving() as url:
        yield f"{url}/graphql/"


@pytest.fixture
def graph(
    graph_url: str, issuer: StrictIssuer, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> str:
    """A GraphQL API that belongs to the service, and lets in whom the issuer's API lets in."""
    doorkeeper = graph_api.Doorkeeper(ask=issuer.base_url)
    monkeypatch.setattr(graph_api, "doorkeeper", doorkeeper)
    configure(ALLOWED_ORIGINS=[graph_url])
    return graph_url


def test_httpx(issuer: StrictIssuer, stored: dict[str, str], user: User) -> None:
    installed = "import httpx" if "httpx" in LIBRARIES else "import httpx2 as httpx"
    replaced = {API: issuer.base_url, "import httpx\n": f"{installed}\n"}
    names = run_page("httpx.md", {"user": user}, replaced)
    assert visit(names["invoices"], user).status_code == 200
    assert [seen["status"] for seen in issuer.requests("api")] == [200] * 7


def test_graphql(
    issuer: StrictIssuer,
    stored: dict[str, str],
    user: User,
    graph: str,
    configure: Configure,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure(BASE_URL=graph.removesuffix("graphql/"))
    (tmp_path / "receipt.txt").write_text("a receipt")
    monkeypatch.chdir(tmp_path)
    names = run_page("graphql.md", {"user": user}, {GRAPH: graph})
    assert visit(names["summary"], user).content == b'{"secret": "for users"}'
    assert graph_api.doorkeeper.done == ["paid 12", "kept a receipt"]


def test_existing_code(
    issuer: StrictIssuer, stored: dict[str, str], user: User, graph: str
) -> None:
    run_page("existing-code.md", {"user": user}, {API: issuer.base_url, GRAPH: graph})
    pages = [seen["path"] for seen in issuer.requests("api")]
    assert pages.count("/api/invoices/") == 4


@pytest.mark.parametrize("page", ["existing-code.md", "graphql.md", "httpx.md"])
def test_its_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", (HOWTO / page).read_text()):
        assert (HOWTO / target).exists(), target
