"""What the app's admin pages have in common: they change nothing, and join nothing.

The token tables may live in another database than the users, so a page's users are one query of
their own, and a search finds the users' ids first.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from jwt_outbound.conf import get_settings
from jwt_outbound.fields import DatabaseNow

MOST_USERS_FOUND = 1000
MOST_WORDS = 8

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


class ReadOnly:
    """Nothing can be added, changed or deleted."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, ModelAdmin):
    """Says in its titles that it is read-only; its rows know the database's time as `now`."""

    class Media:
        css = {"all": ["jwt_outbound/admin.css"]}

    actions: Any = None
    show_full_result_count = False
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).annotate(now=DatabaseNow())  # type: ignore[no-any-return]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = gettext("%s (read-only)") % self.opts.verbose_name_plural
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        title = gettext("%s (read-only)") % self.opts.verbose_name
        context = {"title": title, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)


class UsersPage(ChangeList):
    """Looks all users of a page up at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = list(self.result_list)
        attach_users(rows)
        self.result_list = rows


class OfUsersAdmin(ReadOnlyAdmin):
    """Rows that belong to a user and a service."""

    search_fields = ("service",)
    search_help_text = _("By user name or service.")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return UsersPage

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Each word must be in the user's name, or be what `matching` says."""
        for word in search_term.split()[:MOST_WORDS]:
            queryset = queryset.filter(
                self.matching(word) | Q(user_id__in=ids_of_users_named(word))
            )
        return queryset, False

    def matching(self, word: str) -> Q:
        """What a word may be found by beside the user's name."""
        return Q(service__icontains=word)

    @admin.display(description=_("user"), ordering="user_id")
    def user_name(self, row: Any) -> str:
        if not hasattr(row, "shown_user"):
            attach_users([row])
        return str(row.shown_user)


class ServiceFilter(admin.SimpleListFilter):
    """By the configured services, which takes no query."""

    title = _("service")
    parameter_name = "service"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        try:
            return [(name, name) for name in get_settings().services]
        except ImproperlyConfigured:
            return []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(service=self.value()) if self.value() else queryset


def attach_users(rows: Iterable[Any]) -> None:
    """Gives each row the name of its user, in one query."""
    rows = list(rows)
    users = get_user_model()._base_manager.in_bulk({row.user_id for row in rows})
    for row in rows:
        user = users.get(row.user_id)
        row.shown_user = user.get_username() if user else f"{row.user_id} (gone)"


def ids_of_users_named(word: str) -> list[Any]:
    """The primary keys of the users with `word` in their names, at most a thousand."""
    users = get_user_model()
    named = users._base_manager.filter(**{f"{users.USERNAME_FIELD}__icontains": word})
    return list(named.values_list("pk", flat=True)[:MOST_USERS_FOUND])
