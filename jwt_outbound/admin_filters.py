"""The filters of the list of pairs: all in SQL, all on the database's clock."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from jwt_outbound.clock import SECOND
from jwt_outbound.fields import DatabaseNow
from jwt_outbound.inspection import State
from jwt_outbound.models import TokenPairEvent
from jwt_outbound.pair_states import state_case

SOON, LATER = 300 * SECOND, 3600 * SECOND


class StateFilter(admin.SimpleListFilter):
    """By the word that the list shows."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return State.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        found: QuerySet[Any] = queryset.annotate(state=state_case()).filter(state=self.value())
        return found


class OutcomeFilter(admin.SimpleListFilter):
    """By what the last attempt came to."""

    title = _("last outcome")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        superseded = TokenPairEvent.Kind.SUPERSEDED.value
        return [choice for choice in TokenPairEvent.Kind.choices if choice[0] != superseded]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(outcome=self.value()) if self.value() else queryset


class ExpiryFilter(admin.SimpleListFilter):
    """By how long the access token is still good."""

    title = _("access token expires")
    parameter_name = "expiry"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [
            ("over", _("has expired")),
            ("soon", _("in less than 5 minutes")),
            ("hour", _("in 5 minutes to an hour")),
            ("later", _("later")),
            ("unknown", _("unknown")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = DatabaseNow()
        conditions = {
            "over": Q(expires_at__lte=now),
            "soon": Q(expires_at__gt=now, expires_at__lte=now + SOON),
            "hour": Q(expires_at__gt=now + SOON, expires_at__lte=now + LATER),
            "later": Q(expires_at__gt=now + LATER),
            "unknown": Q(expires_at=None),
        }
        return queryset.filter(conditions.get(self.value() or "", Q()))
