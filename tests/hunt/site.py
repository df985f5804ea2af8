"""A site whose pages fail while they call: what they show is hunted."""

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from rest_framework.response import Response
from rest_framework.views import APIView

from jwt_outbound.clients import ServiceClient, TokenPairAuth
from jwt_outbound.models import TokenPair
from jwt_outbound.secret import Secret
from tests.hunt.drivers import DRIVERS
from tests.hunt.situations import UNSENDABLE


def call(request: HttpRequest, way: str, where: str) -> HttpResponse:
    """Whatever goes wrong inside is nobody's but Django's."""
    for _ in DRIVERS[way](request.user, where):
        pass
    return HttpResponse("called")


async def acall(request: HttpRequest, way: str, where: str) -> HttpResponse:
    user = await request.auser()  # type: ignore[attr-defined]
    return await sync_to_async(_call)(user, way, where)


def _call(user: Any, way: str, where: str) -> HttpResponse:
    for _ in DRIVERS[way](user, where):
        pass
    return HttpResponse("called")


class Drf(APIView):
    def get(self, request: Any, way: str, where: str) -> Response:
        call(request, way, where)
        return Response("called")


def bug(request: HttpRequest) -> HttpResponse:
    """A bug of the project's own, with everything at hand that it may have at hand."""
    outbound: Any = request.outbound  # type: ignore[attr-defined]
    client = outbound["billing"]
    response = client.get("invoices/")
    sent = response.request
    headers, grant = sent.headers, client.auth.grant()
    pair = TokenPair.objects.get()
    mine = ServiceClient("billing", request.user), TokenPairAuth("billing", request.user)
    raise RuntimeError(f"{response} {sent} {headers} {grant} {pair} {mine} {Secret('x')}")


async def abug(request: HttpRequest) -> HttpResponse:
    outbound: Any = request.aoutbound  # type: ignore[attr-defined]
    client = outbound["billing"]
    response = await client.get("invoices/")
    sent = response.request
    headers = sent.headers
    raise RuntimeError(f"{client} {response} {sent} {headers}")


def store_badly(request: HttpRequest, fault: str) -> HttpResponse:
    """Tokens that are refused at the door."""
    kept = TokenPair.objects.get()
    TokenPair.objects.store(**_bad_arguments(request.user, fault))
    return HttpResponse(str(kept))


def _bad_arguments(user: Any, fault: str) -> dict[str, Any]:
    bad = {
        "break": f"{UNSENDABLE}\r\nX-Header: 1",
        "blank": f"{UNSENDABLE} {UNSENDABLE}",
        "long": UNSENDABLE * 4096,
        "bytes": UNSENDABLE.encode(),
    }
    return {"user": user, "service": "billing", "access": bad[fault], "refresh": UNSENDABLE}


def settings_of(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"user": str(request.user)})


urlpatterns = [
    path("admin/", admin.site.urls),
    path("outbound/", include("jwt_outbound.urls")),
    path("login/", LoginView.as_view(template_name="admin/login.html")),
    path("who/", settings_of),
    path("call/<str:way>/<path:where>", call),
    path("acall/<str:way>/<path:where>", acall),
    path("drf/<str:way>/<path:where>", Drf.as_view()),
    path("bug/", bug),
    path("abug/", abug),
    path("store/<str:fault>/", store_badly),
]
