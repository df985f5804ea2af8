"""What is to be done with a due pair: decided from its row alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_outbound.clock import SECOND
from jwt_outbound.compare_and_swap import applied
from jwt_outbound.fleet.plans import Do, Plan, plan_for
from jwt_outbound.freshness import idle_at
from jwt_outbound.refresh.words import Policy
from jwt_outbound.rows import SUSPENDED, IssuerHealth, Pair
from jwt_outbound.swaps import parked, used
from tests.refresh.pairs import NOW, OVER, STALE, UNKNOWN, a_pair, a_policy

HOUR, DAY = 3600 * SECOND, 86_400 * SECOND
USED = {"used_generation": 3}
UNUSED = {"used_generation": 2}
REFUSED = {"refused_at": NOW - 1, "reason": "refused"}
PENDING = {"pending_until": NOW + SECOND}
BACK = IssuerHealth(recovered_at=NOW - SECOND)


def refresh_ends(left: int, lifetime: int = 4 * DAY, **more: Any) -> dict[str, Any]:
    """The refresh token has so much left of its lifetime; its window is a day."""
    start = NOW + left - lifetime
    return {
        "refresh_expires_at": NOW + left,
        "refresh_lifetime": lifetime,
        "obtained_at": start,
    } | more


def plan(
    *states: dict[str, Any],
    issuer: IssuerHealth | None = None,
    policy: Policy | None = None,
    active: bool = True,
    chance: float = 0.5,
) -> Plan:
    pair = a_pair(STALE, *states)
    health = issuer or IssuerHealth()
    return plan_for(pair, health, policy or a_policy(), NOW, active=active, chance=chance)


@pytest.mark.parametrize(
    ("states", "how", "expected"),
    [
        ([USED], {}, Do.REFRESH),
        ([USED, OVER], {}, Do.REFRESH),
        ([USED, UNKNOWN], {}, Do.REFRESH),
        ([UNUSED], {}, Do.PARK),
        ([UNUSED, OVER], {}, Do.PARK),
        ([USED], {"active": False}, Do.PARK),
        ([USED, {"refresh_sealed": b""}], {}, Do.FORGET),
        ([USED], {"policy": a_policy(exchanges=False)}, Do.FORGET),
        ([USED, {"refresh_sealed": b""}], {"policy": a_policy(makes_first_pair=True)}, Do.REFRESH),
        ([USED, refresh_ends(-HOUR - DAY)], {}, Do.FORGET),
        ([USED, refresh_ends(-HOUR + SECOND, HOUR)], {}, Do.REFRESH),
        ([UNUSED, refresh_ends(2 * DAY)], {}, Do.PARK),
        ([UNUSED, refresh_ends(DAY)], {"chance": 0}, Do.REFRESH),
        ([UNUSED, refresh_ends(DAY)], {"chance": 0.1}, Do.PARK),
        ([UNUSED, refresh_ends(HOUR)], {"chance": 1}, Do.REFRESH),
        ([UNUSED, refresh_ends(HOUR, obtained_at=NOW - HOUR)], {"chance": 1}, Do.PARK),
        ([UNUSED, refresh_ends(HOUR)], {"chance": 1, "active": False}, Do.PARK),
        ([USED], {"issuer": BACK, "chance": 1}, Do.REFRESH),
        ([REFUSED], {}, Do.FINISH),
        ([REFUSED, UNUSED], {"active": False}, Do.FINISH),
        ([REFUSED, {"announced_at": NOW}], {}, Do.FORGET),
        ([PENDING], {"active": False}, Do.FINISH),
        ([PENDING, UNUSED, {"reason": SUSPENDED}], {}, Do.FINISH),
    ],
)  # fmt: skip
def test_the_plan(states: list[dict[str, Any]], how: dict[str, Any], expected: Do) -> None:
    assert plan(*states, **how).do is expected


def test_what_is_in_use_keeps_away_from_an_issuer_that_has_just_returned() -> None:
    late = {"pk": a_pair().pk.__class__(int=1023)}
    put_off = plan(USED, late, issuer=BACK)
    assert put_off.do is Do.PUT_OFF
    assert put_off.until is not None
    assert NOW < put_off.until <= NOW + 30 * SECOND


def test_what_is_left_alone_is_due_again_when_its_refresh_token_would_idle_out() -> None:
    assert plan(UNUSED, refresh_ends(2 * DAY), chance=0) == Plan(do=Do.PARK, until=NOW + DAY)
    assert plan(UNUSED) == Plan(do=Do.PARK)
    helped_not = refresh_ends(HOUR, obtained_at=NOW - HOUR)
    assert plan(UNUSED, helped_not, chance=0) == Plan(do=Do.PARK)


times = st.integers(NOW - 3 * DAY, NOW + 3 * DAY)
maybe = st.none() | times
PAIRS = st.builds(
    a_pair,
    st.just(STALE),
    used_generation=st.integers(-1, 3),
    parked=st.booleans(),
    refresh_sealed=st.sampled_from([b"", b"sealed"]),
    expires_at=maybe,
    lifetime=st.none() | st.integers(0, DAY),
    refresh_expires_at=maybe,
    refresh_lifetime=st.none() | st.integers(0, 3 * DAY),
    obtained_at=times,
    pending_until=st.just(0) | times,
    refused_at=st.sampled_from([0, NOW - 1]),
    announced_at=st.sampled_from([0, NOW]),
    cooldown_until=st.just(0) | times,
    lease_until=st.just(0) | times,
)
ISSUERS = st.builds(
    IssuerHealth,
    recovered_at=st.just(0) | times,
    cooling_until=st.just(0) | times,
    failures=st.integers(0, 5),
    suspended=st.booleans(),
)
POLICIES = st.builds(a_policy, exchanges=st.booleans(), makes_first_pair=st.booleans())


@given(PAIRS, ISSUERS, POLICIES, st.booleans(), st.floats(0, 1))
def test_no_plan_breaks_these_rules(
    pair: Pair, issuer: IssuerHealth, policy: Policy, active: bool, chance: float
) -> None:
    made = plan_for(pair, issuer, policy, NOW, active=active, chance=chance)
    in_use = pair.used_generation == pair.generation
    if pair.refused_at or pair.pending_until:
        finished = bool(pair.refused_at and pair.announced_at)
        assert made.do is (Do.FORGET if finished else Do.FINISH)
        return
    assert made.do is not Do.FINISH
    if not active:
        assert made.do in (Do.PARK, Do.FORGET)
    if made.do is Do.REFRESH and not in_use:
        earliest = idle_at(pair.refresh_expires_at, pair.refresh_lifetime, 0)
        assert earliest is not None
        assert earliest <= NOW
        assert pair.obtained_at < earliest
    if made.do in (Do.PARK, Do.FORGET) and active and in_use:
        assert not policy.makes_first_pair
        assert made.do is Do.FORGET
    if made.until is not None:
        assert made.until > NOW, "it would be due at once, and again for ever"
    if made.do is Do.PUT_OFF:
        assert in_use


@given(PAIRS)
def test_the_use_of_a_parked_pair_makes_it_due(pair: Pair) -> None:
    left_alone = applied(pair, parked(pair, None), NOW)
    assert (left_alone.parked, left_alone.refresh_at) == (True, None)
    again = applied(left_alone, used(left_alone), NOW)
    assert (again.parked, again.refresh_at, again.used_generation) == (False, NOW, 3)
