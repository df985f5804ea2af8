"""What the demo's buttons do to billing. Loopback only, and only in the demo."""

import ipaddress
import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase, HttpResponseForbidden, JsonResponse
from django.views.decorators.http import require_GET, require_POST

from demo_project.billing.endpoints import outage, tally
from demo_project.billing.tokens import revoke_logins

View = Callable[..., HttpResponseBase]


def from_loopback(view: View) -> View:
    """Refuse other hosts, and web pages too: a browser asks leave before it posts JSON."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        posted_as_json = request.method == "GET" or request.content_type == "application/json"
        if ipaddress.ip_address(request.META["REMOTE_ADDR"]).is_loopback and posted_as_json:
            return view(request, *args, **kwargs)
        return HttpResponseForbidden("For the demo on this machine only.\n")

    return guarded


@require_GET
@from_loopback
def user_state(request: HttpRequest, username: str) -> JsonResponse:
    user = User.objects.filter(username=username).first()
    requests = tally.of(str(user.pk)) if user else 0
    return JsonResponse({"refresh_requests": requests, "down_for": round(outage.seconds_left(), 1)})


@require_POST
@from_loopback
def begin_outage(request: HttpRequest) -> JsonResponse:
    """``{"seconds": 20}`` takes the token endpoint down; 0 brings it back."""
    outage.begin(float(json.loads(request.body)["seconds"]))
    return JsonResponse({"down_for": round(outage.seconds_left(), 1)})


@require_POST
@from_loopback
def revoke(request: HttpRequest, username: str) -> JsonResponse:
    user = User.objects.filter(username=username).first()
    return JsonResponse({"revoked": revoke_logins(user) if user else 0})
