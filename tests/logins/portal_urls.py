"""The portal's pages: those of its library, those that look, and one that changes things."""

import json
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.contrib.sessions.models import Session
from django.core import serializers
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from jwt_outbound.models import TokenPair
from jwt_outbound.testing import shift_clock
from tests.logins.page import code

BACKEND = "django.contrib.auth.backends.ModelBackend"


def home(request: HttpRequest) -> HttpResponse:
    """Who is logged in, and which of the users have a pair of which generation."""
    pairs = {
        pair.service: {"user": str(pair.user_id), "generation": pair.generation}
        for pair in TokenPair.objects.all()
    }
    return JsonResponse({"user": str(request.user.pk or ""), "pairs": pairs})


def call(request: Any) -> HttpResponse:
    """Asks the API who the caller is."""
    answer = request.outbound["billing"].get("me/")
    return JsonResponse(answer.json(), status=answer.status_code)


@csrf_exempt
def control(request: HttpRequest, verb: str) -> HttpResponse:
    """What happens to a portal, for tests on this machine."""
    said = VERBS[verb](request, **json.loads(request.body))
    return JsonResponse({"said": said})


def log_in(request: HttpRequest, name: str) -> None:
    user, _ = get_user_model().objects.get_or_create(username=name)
    login(request, user, BACKEND)


def deactivate(request: HttpRequest) -> None:
    get_user_model().objects.update(is_active=False)


def shift(request: HttpRequest, seconds: float) -> None:
    shift_clock(seconds)


def verify(request: HttpRequest) -> None:
    """The users have clicked on the link that allauth has sent them."""
    apps.get_model("account", "EmailAddress")._base_manager.update(verified=True)


def written(request: HttpRequest) -> str:
    """All rows of all tables, with the sessions decoded."""
    rows = [row for model in apps.get_models() for row in model._base_manager.all()]
    sessions = [session.get_decoded() for session in Session.objects.all()]
    return serializers.serialize("json", rows) + json.dumps(sessions, default=str)


VERBS = {each.__name__: each for each in (log_in, deactivate, shift, verify, written)}


def pages_of_the_library() -> list[Any]:
    if settings.LOGIN_LIBRARY == "django-allauth":
        return [path("accounts/", include("allauth.urls"))]
    if settings.LOGIN_LIBRARY == "social-auth-app-django":
        return [path("", include("social_django.urls"))]
    if settings.LOGIN_LIBRARY == "mozilla-django-oidc":
        return [path("oidc/", include("mozilla_django_oidc.urls"))]
    views: dict[str, Any] = {"__name__": "views"}
    exec(code("Authlib", "views.py", settings.LOGIN_PROVIDER), views)  # noqa: S102
    return [path("begin/", views["begin"]), path("callback/", views["callback"], name="callback")]


urlpatterns = [
    path("", home),
    path("call/", call),
    path("control/<verb>/", control),
    *pages_of_the_library(),
]
