"""An action's outcome: as JSON for the page's script, as a message on the page without it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import wraps
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse


class MemberRequest(HttpRequest):
    """A request of somebody who is logged in; for type checkers."""

    user: User
    outbound: Any


@dataclass(frozen=True, kw_only=True)
class Outcome:
    headline: str
    good: bool = True
    status: int | None = None
    """The HTTP status that billing answered with."""
    invoices: list[dict[str, Any]] = field(default_factory=list)

    def respond(self, request: HttpRequest) -> HttpResponseBase:
        if wants_json(request):
            return JsonResponse(asdict(self))
        show = messages.success if self.good else messages.warning
        show(request, self.headline)
        return redirect("home")


def wants_json(request: HttpRequest) -> bool:
    return request.headers.get("Accept", "").startswith("application/json")


def members_only(
    view: Callable[[MemberRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Like `login_required`, but a script gets a 401 that it can act on, and no login page."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponseBase:
        if request.user.is_authenticated:
            return view(cast(MemberRequest, request))
        if wants_json(request):
            detail = "Your session has ended: please log in."
            return JsonResponse({"code": "session_ended", "detail": detail}, status=401)
        return redirect_to_login(reverse("home"))

    return guarded
