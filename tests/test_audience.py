"""A page or JSON: told by what the request says of itself."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.views.decorators.cache import never_cache
from rest_framework.views import APIView

from jwt_outbound.audience import is_program

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

PAGES: list[dict[str, str]] = [
    {},
    {"Accept": "*/*"},
    {"Accept": BROWSER},
    {"Accept": BROWSER, "Sec-Fetch-Mode": "navigate"},
    {"Accept": "text/html, application/json"},
    {"Accept": BROWSER, "Sec-Fetch-Mode": "navigate", "Authorization": "Basic c3RhZ2luZzo="},
    {"Accept": BROWSER, "Sec-Fetch-Mode": "navigate", "X-Requested-With": "com.example.app"},
]
PROGRAMS: list[dict[str, str]] = [
    {"Accept": "application/json"},
    {"Accept": "application/json, text/plain, */*"},
    {"Accept": "application/vnd.api+json"},
    {"Content-Type": "application/json"},
    {"Content-Type": "application/merge-patch+json; charset=utf-8"},
    {"Accept": BROWSER, "X-Requested-With": "XMLHttpRequest"},
    {"Accept": "*/*", "HX-Request": "true"},
    {"Accept": "*/*", "Sec-Fetch-Mode": "cors"},
    {"Accept": BROWSER, "Sec-Fetch-Mode": "same-origin"},
    {"Accept": "*/*", "Authorization": "Bearer x"},
]


def request_with(headers: dict[str, str], view: Any = None) -> Any:
    kind = headers.get("Content-Type", "application/x-www-form-urlencoded")
    request = RequestFactory().post("/", data=b"", content_type=kind, headers=headers)
    request.resolver_match = SimpleNamespace(func=view) if view else None
    return request


@pytest.mark.parametrize("headers", PAGES, ids=str)
def test_a_browser(headers: dict[str, str]) -> None:
    assert not is_program(request_with(headers))


@pytest.mark.parametrize("headers", PROGRAMS, ids=str)
def test_a_program(headers: dict[str, str]) -> None:
    assert is_program(request_with(headers))


def test_a_rest_view_always_speaks_to_programs() -> None:
    view = never_cache(APIView.as_view())
    assert is_program(request_with({"Accept": BROWSER}, view))
    assert not is_program(request_with({"Accept": BROWSER}, lambda request: HttpResponse()))
