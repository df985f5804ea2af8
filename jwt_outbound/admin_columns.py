"""What the admin shows of a pair, column by column: words, times and claims, never a token."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from jwt_outbound.charts import timeline
from jwt_outbound.ciphers import ACCESS, REFRESH
from jwt_outbound.inspection import (
    State,
    facts_of,
    is_readable,
    moment,
    moment_seen_from,
    pair_of,
    state_of,
    words_for,
)
from jwt_outbound.models import IssuerState, TokenPairEvent
from jwt_outbound.rows import IssuerHealth

DRAWN_EVENTS = 200
SHADES = {
    State.FRESH: "good",
    State.STALE: "soon",
    State.EXPIRED: "calm",
    State.COOLING_DOWN: "soon",
    State.PENDING: "soon",
    State.UNKNOWN: "calm",
    State.REVOKED: "calm",
}
"""Colours of the words; the others are bad news."""
NOTHING = "-"


def time_column(column: str, text: Any) -> Callable[[Any], str]:
    """A read-only field that shows the protocol's time in `column`, and how far away it is."""

    @admin.display(description=text, ordering=column)
    def show(row: Any) -> str:
        return moment_seen_from(row.now, getattr(row, column)) or NOTHING

    show.__name__ = column
    return show


EXPIRES = time_column("expires_at", _("expires at"))
DUE = time_column("refresh_at", _("refreshed ahead at"))
OBTAINED = time_column("obtained_at", _("obtained at"))
REFRESH_EXPIRES = time_column("refresh_expires_at", _("expires at"))
COOLING = time_column("cooldown_until", _("cooling down until"))
LEASED = time_column("lease_until", _("leased until"))
CLAIMED = time_column("claimed_until", _("in a worker's hands until"))
PRESENTED = time_column("presented_at", _("last presented at"))
PENDING = time_column("pending_until", _("refusal pending until"))
REFUSED = time_column("refused_at", _("refused at"))
ANNOUNCED = time_column("announced_at", _("announced at"))
REVOKED = time_column("revoked_at", _("revoked at"))
ISSUER_COOLING = time_column("cooling_until", _("cooling down until"))
ALARMED = time_column("alarmed_at", _("last alarm at"))


class PairColumns:
    """The methods that a list or a page of pairs names as its fields."""

    @admin.display(description=_("state"))
    def state(self, row: Any) -> str:
        if not hasattr(row, "shown_health"):
            attach_health([row])
        pair = pair_of(row)
        state = state_of(pair, row.now, row.shown_health, readable=is_readable(pair))
        shade = SHADES.get(state, "bad")
        return format_html('<span class="jwt-state jwt-{}">{}</span>', shade, state.label)

    @admin.display(description=_("expires in"), ordering="expires_at")
    def expires_in(self, row: Any) -> str:
        if row.expires_at is None:
            return str(State.UNKNOWN.label)
        left = words_for(max(row.expires_at - row.now, 0))
        return format_html('<span title="{}">{}</span>', moment(row.expires_at), left)

    @admin.display(description=_("last refreshed"), ordering="obtained_at")
    def last_refreshed(self, row: Any) -> str:
        if not row.obtained_at:
            return NOTHING
        ago = _("%s ago") % words_for(row.now - row.obtained_at)
        return format_html('<span title="{}">{}</span>', moment(row.obtained_at), ago)

    @admin.display(description=_("last outcome"), ordering="outcome")
    def last_outcome(self, row: Any) -> str:
        return str(dict(TokenPairEvent.Kind.choices).get(row.outcome, NOTHING))

    @admin.display(description=_("over time"))
    def drawing(self, row: Any) -> str:
        return timeline(row.events.order_by("-at")[:DRAWN_EVENTS]) or NOTHING

    @admin.display(description=_("claims"))
    def access_claims(self, row: Any) -> SafeString:
        return claims_as_html(row, ACCESS)

    @admin.display(description=_("claims"))
    def refresh_claims(self, row: Any) -> SafeString:
        return claims_as_html(row, REFRESH)

    @admin.display(description=_("in use"))
    def in_use(self, row: Any) -> str:
        if row.parked:
            return str(_("no: left alone until somebody uses it"))
        used = row.generation > 0 and row.used_generation >= row.generation
        return str(_("yes") if used else _("not since its last refresh"))

    @admin.display(description=_("refreshed now by"))
    def holder(self, row: Any) -> str:
        if not row.lease_id:
            return NOTHING
        last = f"{row.lease_id}: {row.lease_host}, {_('process')} {row.lease_pid}"
        return last if row.lease_until > row.now else str(_("nobody; last by %s") % last)

    @admin.display(description=_("issuer's clock less ours"))
    def clock(self, row: Any) -> str:
        if row.skew is None:
            return NOTHING
        return f"{'-' if row.skew < 0 else ''}{words_for(row.skew)}"


def attach_health(rows: list[Any]) -> None:
    """Gives each row what is known of its issuer, in one query."""
    states = IssuerState.objects.in_bulk({row.service for row in rows})
    for row in rows:
        known = states.get(row.service)
        row.shown_health = IssuerHealth(cooling_until=known.cooling_until) if known else None


def claims_as_html(row: Any, kind: str) -> SafeString:
    """Fingerprint, header and payload, and the dates among the claims as dates."""
    facts = facts_of(pair_of(row), kind)
    lines = [(_("fingerprint"), facts.fingerprint)] if facts.fingerprint else []
    seen = format_html_join("", "<div>{}: {}</div>", [*lines, *facts.dates])
    if facts.fault:
        return format_html("{}<div>{}</div>", seen, facts.fault)
    claims = '{}<pre class="jwt-claims">{}\n{}</pre>'
    return format_html(claims, seen, facts.header, facts.payload)
