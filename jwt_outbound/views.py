"""The page where a user who is logged in here logs in at a service's issuer."""

import logging
import math
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import get_script_prefix
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_deny
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from jwt_outbound.conf import get_service, issuer_of
from jwt_outbound.exceptions import (
    CredentialsRefused,
    IssuerMisconfigured,
    IssuerUnavailable,
    ServiceNotConfigured,
)
from jwt_outbound.forms import ConnectForm
from jwt_outbound.models import TokenPair

logger = logging.getLogger("jwt_outbound")

TEMPLATE: Final = "jwt_outbound/connect.html"


# Not in the view's transaction: the issuer has given the pair away once it is here, and no
# transaction should stay open for as long as an issuer takes to answer.
@transaction.non_atomic_requests
@sensitive_post_parameters("password")
@sensitive_variables()
@never_cache
@xframe_options_deny
@csrf_protect
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def connect(request: HttpRequest, service: str) -> HttpResponse:
    """A plain form; once the issuer accepts name and password, on to `next` on this host."""
    _ensure_connectable(service)
    if request.method != "POST":
        initial = {"username": request.user.get_username()}
        return _page(request, service, ConnectForm(initial=initial))
    form = ConnectForm(request.POST)
    if not form.is_valid():
        return _page(request, service, form)
    try:
        TokenPair.objects.obtain(user=request.user, service=service, **form.cleaned_data)
    except CredentialsRefused:
        form.add_error(None, _("The user name or the password is not right."))
        return _page(request, service, form)
    except (IssuerUnavailable, IssuerMisconfigured) as error:
        return _trouble(request, service, form, error)
    messages.success(
        request, _("%(service)s is connected.") % {"service": service}, fail_silently=True
    )
    return HttpResponseRedirect(_next_url(request))


def _ensure_connectable(service: str) -> None:
    """A 404 for a service that is not configured, or that no password opens."""
    try:
        able = issuer_of(get_service(service)).obtains_by_password
    except ServiceNotConfigured:
        able = False
    if not able:
        raise Http404(f"No service {service!r} can be connected with a name and a password.")


def _page(request: HttpRequest, service: str, form: ConnectForm, **answer: Any) -> HttpResponse:
    context = {
        "form": form,
        "service": service,
        "next": _asked_next(request),
        "messages": messages.get_messages(request),
    }
    return render(request, TEMPLATE, context, **answer)


def _trouble(
    request: HttpRequest,
    service: str,
    form: ConnectForm,
    error: IssuerUnavailable | IssuerMisconfigured,
) -> HttpResponse:
    if isinstance(error, IssuerMisconfigured):
        logger.error("%s", error)
        text = _(
            "%(service)s can't be connected: it is not set up right here. Trying again "
            "does not help; please tell those who run this site."
        )
    else:
        text = _(
            "%(service)s does not answer right now, so your password could not be checked. "
            "Please try again in a moment."
        )
    form.add_error(None, text % {"service": service})
    response = _page(request, service, form, status=503)
    if error.retry_after is not None:
        response["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return response


def _asked_next(request: HttpRequest) -> str:
    name = REDIRECT_FIELD_NAME
    return request.POST.get(name, request.GET.get(name, ""))


def _next_url(request: HttpRequest) -> str:
    asked = _asked_next(request)
    own = url_has_allowed_host_and_scheme(
        asked, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return asked if own else get_script_prefix()
