"""The one word for a pair's state as SQL, so that filters and counts need not fetch the rows."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import BigIntegerField, BinaryField, Case, CharField, F, Q, Value, When
from django.db.models.functions import Coalesce, Greatest, Least, Substr
from django.db.models.lookups import Exact

from jwt_outbound.ciphers import KEY_ID_BYTES, VERSION, key_ids
from jwt_outbound.clock import SECOND
from jwt_outbound.conf import get_settings
from jwt_outbound.encryption_keys import KeysUnavailable
from jwt_outbound.fields import DatabaseNow
from jwt_outbound.freshness import MINUTE, Windows
from jwt_outbound.inspection import State
from jwt_outbound.models import IssuerState
from jwt_outbound.refresh.cooldown import STUCK_AFTER


def state_case() -> Case:
    """`inspection.state_of` for many rows at once, on the database's clock.

    Only a ciphertext that was tampered with needs a decryption to be found out; such a pair is
    `unreadable` where it is shown, and here what its columns say.
    """
    cooling = Q(cooldown_until__gt=DatabaseNow()) | Q(service__in=_cooling_services())
    to_the_end = cooling | Q(failures__gt=0)
    expired = Q(access_sealed=b"") | Q(expires_at__lte=DatabaseNow() + _leeway(to_the_end))
    words: list[tuple[Q, State]] = [
        (Q(refused_at__gt=0, reason="expired"), State.RUN_OUT),
        (Q(refused_at__gt=0), State.REFUSED),
        (Q(revoked_at__gt=0), State.REVOKED),
        (_unreadable(), State.UNREADABLE),
        (Q(pending_until__gt=0), State.PENDING),
        (expired & _run_out(), State.RUN_OUT),
        (Q(failures__gte=STUCK_AFTER), State.STUCK),
        (cooling, State.COOLING_DOWN),
        (expired, State.EXPIRED),
        (Q(expires_at=None), State.UNKNOWN),
        (Q(refresh_at__lte=DatabaseNow()), State.STALE),
    ]
    whens = [When(condition, then=Value(state.value)) for condition, state in words]
    return Case(*whens, default=Value(State.FRESH.value), output_field=CharField())


def _cooling_services() -> list[str]:
    cooling = IssuerState.objects.filter(cooling_until__gt=DatabaseNow())
    return list(cooling.values_list("service", flat=True))


def _leeway(to_the_end: Q) -> Case:
    """`Windows.late` of each row's own service; none where `to_the_end` or without a lifetime."""
    none = Value(0, BigIntegerField())
    own = [
        When(service=name, then=_late(service.windows))
        for name, service in _services().items()
        if service.windows.leeway is not None
    ]
    return Case(
        When(to_the_end | Q(lifetime=None), then=none),
        *own,
        default=_late(Windows()),
        output_field=BigIntegerField(),
    )


def _late(windows: Windows) -> Any:
    wished: Any = Value(windows.leeway, BigIntegerField())
    if windows.leeway is None:
        wished = Least(Value(30 * SECOND, BigIntegerField()), F("lifetime") / 10)
    return Least(Greatest(wished, Value(SECOND, BigIntegerField())), F("lifetime") / 3)


def _run_out() -> Q:
    """`refresh.words.has_run_out`."""
    tenth = Coalesce(F("refresh_lifetime"), Value(0, BigIntegerField())) / 10
    grace = Greatest(Value(60 * MINUTE, BigIntegerField()), tenth)
    return Q(refresh_expires_at__lt=DatabaseNow() - grace) & ~Q(refresh_sealed=b"")


def _unreadable() -> Q:
    """Sealed under a key that is not configured (any more)."""
    try:
        known = [VERSION + bytes.fromhex(key) for key in key_ids()]
    except (KeysUnavailable, ImproperlyConfigured):
        return ~Q(access_sealed=b"") | ~Q(refresh_sealed=b"")
    return _sealed_otherwise("access_sealed", known) | _sealed_otherwise("refresh_sealed", known)


def _sealed_otherwise(column: str, known: list[bytes]) -> Q:
    begin = Substr(column, 1, len(VERSION) + KEY_ID_BYTES, output_field=BinaryField())
    return ~Q(**{column: b""}) & ~_is_one_of(begin, known)


def _is_one_of(expression: Any, values: list[bytes]) -> Q:
    found = Q()
    for value in values:
        found |= Q(Exact(expression, Value(value, BinaryField())))
    return found


def _services() -> Any:
    try:
        return get_settings().services
    except ImproperlyConfigured:
        return {}
