"""What a request that met one of our errors is answered with (design section 3.7)."""

import math
from time import sleep
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import resolve_url
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _

from jwt_outbound import clock, sessions
from jwt_outbound.audience import is_program
from jwt_outbound.destinations import connect_url, is_here, redirect
from jwt_outbound.exceptions import (
    IssuerMisconfigured,
    LoginRequired,
    RefreshTokenExpired,
    RefreshTokenRefused,
    TemporarilyUnavailable,
    TokenPairUnreadable,
)

PATIENCE: Final = clock.SECOND
"""How long a request waits for the logout that another process is about to write."""
PAUSE_SECONDS: Final = 0.02
RETRY_AFTER: Final = 10
"""Seconds, where nothing better is known: often enough for a person, seldom for a program."""


def respond_to(error: Exception, request: HttpRequest) -> HttpResponse | None:
    """The answer to `error`; None if it is not one of ours."""
    if isinstance(error, TemporarilyUnavailable):
        response = _try_later(error, request)
    elif isinstance(error, LoginRequired):
        response = _let_log_in(error, request)
    else:
        return None
    add_never_cache_headers(response)
    return response


def retry_after(error: TemporarilyUnavailable) -> str:
    """The `Retry-After` header."""
    seconds = error.retry_after
    if seconds is None or not math.isfinite(seconds):
        return str(RETRY_AFTER)
    return str(max(1, math.ceil(seconds)))


# Only a new login helps


def _let_log_in(error: LoginRequired, request: HttpRequest) -> HttpResponse:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return _to_login(error, request)
    if not _is_by_session(request, user):
        return _to_connect(error, request, url=None)
    if _has_ended(error, request):
        logout(request)
        return _to_login(error, request)
    mine = error.user_id is None or str(error.user_id) == str(user.pk)
    return _to_connect(error, request, url=connect_url(error.service) if mine else None)


def _is_by_session(request: HttpRequest, user: Any) -> bool:
    """Whether the session says who `user` is. With DRF and django-ninja it may be a token, and
    `auth` is that; of django-ninja's own session login it is the user."""
    session = getattr(request, "session", None)
    if session is None or getattr(request, "auth", None) not in (None, user):
        return False
    return sessions.owner_of(session) == str(user.pk)


def _has_ended(error: LoginRequired, request: HttpRequest) -> bool:
    """Whether this refusal ends the session.

    The refusal is committed a moment before the logout: who reads the row in between, in
    another process, waits for it.
    """
    patient_until = clock.monotonic() + PATIENCE
    while not sessions.is_behind_now(request.session):
        coming = isinstance(error, RefreshTokenRefused | RefreshTokenExpired) and (
            sessions.is_being_ended(user_id=error.user_id, service=error.service)
        )
        if not coming or clock.monotonic() > patient_until:
            return False
        sleep(PAUSE_SECONDS)
    return True


def _to_login(error: LoginRequired, request: HttpRequest) -> HttpResponse:
    detail = _why_log_in(error)
    if is_program(request):
        return _json(error, 401, "login_required", detail)
    url = resolve_url(settings.LOGIN_URL)
    if is_here(url, request):
        return _page(request, "connect_required", 403, error, detail)
    return redirect(url, request, detail)


def _to_connect(error: LoginRequired, request: HttpRequest, url: str | None) -> HttpResponse:
    detail = _about(error, _("Your account here is not connected to %(service)s (any more)."))
    if is_program(request):
        return _json(error, 403, "connect_required", detail)
    if url is None or is_here(url, request):
        return _page(request, "connect_required", 403, error, detail)
    return redirect(url, request, detail)


def _why_log_in(error: LoginRequired) -> str:
    if isinstance(error, RefreshTokenExpired):
        text = _("Your login at %(service)s has run out. Please log in again.")
    elif isinstance(error, RefreshTokenRefused):
        text = _("Your login at %(service)s has been ended there. Please log in again.")
    else:
        text = _("Please log in to use %(service)s.")
    return _about(error, text)


def _about(error: LoginRequired | TemporarilyUnavailable, text: str) -> str:
    return text % {"service": error.service or _("the other service")}


# Nobody is logged out


def _try_later(error: TemporarilyUnavailable, request: HttpRequest) -> HttpResponse:
    if isinstance(error, IssuerMisconfigured | TokenPairUnreadable):
        text = _("%(service)s can't be reached: those who run this site have to look at it.")
    else:
        text = _("%(service)s is not available right now. Please try again in a moment.")
    detail = _about(error, text)
    if is_program(request):
        response: HttpResponse = _json(error, 503, "temporarily_unavailable", detail)
    else:
        response = _page(request, "temporarily_unavailable", 503, error, detail)
    response["Retry-After"] = retry_after(error)
    return response


def _json(
    error: LoginRequired | TemporarilyUnavailable, status: int, code: str, detail: str
) -> HttpResponse:
    body = {"code": code, "service": error.service, "detail": detail}
    return JsonResponse(body, status=status)


def _page(
    request: HttpRequest,
    template: str,
    status: int,
    error: LoginRequired | TemporarilyUnavailable,
    detail: str,
) -> HttpResponse:
    """A template that a project may override; plain text where it has no templates at all."""
    context = {"service": error.service, "detail": detail}
    try:
        text = render_to_string(f"jwt_outbound/{template}.html", context, request)
    except TemplateDoesNotExist:
        return HttpResponse(detail, status=status, content_type="text/plain; charset=utf-8")
    return HttpResponse(text, status=status)
