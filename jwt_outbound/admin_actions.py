"""What staff can do about pairs: each with a permission of its own, asked twice, and written down.

An action does one pair at a time and says what came of it; what the issuer says is passed on.
"""

from collections.abc import Callable
from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from jwt_outbound import refresh_ahead, sessions
from jwt_outbound.compare_and_swap import Swap
from jwt_outbound.exceptions import JWTOutboundError, ServiceNotConfigured
from jwt_outbound.models import IssuerState, TokenPair
from jwt_outbound.read_only_admin import OfUsersAdmin, attach_users

MOST_AT_ONCE: Final = 50
"""Pairs of one action: each may take as long as an issuer takes to answer."""

DESCRIPTIONS: Final = {
    "refresh_now": _("Refresh now"),
    "revoke": _("Revoke at the issuer and forget"),
    "end_sessions": _("End all sessions of the user"),
    "clear_cool_down": _("Clear the cool-down"),
}

Deed = Callable[[Any], str]


class ActingAdmin(OfUsersAdmin):
    """The actions, and who may have them."""

    search_help_text = _("By user name or service, or by a token's whole sub or jti.")
    actions = tuple(DESCRIPTIONS)

    @admin.action(permissions=["refresh_now"], description=DESCRIPTIONS["refresh_now"])
    def refresh_now(self, request: HttpRequest, pairs: QuerySet[Any]) -> HttpResponse | None:
        question = _("Replace these token pairs now, although they may still be good?")
        return self._ask(request, pairs, "refresh_now", question, _refresh)

    @admin.action(permissions=["revoke"], description=DESCRIPTIONS["revoke"])
    def revoke(self, request: HttpRequest, pairs: QuerySet[Any]) -> HttpResponse | None:
        question = _(
            "Revoke these token pairs at the issuer and forget them here? Their users stay logged "
            "in here, and have to connect to the service anew."
        )
        return self._ask(request, pairs, "revoke", question, _revoke)

    @admin.action(permissions=["end_sessions"], description=DESCRIPTIONS["end_sessions"])
    def end_sessions(self, request: HttpRequest, pairs: QuerySet[Any]) -> HttpResponse | None:
        question = _("Log the users of these token pairs out here, on every device?")
        return self._ask(request, pairs, "end_sessions", question, _end_sessions)

    @admin.action(permissions=["clear_cool_down"], description=DESCRIPTIONS["clear_cool_down"])
    def clear_cool_down(self, request: HttpRequest, pairs: QuerySet[Any]) -> HttpResponse | None:
        question = _(
            "End the cool-downs of these token pairs and of their services' issuers? The issuers "
            "are asked again at once."
        )
        return self._ask(request, pairs, "clear_cool_down", question, _clear_cool_down)

    def has_refresh_now_permission(self, request: HttpRequest) -> bool:
        return may(request, "refresh_now_tokenpair")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return may(request, "revoke_tokenpair")

    def has_end_sessions_permission(self, request: HttpRequest) -> bool:
        return may(request, "end_sessions_tokenpair")

    def has_clear_cool_down_permission(self, request: HttpRequest) -> bool:
        return may(request, "clear_cool_down_tokenpair")

    def matching(self, word: str) -> Q:
        return super().matching(word) | Q(sub=word) | Q(jti=word)

    def offered(self, request: HttpRequest) -> list[tuple[str, str]]:
        """The actions that this member of staff may do: name and description."""
        allowed = {name: getattr(self, f"has_{name}_permission")(request) for name in self.actions}
        return [(name, str(DESCRIPTIONS[name])) for name, may_do in allowed.items() if may_do]

    def _ask(
        self, request: HttpRequest, pairs: QuerySet[Any], name: str, question: Any, deed: Deed
    ) -> HttpResponse | None:
        """The confirmation page; once it is confirmed, the deed."""
        rows = list(pairs.order_by("user_id", "service")[: MOST_AT_ONCE + 1])
        if len(rows) > MOST_AT_ONCE:
            text = gettext("Choose at most %d token pairs at once.") % MOST_AT_ONCE
            self.message_user(request, text, messages.ERROR)
            return None
        attach_users(rows)
        if "confirmed" in request.POST:
            for row in rows:
                self._do(request, row, name, deed)
            return HttpResponseRedirect(self._back(request, rows))
        context = {
            **self.admin_site.each_context(request),
            "title": DESCRIPTIONS[name],
            "opts": self.opts,
            "question": question,
            "rows": rows,
            "action": name,
            "back": self._back(request, rows),
            "from_detail": "from_detail" in request.POST,
        }
        return TemplateResponse(request, "admin/jwt_outbound/tokenpair/confirm.html", context)

    def _do(self, request: HttpRequest, row: Any, name: str, deed: Deed) -> None:
        try:
            said, level = deed(row), messages.SUCCESS
        except (JWTOutboundError, ServiceNotConfigured) as error:
            said, level = _in_words(error), messages.ERROR
        self.log_change(request, row, f"{name}: {said}")
        whose = gettext("Token pair of %(user)s for %(service)s") % {
            "user": row.shown_user,
            "service": row.service,
        }
        self.message_user(request, f"{whose}: {said}", level)

    def _back(self, request: HttpRequest, rows: list[Any]) -> str:
        if "from_detail" in request.POST and len(rows) == 1:
            return reverse(
                f"{self.admin_site.name}:jwt_outbound_tokenpair_change", args=[rows[0].pk]
            )
        return request.get_full_path()


def may(request: HttpRequest, codename: str) -> bool:
    """Whether this member of staff has one of our own permissions."""
    return bool(request.user.has_perm(f"jwt_outbound.{codename}"))


def _in_words(error: Exception) -> str:
    """What went wrong, and the issuer's own word for it where it gave one."""
    code, reason = getattr(error, "code", ""), getattr(error, "reason", "")
    words = [f"reason {reason}" if reason else "", f"the issuer said {code}" if code else ""]
    told = ", ".join(filter(None, words))
    return f"{error} ({told})" if told else str(error)


def _refresh(row: Any) -> str:
    if refresh_ahead.refresh_now(row.service, row.user_id):
        return gettext("refreshed.")
    return gettext(
        "left as it is: the answer to an earlier refresh was lost, and asking again while the "
        "access token is good could end the login."
    )


def _revoke(row: Any) -> str:
    if TokenPair.objects.revoke(user=row.user_id, service=row.service):
        return gettext("revoked.")
    return gettext("it was revoked already.")


def _end_sessions(row: Any) -> str:
    sessions.end_sessions(row.user_id)
    return gettext("all sessions have ended.")


def _clear_cool_down(row: Any) -> str:
    over = Swap(where={"generation": row.generation}, changes={"cooldown_until": 0, "failures": 0})
    TokenPair.objects.swap(over, pk=row.pk)
    IssuerState.objects.change(row.service, {"cooling_until": 0, "failures": 0})
    return gettext("the cool-down is over.")
