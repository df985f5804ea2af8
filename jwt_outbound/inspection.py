"""What staff may see of a pair: a word for its state, its times, what its tokens say of
themselves. Never a token, and nothing is refreshed by looking.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from jwt_outbound.ciphers import ACCESS, REFRESH, sealer
from jwt_outbound.claims import Claims, numeric_date, read_claims
from jwt_outbound.clock import SECOND
from jwt_outbound.conf import get_settings
from jwt_outbound.exceptions import TokenPairUnreadable
from jwt_outbound.freshness import Freshness, Windows, assess
from jwt_outbound.models import TokenPair
from jwt_outbound.querysets import COLUMNS, UNIX_EPOCH
from jwt_outbound.refresh.cooldown import STUCK_AFTER
from jwt_outbound.refresh.words import has_run_out
from jwt_outbound.rows import IssuerHealth, Pair

DATES = ("iat", "nbf", "exp", "auth_time")
"""The claims that are dates (RFC 7519, OpenID Connect Core 1.0)."""

UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


class State(TextChoices):
    """The one word for a pair that matters most."""

    FRESH = "fresh", _("fresh")
    STALE = "stale", _("stale")
    EXPIRED = "expired", _("expired")
    COOLING_DOWN = "cooling down", _("cooling down")
    PENDING = "refusal pending", _("refusal pending")
    REFUSED = "refused", _("refused")
    REVOKED = "revoked", _("revoked")
    RUN_OUT = "run out", _("run out")
    STUCK = "stuck", _("stuck")
    UNREADABLE = "unreadable", _("unreadable")
    UNKNOWN = "unknown", _("unknown")


@dataclass(frozen=True, kw_only=True)
class TokenFacts:
    """What can be shown of one token. `fault`: why nothing can."""

    header: str = ""
    payload: str = ""
    dates: tuple[tuple[str, str], ...] = ()
    fingerprint: str = ""
    """The first 12 hex digits of the token's SHA-256: as an issuer's log may name it."""
    fault: str = ""


def pair_of(row: TokenPair) -> Pair:
    """The protocol's reading of a model instance."""
    columns = {column: getattr(row, column) for column in COLUMNS}
    for sealed in ("access_sealed", "refresh_sealed"):
        columns[sealed] = bytes(columns[sealed])
    return Pair(**columns)


def state_of(
    pair: Pair, now: int, health: IssuerHealth | None = None, *, readable: bool = True
) -> State:
    """The state at `now`, the database's time; the marks first, in the protocol's own order.

    `state_case()` says the same in SQL.
    """
    if pair.refused_at:
        return State.RUN_OUT if pair.reason == "expired" else State.REFUSED
    if pair.revoked_at:
        return State.REVOKED
    if not readable:
        return State.UNREADABLE
    if pair.pending_until:
        return State.PENDING
    cooling = max(pair.cooldown_until, health.cooling_until if health else 0) > now
    freshness = freshness_of(pair, now, to_the_end=cooling or pair.failures > 0)
    if freshness is Freshness.EXPIRED and has_run_out(pair, now):
        return State.RUN_OUT
    if pair.failures >= STUCK_AFTER:
        return State.STUCK
    return State.COOLING_DOWN if cooling else State[freshness.name]


def freshness_of(pair: Pair, now: int, *, to_the_end: bool = False) -> Freshness:
    """How good the access token is; an empty one is expired."""
    if not pair.access_sealed:
        return Freshness.EXPIRED
    service = get_settings().services.get(pair.service)
    return assess(
        expires_at=pair.expires_at,
        lifetime=pair.lifetime,
        refresh_at=pair.refresh_at,
        now=now,
        windows=service.windows if service else Windows(),
        to_the_end=to_the_end,
    )


@sensitive_variables()
def is_readable(pair: Pair) -> bool:
    """Whether both tokens can be decrypted."""
    try:
        own = sealer(pair.service, pair.user_id)
        own.open(pair.access_sealed, ACCESS)
        own.open(pair.refresh_sealed, REFRESH)
    except (TokenPairUnreadable, ImproperlyConfigured):
        return False
    return True


@sensitive_variables()
def facts_of(pair: Pair, kind: str) -> TokenFacts:
    """What the token of `kind` says, signature unverified. Never raises."""
    sealed = pair.access_sealed if kind == ACCESS else pair.refresh_sealed
    try:
        token = sealer(pair.service, pair.user_id).open(sealed, kind)
    except (TokenPairUnreadable, ImproperlyConfigured) as error:
        return TokenFacts(fault=str(error))
    if not token:
        return TokenFacts(fault=str(_("There is none.")))
    claims = read_claims(token.reveal())
    fingerprint = sha256(token.reveal().encode()).hexdigest()[:12]
    if not claims.header and not claims.payload:
        opaque = str(_("It is opaque: no JWT, so it says nothing of itself."))
        return TokenFacts(fingerprint=fingerprint, fault=opaque)
    return TokenFacts(
        header=_pretty(claims.header),
        payload=_pretty(claims.payload),
        dates=tuple(_dates(claims)),
        fingerprint=fingerprint,
    )


def words_for(microseconds: int) -> str:
    """A length of time in its two largest units, as in `4 min 10 s`."""
    left = abs(microseconds) // SECOND
    words: list[str] = []
    for size, unit in UNITS:
        count, left = divmod(left, size)
        if count or words:
            words.append(f"{count} {unit}" if count else "")
    return " ".join(filter(None, words[:2])) or "0 s"


def moment(microseconds: int | None) -> str:
    """A protocol time as UTC; nothing for 0 and None, which both mean "not"."""
    return _utc(microseconds / SECOND) if microseconds else ""


def moment_seen_from(now: int, microseconds: int | None) -> str:
    """A protocol time, and how far away it is."""
    if not microseconds:
        return ""
    away = words_for(microseconds - now)
    return f"{moment(microseconds)} ({f'in {away}' if microseconds > now else f'{away} ago'})"


def _utc(seconds: float) -> str:
    try:
        at: datetime = UNIX_EPOCH + timedelta(seconds=int(seconds))
    except OverflowError:
        return "beyond the year 9999"
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _dates(claims: Claims) -> Iterator[tuple[str, str]]:
    for name in DATES:
        seconds = numeric_date(claims.payload.get(name))
        if seconds is not None:
            yield name, _utc(seconds)


def _pretty(part: Mapping[str, Any]) -> str:
    """As JSON; a lone half of a character pair, which no page can carry, as its escape."""
    try:
        text = json.dumps(part, indent=2, ensure_ascii=False)
    except RecursionError:
        return str(_("Nested too deeply to be shown."))
    return text.encode("utf-8", "backslashreplace").decode()
