"""A tiny site whose pages call on a user's behalf: `/billing1/call/7/` and the like."""

import os

from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from django.urls import path

from jwt_outbound.tokens import afetch_valid_access_token, fetch_valid_access_token
from tests.concurrency.ending import say_when_ending
from tests.issuer_server.wire import fingerprint


class ViewFailed(Exception):
    """What the failing view raises."""


def call(request: HttpRequest, service: str, user: int) -> HttpResponse:
    return HttpResponse(fingerprint(fetch_valid_access_token(service, user)))


def call_and_fail(request: HttpRequest, service: str, user: int) -> HttpResponse:
    fetch_valid_access_token(service, user)
    raise ViewFailed


def call_by_async_to_sync(request: HttpRequest, service: str, user: int) -> HttpResponse:
    return HttpResponse(fingerprint(async_to_sync(afetch_valid_access_token)(service, user)))


async def acall(request: HttpRequest, service: str, user: int) -> HttpResponse:
    return HttpResponse(fingerprint(await afetch_valid_access_token(service, user)))


def watch(request: HttpRequest) -> HttpResponse:
    say_when_ending()
    return HttpResponse()


def pid(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(os.getpid()))


urlpatterns = [
    path("<str:service>/call/<int:user>/", call),
    path("<str:service>/fail/<int:user>/", call_and_fail),
    path("<str:service>/bridge/<int:user>/", call_by_async_to_sync),
    path("<str:service>/acall/<int:user>/", acall),
    path("pid/", pid),
    path("watch/", watch),
]
