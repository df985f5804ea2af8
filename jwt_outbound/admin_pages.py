"""Two pages beside the lists: the dashboard, and the switch that suspends a service's logouts."""

from typing import Any

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext

from jwt_outbound.admin_actions import may
from jwt_outbound.charts import stacked_hours
from jwt_outbound.dashboard import configured_services, dashboard_of
from jwt_outbound.models import IssuerState
from jwt_outbound.read_only_admin import attach_users

SUSPEND = "suspend_logouts_issuerstate"


def dashboard(pairs: "ModelAdmin[Any]", request: HttpRequest) -> HttpResponse:
    """`?service=` for one service."""
    if not pairs.has_view_permission(request):
        raise PermissionDenied
    service = request.GET.get("service", "")
    if service and service not in configured_services():
        raise Http404(f"There is no service {service!r}.")
    shown = dashboard_of(service)
    attach_users(shown.newest_logouts)
    context = {
        **pairs.admin_site.each_context(request),
        "title": gettext("Outbound tokens: dashboard"),
        "opts": pairs.opts,
        "shown": shown,
        "chart": stacked_hours(shown.hours),
        "may_suspend": may(request, SUSPEND),
    }
    return TemplateResponse(request, "admin/jwt_outbound/dashboard.html", context)


def switch_logouts(issuers: "ModelAdmin[Any]", request: HttpRequest, service: str) -> HttpResponse:
    """Asks first; each turn of the switch is in the admin's log."""
    if not may(request, SUSPEND):
        raise PermissionDenied
    known = IssuerState.objects.filter(pk=service).first()
    if known is None and service not in configured_services():
        raise Http404(f"There is no service {service!r}.")
    suspended = bool(known and known.suspended)
    if request.method == "POST":
        return _switch(issuers, request, service, on="suspend" in request.POST)
    context = {
        **issuers.admin_site.each_context(request),
        "title": gettext("Logouts of %s") % service,
        "opts": issuers.opts,
        "service": service,
        "suspended": suspended,
        "back": reverse(f"{issuers.admin_site.name}:jwt_outbound_dashboard"),
    }
    return TemplateResponse(request, "admin/jwt_outbound/switch_logouts.html", context)


def _switch(
    issuers: "ModelAdmin[Any]", request: HttpRequest, service: str, *, on: bool
) -> HttpResponse:
    IssuerState.objects.change(service, {"suspended": on})
    said = gettext("logouts suspended") if on else gettext("logouts go on")
    issuers.log_change(request, IssuerState.objects.get(pk=service), said)
    issuers.message_user(request, f"{service}: {said}.")
    return HttpResponseRedirect(reverse(f"{issuers.admin_site.name}:jwt_outbound_dashboard"))
