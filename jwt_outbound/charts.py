"""Small pictures as plain SVG: no script, no call to anywhere, colours from the stylesheet."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jwt_outbound.models import TokenPairEvent

Kind = TokenPairEvent.Kind

COLOURS: Final[dict[str, str]] = {
    Kind.STORED.value: "calm",
    Kind.REFRESHED.value: "good",
    Kind.SUPERSEDED.value: "calm",
    Kind.UNSENT.value: "calm",
    Kind.UNAVAILABLE.value: "soon",
    Kind.PENDING.value: "soon",
    Kind.MISCONFIGURED.value: "bad",
    Kind.REFUSED.value: "bad",
    Kind.REVOKED.value: "calm",
}

WIDTH: Final = 640


def timeline(events: Sequence[Any]) -> SafeString:
    """One mark for each event, from the oldest at the left to the newest at the right: upwards
    what went well, downwards what did not."""
    if not events:
        return SafeString("")
    events = sorted(events, key=lambda event: event.at)
    first, last = events[0].at, events[-1].at
    span = max((last - first).total_seconds(), 1.0)
    marks = format_html_join(
        "",
        '<rect class="{}" x="{}" y="{}" width="4" height="20"><title>{} {}</title></rect>',
        (
            [COLOURS.get(e.kind, "calm"), *_place(e, first, span), _short(e.at), e.kind]
            for e in events
        ),
    )
    return format_html(
        '<svg class="jwt-chart" viewBox="0 0 {} 70" width="{}" height="70" role="img" '
        'aria-label="refreshes above the line, failures below it">'
        '<line class="axis" x1="0" x2="{}" y1="26" y2="26"/>{}'
        '<text x="0" y="66">{}</text><text x="{}" y="66" text-anchor="end">{}</text></svg>',
        WIDTH, WIDTH, WIDTH, marks, _short(first), WIDTH, _short(last),
    )  # fmt: skip


def _place(event: Any, first: datetime, span: float) -> tuple[str, int]:
    left = (event.at - first).total_seconds() / span * (WIDTH - 4)
    fell = COLOURS.get(event.kind) in ("soon", "bad")
    return f"{left:.1f}", 28 if fell else 4


def _short(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def stacked_hours(hours: Sequence[tuple[str, dict[str, int]]]) -> SafeString:
    """A column for each hour, made of its outcomes."""
    height, wide = 140, WIDTH / max(len(hours), 1)
    most = max((sum(counts.values()) for _, counts in hours), default=0) or 1
    parts: list[tuple[Any, ...]] = []
    for place, (label, counts) in enumerate(hours):
        top = float(height)
        for kind, count in sorted(counts.items()):
            tall = count / most * (height - 14)
            top -= tall
            parts.append(
                (
                    COLOURS.get(kind, "calm"),
                    f"{place * wide + 1:.1f}",
                    f"{top:.1f}",
                    f"{wide - 2:.1f}",
                    f"{tall:.1f}",
                    label,
                    kind,
                    count,
                )
            )
    columns = format_html_join(
        "",
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{} {}: {}</title></rect>',
        parts,
    )
    ends = (hours[0][0], hours[-1][0]) if hours else ("", "")
    return format_html(
        '<svg class="jwt-chart" viewBox="0 0 {} 160" width="{}" height="160" role="img" '
        'aria-label="outcomes for each hour">{}'
        '<line class="axis" x1="0" x2="{}" y1="140" y2="140"/><text x="0" y="10">{}</text>'
        '<text x="0" y="156">{}</text><text x="{}" y="156" text-anchor="end">{}</text></svg>',
        WIDTH, WIDTH, columns, WIDTH, most, ends[0], WIDTH, ends[1],
    )  # fmt: skip
