"""The state as SQL is the state as Python says it, for rows in every condition."""

from typing import Any

import pytest
from django.conf import settings as project
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from jwt_outbound.ciphers import ACCESS, REFRESH, sealer
from jwt_outbound.clock import SECOND
from jwt_outbound.inspection import State, is_readable, pair_of, state_of
from jwt_outbound.models import IssuerState, TokenPair
from jwt_outbound.pair_states import state_case
from jwt_outbound.querysets import database_now
from jwt_outbound.rows import IssuerHealth
from tests.conftest import Configure

pytestmark = [pytest.mark.database, pytest.mark.django_db]

HOUR = 3600 * SECOND
# So far from now that the time the test takes does not matter.
AWAY = st.sampled_from([-9 * HOUR, -3 * HOUR, -1800 * SECOND, -20 * SECOND, 20 * SECOND])
AWAY |= st.sampled_from([200 * SECOND, HOUR, 9 * HOUR])
MARK = st.just(None) | AWAY
COLUMNS = st.fixed_dictionaries(
    {
        "expires_at": st.none() | AWAY,
        "refresh_at": st.none() | AWAY,
        "refresh_expires_at": st.none() | AWAY,
        "cooldown_until": MARK,
        "pending_until": MARK,
        "refused_at": MARK,
        "revoked_at": MARK,
    }
)
LIVES = st.sampled_from([None, SECOND, 60 * SECOND, 300 * SECOND, 3 * HOUR])
TOKENS = st.sampled_from(["sealed", "none", "elsewhere"])


def sealed(text: str, kind: str) -> bytes:
    known = sealer("billing", 1).seal("token", kind)
    return {"sealed": known, "none": b"", "elsewhere": b"\x01none" + known[5:]}[text]


@settings(deadline=None, max_examples=300)
@given(
    columns=COLUMNS,
    lifetime=LIVES,
    refresh_lifetime=LIVES,
    access=TOKENS,
    refresh=TOKENS,
    failures=st.sampled_from([0, 1, 5]),
    reason=st.sampled_from(["", "expired", "refused"]),
    leeway=st.sampled_from([None, 5, 600]),
    cooling=st.sampled_from([0, -HOUR, HOUR]),
)
def test_both_say_the_same(
    columns: dict[str, Any],
    lifetime: int | None,
    refresh_lifetime: int | None,
    access: str,
    refresh: str,
    failures: int,
    reason: str,
    leeway: int | None,
    cooling: int,
) -> None:
    now = database_now()
    times = {
        name: (None if name.endswith(("expires_at", "refresh_at")) else 0)
        if away is None
        else now + away
        for name, away in columns.items()
    }
    raw = project.JWT_OUTBOUND
    services = {"billing": {**raw["SERVICES"]["billing"], "LEEWAY": leeway}}
    TokenPair.objects.all().delete()
    IssuerState.objects.update_or_create(
        service="billing", defaults={"cooling_until": now + cooling if cooling else 0}
    )
    row = TokenPair.objects.create(
        user_id=1,
        service="billing",
        access_sealed=sealed(access, ACCESS),
        refresh_sealed=sealed(refresh, REFRESH),
        lifetime=lifetime,
        refresh_lifetime=refresh_lifetime,
        failures=failures,
        reason=reason,
        **times,
    )
    health = IssuerHealth(cooling_until=now + cooling if cooling else 0)
    with override_settings(JWT_OUTBOUND={**raw, "SERVICES": services}):
        pair = pair_of(row)
        expected = state_of(pair, now, health, readable=is_readable(pair))
        found = TokenPair.objects.annotate(shown=state_case()).get().shown
    assert found == expected.value


def test_every_word_can_be_filtered_by(configure: Configure) -> None:
    for state in State:
        assert not TokenPair.objects.annotate(shown=state_case()).filter(shown=state.value)


def test_without_keys_all_that_is_sealed_is_unreadable(configure: Configure) -> None:
    TokenPair.objects.store(user=1, service="billing", access="a")
    configure(ENCRYPTION_KEYS=["sesame"])
    assert TokenPair.objects.annotate(shown=state_case()).get().shown == "unreadable"
