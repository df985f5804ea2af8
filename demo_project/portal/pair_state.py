"""What the page shows of a user's token pair: never a token, and looking refreshes nothing."""

from dataclasses import asdict, dataclass
from typing import Any

from jwt_outbound.clock import SECOND
from jwt_outbound.conf import get_service
from jwt_outbound.fields import DatabaseNow
from jwt_outbound.freshness import assess
from jwt_outbound.models import TokenPair, TokenPairEvent

SERVICE = "billing"
SHOWN_EVENTS = 30


@dataclass(frozen=True, kw_only=True)
class PairState:
    """Times are seconds; the database's clock is the one that counts."""

    state: str
    generation: int | None = None
    refreshed: int = 0
    lifetime: float = 0
    left: float = 0
    stale_at: float = 0
    """Seconds before the end at which a call still uses the token and refreshes it ahead."""
    expired_at: float = 0
    """Seconds before the end from which the token is not sent any more."""

    as_dict = asdict


def pair_state(user: Any) -> PairState:
    pair = TokenPair.objects.filter(user=user.pk, service=SERVICE).annotate(now=DatabaseNow())
    found = pair.first()
    if found is None:
        return PairState(state="missing")
    history = TokenPairEvent.objects.filter(pair=found.pk)
    return PairState(
        state=_state(found),
        generation=found.generation,
        refreshed=history.filter(kind=TokenPairEvent.Kind.REFRESHED).count(),
        lifetime=(found.lifetime or 0) / SECOND,
        left=max(0, (found.expires_at or 0) - found.now) / SECOND,
        **_windows(found),
    )


def _state(pair: Any) -> str:
    if pair.refused_at or pair.revoked_at:
        return "refused" if pair.refused_at else "revoked"
    freshness = assess(
        expires_at=pair.expires_at,
        lifetime=pair.lifetime,
        refresh_at=pair.refresh_at,
        now=pair.now,
        windows=get_service(SERVICE).windows,
        to_the_end=pair.cooldown_until > pair.now,
    )
    return freshness.name.lower()


def _windows(pair: Any) -> dict[str, float]:
    if pair.lifetime is None or pair.expires_at is None:
        return {}
    late = get_service(SERVICE).windows.late(pair.lifetime)
    early = pair.expires_at - pair.refresh_at if pair.refresh_at else late
    return {"stale_at": early / SECOND, "expired_at": late / SECOND}


def history(user: Any) -> list[dict[str, Any]]:
    """The newest events of the pair, newest first."""
    events = TokenPairEvent.objects.filter(user=user.pk, service=SERVICE).order_by("-at")
    return [
        {
            "at": event.at.isoformat(),
            "kind": event.kind,
            "what": event.get_kind_display(),
            "generation": event.generation,
            "why": " ".join(filter(None, [event.reason, event.code])),
            "duration_ms": event.duration_ms,
            "host": event.host,
        }
        for event in events[:SHOWN_EVENTS]
    ]
