"""The admin: pairs with their state and claims, their history, and what is known of issuers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from jwt_outbound.ciphers import ACCESS, REFRESH
from jwt_outbound.inspection import (
    State,
    facts_of,
    moment_seen_from,
    pair_of,
    state_of,
    words_for,
)
from jwt_outbound.models import IssuerState, TokenPair, TokenPairEvent
from jwt_outbound.read_only_admin import (
    OfUsersAdmin,
    ReadOnly,
    ReadOnlyAdmin,
    ServiceFilter,
    UsersPage,
)
from jwt_outbound.rows import IssuerHealth

SHOWN_EVENTS = 50
NOTHING = "-"

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
    "generation",
    "duration_ms",
    "host",
    "pid",
)


def _time(column: str, text: Any) -> Callable[[Any], str]:
    """A read-only field that shows the protocol's time in `column`, and how far away it is."""

    @admin.display(description=text, ordering=column)
    def show(row: Any) -> str:
        return moment_seen_from(row.now, getattr(row, column)) or NOTHING

    show.__name__ = column
    return show


EXPIRES = _time("expires_at", _("expires at"))
DUE = _time("refresh_at", _("refreshed ahead at"))
OBTAINED = _time("obtained_at", _("obtained at"))
REFRESH_EXPIRES = _time("refresh_expires_at", _("expires at"))
COOLING = _time("cooldown_until", _("cooling down until"))
LEASED = _time("lease_until", _("leased until"))
PRESENTED = _time("presented_at", _("last presented at"))
PENDING = _time("pending_until", _("refusal pending until"))
REFUSED = _time("refused_at", _("refused at"))
ANNOUNCED = _time("announced_at", _("announced at"))
REVOKED = _time("revoked_at", _("revoked at"))
ISSUER_COOLING = _time("cooling_until", _("cooling down until"))


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
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        attach_health(list(self.result_list))


@admin.register(TokenPair)
class TokenPairAdmin(OfUsersAdmin):
    list_display = ("user_name", "service", "state", "expires_in", "generation")
    list_filter = (ServiceFilter,)
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
                "fields": ("user_name", "service", "state", "generation", OBTAINED, "created"),
            },
        ),
        (_("Access token"), {"fields": (EXPIRES, DUE, "access_claims")}),
        (_("Refresh token"), {"fields": (REFRESH_EXPIRES, "refresh_claims")}),
        (
            _("Refreshing"),
            {
                "fields": (
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

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PairsPage

    @admin.display(description=_("state"))
    def state(self, row: Any) -> str:
        if not hasattr(row, "shown_health"):
            attach_health([row])
        return str(state_of(pair_of(row), row.now, row.shown_health).label)

    @admin.display(description=_("expires in"), ordering="expires_at")
    def expires_in(self, row: Any) -> str:
        if row.expires_at is None:
            return str(State.UNKNOWN.label)
        return words_for(row.expires_at - row.now) if row.expires_at > row.now else "0 s"

    @admin.display(description=_("claims"))
    def access_claims(self, row: Any) -> SafeString:
        return claims_as_html(row, ACCESS)

    @admin.display(description=_("claims"))
    def refresh_claims(self, row: Any) -> SafeString:
        return claims_as_html(row, REFRESH)

    @admin.display(description=_("last lease"))
    def holder(self, row: Any) -> str:
        if not row.lease_id:
            return NOTHING
        return f"{row.lease_id}: {row.lease_host}, {_('process')} {row.lease_pid}"

    @admin.display(description=_("issuer's clock less ours"))
    def clock(self, row: Any) -> str:
        if row.skew is None:
            return NOTHING
        return f"{'-' if row.skew < 0 else ''}{words_for(row.skew)}"


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
    list_display: Any = ("service", ISSUER_COOLING, "failures", "proven")
    fields = readonly_fields = list_display
    ordering = ("service",)


def attach_health(rows: list[Any]) -> None:
    """Gives each row what is known of its issuer, in one query."""
    states = IssuerState.objects.in_bulk({row.service for row in rows})
    for row in rows:
        known = states.get(row.service)
        row.shown_health = IssuerHealth(cooling_until=known.cooling_until) if known else None


def claims_as_html(row: Any, kind: str) -> SafeString:
    """Header and payload, and the dates among the claims as dates."""
    facts = facts_of(pair_of(row), kind)
    if facts.fault:
        return format_html("{}", facts.fault)
    dates = format_html_join("", "<div>{}: {}</div>", facts.dates)
    return format_html("{}<pre>{}\n{}</pre>", dates, facts.header, facts.payload)
