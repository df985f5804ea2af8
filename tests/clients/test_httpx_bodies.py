"""Which bodies httpx and httpx2 send again after a 401: those that are still there."""

import io
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from tests.clients.ways import Way, api, asked, post, ways
from tests.issuer_server import StrictIssuer

pytestmark = [pytest.mark.django_db, ways]

REPLAYABLE: dict[str, Callable[[], dict[str, Any]]] = {
    "bytes": lambda: {"content": b"pay"},
    "text": lambda: {"content": "pay"},
    "json": lambda: {"json": {"pay": 12}},
    "form": lambda: {"data": {"pay": "12"}},
    "file": lambda: {"files": {"scan": ("scan.txt", io.BytesIO(b"pay"), "text/plain")}},
    "file and form": lambda: {"data": {"a": "b"}, "files": {"scan": io.BytesIO(b"pay")}},
    "nothing": dict,
}


@pytest.mark.parametrize("body", REPLAYABLE)
def test_a_body_is_sent_again_whole(
    issuer: StrictIssuer, rejected: dict[str, str], way: Way, anybodys: Any, body: str
) -> None:
    response = way.one(anybodys, post(api(issuer, "echo/"), **REPLAYABLE[body]()))
    assert response.status_code == 200
    assert asked(issuer) == [401, 200]
    assert (b"pay" in response.content) == (body != "nothing")


class Unseekable(io.RawIOBase):
    """A pipe: what was read is gone."""

    def __init__(self) -> None:
        self._left = [b"pay"]

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._left.pop() if self._left else b""


def _pieces() -> Iterator[bytes]:
    yield b"pay"


async def _apieces() -> AsyncIterator[bytes]:
    yield b"pay"


def test_a_stream_is_not_sent_again(
    issuer: StrictIssuer, rejected: dict[str, str], way: Way, anybodys: Any
) -> None:
    content = _apieces() if way.is_async else _pieces()
    response = way.one(anybodys, post(api(issuer, "echo/"), content=content))
    assert response.status_code == 401
    assert asked(issuer) == [401]
    assert issuer.presentations() == []


def test_nor_is_a_form_with_a_file_that_can_not_be_rewound(
    issuer: StrictIssuer, rejected: dict[str, str], way: Way, anybodys: Any
) -> None:
    files = {"scan": ("scan.txt", Unseekable(), "text/plain")}
    assert way.one(anybodys, post(api(issuer, "echo/"), files=files)).status_code == 401
    assert asked(issuer) == [401]
