"""What is sent again after a 401, and what cannot be."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from jwt_outbound.clients import ServiceClient
from tests.issuer_server import StrictIssuer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rejected")]


@pytest.fixture
def client(user: User) -> ServiceClient:
    return ServiceClient("billing", user)


def statuses(issuer: StrictIssuer) -> list[Any]:
    return [each["status"] for each in issuer.requests("api")]


def _text(text: str) -> Iterator[bytes]:
    yield text.encode()


@pytest.mark.parametrize(
    ("body", "echoed"),
    [
        ({"data": b"bytes"}, b"bytes"),
        ({"data": "text"}, b"text"),
        ({"data": {"a": "1"}}, b"a=1"),
        ({"json": {"a": 1}}, b'{"a": 1}'),
        ({}, b""),
        ({"data": io.BytesIO(b"a file")}, b"a file"),
    ],
    ids=["bytes", "text", "form", "json", "none", "file"],
)
def test_are_sent_again_as_they_were(
    client: ServiceClient, issuer: StrictIssuer, body: dict[str, Any], echoed: bytes
) -> None:
    answer = client.post("echo", **body)
    assert (answer.status_code, answer.content) == (200, echoed)
    assert statuses(issuer) == [401, 200]


def test_a_file_is_rewound_to_where_it_was(client: ServiceClient) -> None:
    file = io.BytesIO(b"read already, then sent")
    file.seek(len(b"read already, "))
    assert client.post("echo", data=file).content == b"then sent"


def test_an_upload_is_sent_again(client: ServiceClient) -> None:
    answer = client.post("echo", files={"bill": ("bill.txt", io.BytesIO(b"100 EUR"))})
    assert (answer.status_code, b"100 EUR" in answer.content) == (200, True)


def test_what_cannot_be_rewound_is_not(client: ServiceClient, issuer: StrictIssuer) -> None:
    assert client.post("echo", data=_text("once only")).status_code == 401
    assert (statuses(issuer), issuer.presentations()) == ([401], [])
