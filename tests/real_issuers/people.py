"""The control view: what an administrator of the issuer would do, for tests on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST


def create(name: str, password: str = "secret") -> dict[str, Any]:
    user = User.objects.create_user(username=name, password=password)
    return {"id": user.pk}


def set_active(name: str, active: bool) -> dict[str, Any]:
    return {"changed": User.objects.filter(username=name).update(is_active=active)}


def delete(name: str) -> dict[str, Any]:
    deleted, _ = User.objects.filter(username=name).delete()
    return {"deleted": deleted}


VERBS: dict[str, Callable[..., dict[str, Any]]] = {
    "create": create,
    "set_active": set_active,
    "delete": delete,
}


@csrf_exempt
@require_POST
def people(request: HttpRequest, verb: str) -> HttpResponse:
    if request.META["REMOTE_ADDR"] != "127.0.0.1":
        return HttpResponseForbidden("Only this machine may command the test issuer.")
    if verb not in VERBS:
        return JsonResponse({"detail": f"There is no verb {verb!r}."}, status=404)
    return JsonResponse(VERBS[verb](**json.loads(request.body)))
