"""The admin: pairs with their state and claims, their history, and what is known of issuers."""

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db import connections
from django.db.models import QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from jwt_outbound import admin_pages
from jwt_outbound.admin_actions import ActingAdmin
from jwt_outbound.admin_columns import (
    ALARMED,
    ANNOUNCED,
    CLAIMED,
    COOLING,
    DUE,
    EXPIRES,
    ISSUER_COOLING,
    LEASED,
    OBTAINED,
    PENDING,
    PRESENTED,
    REFRESH_EXPIRES,
    REFUSED,
    REVOKED,
    PairColumns,
    attach_health,
)
from jwt_outbound.admin_filters import ExpiryFilter, OutcomeFilter, StateFilter
from jwt_outbound.models import IssuerState, TokenPair, TokenPairEvent
from jwt_outbound.read_only_admin import (
    OfUsersAdmin,
    ReadOnly,
    ReadOnlyAdmin,
    ServiceFilter,
    UsersPage,
)

SHOWN_EVENTS = 50

if TYPE_CHECKING:
    TabularInline = admin.TabularInline[Any, Any]
    FormSet = BaseInlineFormSet[Any, Any, Any]
else:
    TabularInline, FormSet = admin.TabularInline, BaseInlineFormSet

EVENT_COLUMNS = (
    "at",
    "kind",
    "reason",
    "code",
    "status",
    "ambiguous",
    "replay",
    "takeover",
    "generation",
    "duration_ms",
    "host",
    "pid",
)


class NewestEvents(FormSet):
    """The newest lines only: a pair lives for years."""

    def get_queryset(self) -> QuerySet[Any]:
        if not hasattr(self, "_newest"):
            self._newest = super().get_queryset()[:SHOWN_EVENTS]
        return self._newest


class HistoryInline(ReadOnly, TabularInline):
    model = TokenPairEvent
    formset = NewestEvents
    fields = readonly_fields = EVENT_COLUMNS
    ordering = ("-at",)
    extra = 0
    verbose_name_plural = _("History: the newest 50 events")


class PairsPage(UsersPage):
    def get_filters(self, request: HttpRequest) -> Any:
        """No date hierarchy where MariaDB lacks the time zones: it would be an error page."""
        if not connections[self.root_queryset.db].features.has_zoneinfo_database:
            self.date_hierarchy = None
        return super().get_filters(request)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        attach_health(list(self.result_list))


@admin.register(TokenPair)
class TokenPairAdmin(PairColumns, ActingAdmin):
    list_display = (
        "user_name",
        "service",
        "state",
        "expires_in",
        "generation",
        "last_refreshed",
        "last_outcome",
    )
    list_filter = (ServiceFilter, StateFilter, OutcomeFilter, ExpiryFilter)
    date_hierarchy = "created"
    ordering = ("user_id", "service")
    inlines = (HistoryInline,)
    fieldsets: ClassVar[Any] = (
        (
            None,
            {
                "description": _(
                    "Read-only. The tokens themselves are never shown; what they say is decoded "
                    "without verifying their signatures. Times are by the database's clock."
                ),
                "fields": (
                    "user_name",
                    "service",
                    "state",
                    "generation",
                    OBTAINED,
                    "last_outcome",
                    "created",
                    "drawing",
                ),
            },
        ),
        (_("Access token"), {"fields": (EXPIRES, DUE, "sub", "jti", "access_claims")}),
        (_("Refresh token"), {"fields": (REFRESH_EXPIRES, "refresh_claims")}),
        (
            _("Refreshing"),
            {
                "fields": (
                    "in_use",
                    CLAIMED,
                    "holder",
                    LEASED,
                    PRESENTED,
                    "presentations",
                    COOLING,
                    "failures",
                    "clock",
                )
            },
        ),
        (
            _("End of the login"),
            {"fields": (PENDING, REFUSED, "reason", "code", ANNOUNCED, REVOKED, "reconnect")},
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [field for _title, options in self.fieldsets for field in options["fields"]]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.dashboard)
        return [path("dashboard/", view, name="jwt_outbound_dashboard"), *super().get_urls()]

    def dashboard(self, request: HttpRequest) -> HttpResponse:
        return admin_pages.dashboard(self, request)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {"pair_actions": self.offered(request), "object_id": object_id}
        context.update(extra_context or {})
        return super().changeform_view(request, object_id, form_url, context)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PairsPage


@admin.register(TokenPairEvent)
class TokenPairEventAdmin(OfUsersAdmin):
    list_display = (*EVENT_COLUMNS[:1], "user_name", "service", *EVENT_COLUMNS[1:])
    list_filter = (ServiceFilter, "kind")
    ordering = ("-at",)
    fields = readonly_fields = ("user_name", "service", "pair_id", *EVENT_COLUMNS)

    @admin.display(description=_("token pair"))
    def pair_id(self, row: Any) -> str:
        return str(row.pair_id)


@admin.register(IssuerState)
class IssuerStateAdmin(ReadOnlyAdmin):
    list_display: Any = ("service", ISSUER_COOLING, "failures", "proven", "suspended", ALARMED)
    fields = readonly_fields = list_display
    ordering = ("service",)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.switch_logouts)
        route = "<str:service>/logouts/"
        return [path(route, view, name="jwt_outbound_switch_logouts"), *super().get_urls()]

    def switch_logouts(self, request: HttpRequest, service: str) -> HttpResponse:
        return admin_pages.switch_logouts(self, request, service)
