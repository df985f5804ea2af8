import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jwt_outbound.clock import SECOND
from jwt_outbound.freshness import (
    Freshness,
    Windows,
    assess,
    run_out_at,
    young_for,
)

NOW = 1_800_000_000 * SECOND
MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
DEFAULT = Windows()

lifetimes = st.integers(1, 100 * 366 * 24 * HOUR)
lengths = st.none() | st.integers(0, 10 * 366 * 24 * HOUR)
windows = st.builds(Windows, leeway=lengths, ahead=lengths)
jitters = st.floats(0, 1)


def grade(left: int, *, stale_at: int | None = None, to_the_end: bool = False) -> Freshness:
    """Of a token of an hour that has `left` seconds to live."""
    return assess(
        expires_at=NOW + left * SECOND,
        lifetime=HOUR,
        refresh_at=None if stale_at is None else NOW + (left - stale_at) * SECOND,
        now=NOW,
        windows=DEFAULT,
        to_the_end=to_the_end,
    )


@pytest.mark.parametrize(
    ("left", "grade_then"),
    [
        (301, Freshness.FRESH),
        (300, Freshness.STALE),
        (31, Freshness.STALE),
        (30, Freshness.EXPIRED),
        (0, Freshness.EXPIRED),
        (-9999, Freshness.EXPIRED),
    ],
)
def test_a_token_grows_old(left: int, grade_then: Freshness) -> None:
    assert grade(left, stale_at=300) is grade_then


def test_without_a_time_to_refresh_it_is_fresh_to_the_leeway() -> None:
    assert grade(31) is Freshness.FRESH
    assert grade(30) is Freshness.EXPIRED


def test_in_a_cool_down_it_is_good_to_its_real_end() -> None:
    assert grade(1, stale_at=300, to_the_end=True) is Freshness.STALE
    assert grade(0, stale_at=300, to_the_end=True) is Freshness.EXPIRED


def test_without_an_end_it_is_unknown() -> None:
    freshness = assess(expires_at=None, lifetime=None, refresh_at=None, now=NOW, windows=DEFAULT)
    assert freshness is Freshness.UNKNOWN


def test_without_a_lifetime_there_is_no_leeway() -> None:
    end = {"lifetime": None, "refresh_at": None, "windows": Windows(leeway=HOUR)}
    assert assess(expires_at=NOW + 1, now=NOW, **end) is Freshness.FRESH  # type: ignore[arg-type]
    assert assess(expires_at=NOW, now=NOW, **end) is Freshness.EXPIRED  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lifetime", "late", "early"),
    [
        (HOUR, 30 * SECOND, 5 * MINUTE),
        (5 * MINUTE, 30 * SECOND, 75 * SECOND),
        (MINUTE, 6 * SECOND, 15 * SECOND),
        (15 * SECOND, 1_500_000, 3_750_000),
        (3 * SECOND, SECOND, 750_000),
        (SECOND, 333_333, 250_000),
        (0, 0, 0),
    ],
)
def test_the_windows_by_default(lifetime: int, late: int, early: int) -> None:
    assert (DEFAULT.late(lifetime), DEFAULT.early(lifetime)) == (late, early)


def test_the_windows_as_configured() -> None:
    own = Windows(leeway=2 * MINUTE, ahead=10 * MINUTE)
    assert (own.late(HOUR), own.early(HOUR)) == (2 * MINUTE, 10 * MINUTE)
    assert (own.late(MINUTE), own.early(MINUTE)) == (20 * SECOND, 30 * SECOND)
    assert Windows(leeway=0).late(HOUR) == SECOND


@pytest.mark.parametrize(
    ("own", "lifetime", "late", "early"),
    [
        (Windows(ahead=30 * SECOND), HOUR, 30 * SECOND, MINUTE),
        (Windows(ahead=SECOND), HOUR, 30 * SECOND, MINUTE),
        (Windows(leeway=2 * MINUTE), 5 * MINUTE, 100 * SECOND, 150 * SECOND),
        (Windows(leeway=2 * MINUTE), 12 * SECOND, 4 * SECOND, 6 * SECOND),
        (Windows(ahead=0), HOUR, 30 * SECOND, 0),
    ],
)
def test_a_leeway_does_not_swallow_the_ahead_window(
    own: Windows, lifetime: int, late: int, early: int
) -> None:
    assert (own.late(lifetime), own.early(lifetime)) == (late, early)


@given(windows, lifetimes, jitters)
def test_what_is_configured_comes_due_before_it_is_not_sent_any_more(
    own: Windows, lifetime: int, jitter: float
) -> None:
    assume(lifetime >= 6 and own.ahead != 0 and own != DEFAULT)
    after, late = own.refresh_after(lifetime, jitter), own.late(lifetime)
    assert after < lifetime - late
    assert own.refresh_after(lifetime, 0) <= after


def test_the_issuer_s_own_word_on_when_to_refresh_wins() -> None:
    assert DEFAULT.refresh_after(HOUR, 0.5, 10 * MINUTE) == 10 * MINUTE
    for nonsense in (0, -1, HOUR - 30 * SECOND, HOUR, 2 * HOUR):
        assert DEFAULT.refresh_after(HOUR, 0, nonsense) == 55 * MINUTE


def test_jitter_only_narrows_the_window() -> None:
    assert DEFAULT.refresh_after(HOUR, 0) == 55 * MINUTE
    assert DEFAULT.refresh_after(HOUR, 1) == 57 * MINUTE + 15 * SECOND


@given(windows, lifetimes, jitters)
def test_a_just_issued_token_is_never_expired(own: Windows, lifetime: int, jitter: float) -> None:
    fresh = assess(
        expires_at=NOW + lifetime,
        lifetime=lifetime,
        refresh_at=NOW + own.refresh_after(lifetime, jitter),
        now=NOW,
        windows=own,
    )
    assert fresh in (Freshness.FRESH, Freshness.STALE)
    if lifetime >= 4:
        assert fresh is Freshness.FRESH


@given(windows, lifetimes, jitters)
def test_windows_fit_the_token(own: Windows, lifetime: int, jitter: float) -> None:
    assert 0 <= own.late(lifetime) <= lifetime // 3
    assert 0 <= own.early(lifetime) <= lifetime // 2
    after = own.refresh_after(lifetime, jitter)
    assert lifetime - own.early(lifetime) <= after <= lifetime


def test_the_ahead_window_widened_for_an_issuer_that_is_away_now_and_then() -> None:
    wide = DEFAULT.widened()
    assert [wide.early(life) for life in (10 * SECOND, HOUR)] == [5 * SECOND, 5 * MINUTE]
    assert wide.late(MINUTE) == DEFAULT.late(MINUTE)
    for ahead in (0, 3 * SECOND):
        configured = Windows(ahead=ahead)
        assert configured.widened() == configured


@given(lifetimes, jitters)
def test_refreshing_ahead_is_never_earlier_than_a_quarter_before_the_end(
    lifetime: int, jitter: float
) -> None:
    assert DEFAULT.refresh_after(lifetime, jitter) >= lifetime - lifetime // 4


@given(windows, lifetimes, jitters)
def test_where_there_is_room_a_token_is_stale_before_it_is_expired(
    own: Windows, lifetime: int, jitter: float
) -> None:
    assume(own.early(lifetime) > own.late(lifetime))
    assert own.refresh_after(lifetime, jitter) < lifetime - own.late(lifetime)


@given(windows, lifetimes, st.integers(0, 2**62), st.integers(0, 2**62), st.booleans())
def test_a_token_never_gets_better(
    own: Windows, lifetime: int, first: int, second: int, to_the_end: bool
) -> None:
    order = [Freshness.FRESH, Freshness.STALE, Freshness.EXPIRED]
    grades = [
        assess(
            expires_at=lifetime,
            lifetime=lifetime,
            refresh_at=own.refresh_after(lifetime, 0),
            now=now,
            windows=own,
            to_the_end=to_the_end,
        )
        for now in sorted([first, second])
    ]
    assert order.index(grades[0]) <= order.index(grades[1])


def test_when_a_refresh_token_has_run_out() -> None:
    assert run_out_at(NOW, None) == NOW + HOUR
    assert run_out_at(NOW, HOUR) == NOW + HOUR
    assert run_out_at(NOW, 30 * 24 * HOUR) == NOW + 3 * 24 * HOUR


def test_how_long_a_token_is_young() -> None:
    assert young_for(None) == young_for(HOUR) == 5 * SECOND
    assert young_for(15 * SECOND) == 1_500_000
    assert young_for(0) == 0
