from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_outbound.claims import LATEST, LONGEST_TEXT
from jwt_outbound.clock import SECOND
from jwt_outbound.freshness import Freshness, Windows, assess
from jwt_outbound.terms import LONGEST, Rules, Terms, of_issued, of_stored
from tests.test_claims import compact, json_objects

NOW = 1_800_000_000 * SECOND
RULES = Rules(windows=Windows())
KEY = "the tests sign with this; nobody verifies it"
HOUR = 3600


def token(**claims: Any) -> str:
    return jwt.encode(claims, KEY)


def stored(access: str = "opaque", refresh: str = "", **more: Any) -> Terms:
    arguments = {"expires_in": None, "now": NOW, "rules": RULES, **more}
    return of_stored(access, refresh, **arguments)


def issued(access: str = "opaque", refresh: str | None = "opaque", **more: Any) -> Terms:
    return of_issued(access, refresh, **{"sent_at": NOW, "rules": RULES, **more})


def ends_in(terms: Terms, now: int = NOW) -> float | None:
    """Seconds from `now` to the access token's end."""
    return None if terms.expires_at is None else (terms.expires_at - now) / SECOND


IAT = NOW // SECOND


class TestStored:
    def test_an_opaque_token_says_nothing(self) -> None:
        terms = stored()
        assert (terms.expires_at, terms.lifetime, terms.refresh_at) == (None, None, None)
        assert (terms.refresh_expires_at, terms.young_until, terms.skew) == (None, 0, None)

    @pytest.mark.parametrize(
        ("claims", "expires_in", "ends", "lifetime"),
        [
            ({"iat": IAT, "exp": IAT + 300}, None, 300, 300),
            ({"iat": IAT - 200, "exp": IAT + 100}, None, 100, 300),
            ({"iat": IAT - 900, "exp": IAT - 600}, None, -600, 300),
            # A clock of the issuer's that is an hour fast
            ({"iat": IAT + HOUR, "exp": IAT + HOUR + 300}, None, 300, 300),
            # and one that is an hour slow: it may well be an old one
            ({"iat": IAT - HOUR, "exp": IAT - HOUR + 300}, None, 300 - HOUR, 300),
            ({"exp": IAT + 300}, None, 300, 300),
            ({"exp": IAT - 300}, None, -300, 0),
            ({"iat": IAT}, None, None, None),
            ({"iat": IAT, "exp": IAT + 300}, 60, 60, 60),
            ({"iat": IAT, "exp": IAT + 300}, 900, 300, 300),
            ({"sub": "alice"}, 60, 60, 60),
            ({"sub": "alice"}, 0, 0, 0),
            ({"sub": "alice"}, -5, 0, 0),
            ({"iat": IAT, "exp": IAT - 5}, None, -5, 0),
            ({"exp": "soon"}, None, None, None),
        ],
    )
    def test_the_smallest_of_the_ends_wins(
        self, claims: Any, expires_in: float | None, ends: float | None, lifetime: float | None
    ) -> None:
        terms = stored(token(**claims), expires_in=expires_in)
        assert ends_in(terms) == ends
        assert terms.lifetime == (None if lifetime is None else lifetime * SECOND)

    def test_no_access_token_is_an_expired_one(self) -> None:
        assert ends_in(stored("", "refresh")) == 0
        assert ends_in(stored("", "refresh", expires_in=300)) == 0

    def test_the_issuer_s_default_is_for_those_that_say_nothing(self) -> None:
        rules = Rules(windows=Windows(), default_lifetime=60 * SECOND)
        assert ends_in(stored(rules=rules)) == 60
        assert ends_in(stored(token(exp=IAT + 300), rules=rules)) == 300
        assert ends_in(stored(rules=rules, expires_in=90)) == 90

    def test_it_is_refreshed_ahead_by_its_own_age(self) -> None:
        terms = stored(token(iat=IAT - 100, exp=IAT + 200))
        assert terms.refresh_at == NOW + (200 - 75) * SECOND

    @pytest.mark.parametrize(
        "rules", [Rules(windows=Windows(), ahead=False), Rules(windows=Windows(ahead=0))]
    )
    def test_refreshing_ahead_can_be_off(self, rules: Rules) -> None:
        assert stored(token(iat=IAT, exp=IAT + 300), rules=rules).refresh_at is None

    def test_it_is_young_by_its_own_iat(self) -> None:
        assert stored(token(iat=IAT - 2, exp=IAT + 298)).young_until == NOW + 3 * SECOND
        assert stored(token(exp=IAT + 300)).young_until == 0

    def test_an_iat_in_the_future_does_not_make_it_young_for_long(self) -> None:
        """Else no 401 would lead to a refresh for as long as the issuer's clock is ahead."""
        terms = stored(token(iat=IAT + HOUR, exp=IAT + HOUR + 300))
        assert terms.young_until == NOW + 5 * SECOND

    def test_the_refresh_token(self) -> None:
        terms = stored("opaque", token(iat=IAT - 50, exp=IAT + 50))
        assert terms.refresh_expires_at == NOW + 50 * SECOND
        assert terms.refresh_lifetime == 100 * SECOND
        fast = stored("opaque", token(iat=IAT + HOUR, exp=IAT + HOUR + 100))
        assert fast.refresh_expires_at == NOW + 100 * SECOND
        assert stored("opaque", token(exp=IAT + 9)).refresh_expires_at == NOW + 9 * SECOND
        assert stored("opaque", "opaque").refresh_expires_at is None


class TestIssued:
    @pytest.mark.parametrize(
        ("claims", "said", "lifetime"),
        [
            ({"iat": IAT, "exp": IAT + 300}, {}, 300),
            # Clocks that are off, both ways
            ({"iat": IAT + HOUR, "exp": IAT + HOUR + 300}, {}, 300),
            ({"iat": IAT - HOUR, "exp": IAT - HOUR + 300}, {}, 300),
            ({"iat": IAT, "exp": IAT + 300}, {"expires_in": 60}, 60),
            ({"iat": IAT, "exp": IAT + 300}, {"expires_in": 900}, 300),
            ({}, {"expires_in": 60}, 60),
            ({}, {"expires_in": 0}, 0),
            ({}, {"expires_in": -1}, 0),
            ({}, {}, None),
            # Only an absolute end: by the issuer's own clock, where its answer shows it
            ({"exp": IAT + 300}, {}, 300),
            ({"exp": IAT + HOUR + 300}, {"issuer_time": IAT + HOUR}, 300),
            ({"exp": IAT - HOUR + 300}, {"issuer_time": IAT - HOUR}, 300),
            ({"exp": IAT - HOUR}, {}, None),
            ({"iat": IAT + 5, "exp": IAT}, {}, None),
            ({}, {"learned_lifetime": 40 * SECOND}, 40),
            ({}, {"learned_lifetime": 40 * SECOND, "expires_in": 90}, 90),
        ],
    )
    def test_the_lifetime_counts_from_the_request(
        self, claims: Any, said: Any, lifetime: float | None
    ) -> None:
        terms = issued(token(**claims), **said)
        assert ends_in(terms) == lifetime
        assert terms.lifetime == (None if lifetime is None else lifetime * SECOND)

    def test_the_issuer_s_default_comes_before_what_was_learned(self) -> None:
        rules = Rules(windows=Windows(), default_lifetime=60 * SECOND)
        assert ends_in(issued(rules=rules, learned_lifetime=40 * SECOND)) == 60

    def test_when_it_is_refreshed_ahead(self) -> None:
        access = token(iat=IAT, exp=IAT + 300)
        assert issued(access).refresh_at == NOW + 225 * SECOND
        assert issued(access, refresh_in=100).refresh_at == NOW + 100 * SECOND
        assert issued(access, refresh_in=float("nan")).refresh_at == NOW + 225 * SECOND
        assert issued("opaque").refresh_at is None

    def test_it_is_young_from_the_request_on(self) -> None:
        assert issued(token(iat=IAT - HOUR, exp=IAT)).young_until == NOW + 5 * SECOND

    def test_the_skew_is_measured(self) -> None:
        assert issued(token(iat=IAT + 90)).skew == 90 * SECOND
        assert issued(issuer_time=IAT - 90).skew == -90 * SECOND
        assert issued().skew is None

    def test_what_was_not_measured_is_not_written(self) -> None:
        assert "skew" not in issued().columns()
        assert issued(issuer_time=IAT).columns()["skew"] == 0

    def test_a_new_refresh_token(self) -> None:
        terms = issued(refresh=token(iat=IAT - HOUR, exp=IAT), previous=(1, 2))
        assert terms.refresh_expires_at == NOW + HOUR * SECOND
        assert terms.refresh_lifetime == HOUR * SECOND
        opaque = issued(refresh_expires_in=60, previous=(1, 2))
        assert opaque.refresh_expires_at == NOW + 60 * SECOND
        assert issued(previous=(1, 2)).refresh_expires_at is None

    def test_the_old_refresh_token_keeps_its_end(self) -> None:
        terms = issued(refresh=None, refresh_expires_in=60, previous=(1, 2))
        assert (terms.refresh_expires_at, terms.refresh_lifetime) == (1, 2)

    def test_a_refresh_token_of_no_seconds_never_ends(self) -> None:
        """Keycloak says `"refresh_expires_in": 0` of its offline tokens."""
        assert issued(refresh_expires_in=0).refresh_expires_at is None


numbers = st.none() | st.integers(-(10**20), 10**20) | st.floats()
dates = st.integers(-5, 10**12) | st.floats(0, LATEST)
payloads = json_objects | st.fixed_dictionaries({}, optional={"iat": dates, "exp": dates})
tokens = st.text(max_size=9) | payloads.map(lambda payload: compact({"alg": "HS256"}, payload))
times = st.integers(0, 4 * NOW)
windows = st.builds(
    Windows, leeway=st.none() | st.integers(0, LONGEST), ahead=st.none() | st.integers(0, LONGEST)
)
rules = st.builds(
    Rules,
    windows=windows,
    ahead=st.booleans(),
    default_lifetime=st.none() | st.integers(1, LONGEST),
    jitter=st.floats(0, 1),
)


def ensure_storable(terms: Terms) -> None:
    """They fit a column of 64 bits, with room to add a cool-down or a leeway to them."""
    for name, value in terms.columns().items():
        if name in ("sub", "jti"):
            assert isinstance(value, str)
            assert len(value) <= LONGEST_TEXT
        else:
            assert value is None or (type(value) is int and abs(value) < 2**62)
    assert terms.lifetime is None or terms.lifetime >= 0


@given(tokens, tokens, numbers, times, rules)
def test_anything_can_be_stored(
    access: str, refresh: str, expires_in: float | None, now: int, rules: Rules
) -> None:
    terms = of_stored(access, refresh, expires_in, now, rules)
    ensure_storable(terms)
    assert terms.young_until <= now + 5 * SECOND


@given(
    access=tokens,
    refresh=st.none() | tokens,
    sent_at=times,
    rules=rules,
    said=st.fixed_dictionaries(
        {
            "expires_in": numbers,
            "refresh_expires_in": numbers,
            "refresh_in": numbers,
            "issuer_time": numbers,
        }
    ),
    learned=st.none() | st.integers(1, LONGEST),
)
def test_anything_can_be_issued(
    access: str,
    refresh: str | None,
    sent_at: int,
    rules: Rules,
    said: dict[str, Any],
    learned: int | None,
) -> None:
    terms = of_issued(
        access, refresh, sent_at=sent_at, rules=rules, learned_lifetime=learned, **said
    )
    ensure_storable(terms)


@given(
    claims=st.fixed_dictionaries(
        {}, optional={"iat": st.integers(0, 10**11), "exp": st.integers(0, 10**11)}
    ),
    expires_in=st.none() | st.floats(0.001, 1e12),
    rules=rules,
    sent_at=times,
)
def test_a_just_issued_token_is_never_expired(
    claims: dict[str, int], expires_in: float | None, rules: Rules, sent_at: int
) -> None:
    """Whatever the clocks show: only an issuer that says "0 seconds" is believed."""
    terms = of_issued(token(**claims), None, sent_at=sent_at, rules=rules, expires_in=expires_in)
    freshness = assess(
        expires_at=terms.expires_at,
        lifetime=terms.lifetime,
        refresh_at=terms.refresh_at,
        now=sent_at,
        windows=rules.windows,
    )
    assert freshness is not Freshness.EXPIRED
