"""Settings and the issuer's profile, put together."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from jwt_outbound.clock import SECOND
from jwt_outbound.conf import get_service
from jwt_outbound.issuers import CallableIssuer, Profile, SimpleJWTIssuer
from jwt_outbound.refresh.policies import policy_of
from tests.conftest import Configure


class Forgiving(SimpleJWTIssuer):
    profile = Profile(replay_window=30, old_access_dies=True, default_lifetime=600)


def test_the_defaults_are_those_of_the_design() -> None:
    policy = policy_of(get_service("billing"))
    assert (policy.deadline, policy.lease, policy.wait) == (8 * SECOND, 12 * SECOND, 20 * SECOND)
    assert (policy.replay_window, policy.makes_first_pair, policy.exchanges) == (0, False, True)
    assert policy.rules.ahead
    assert policy.rules.default_lifetime is None


def test_settings_are_in_microseconds(configure: Configure) -> None:
    configure(ISSUER_DEADLINE=0.5, LEASE=2, WAIT=4.5, REPLAY_WINDOW=30, LEEWAY=3, REFRESH_AHEAD=60)
    policy = policy_of(get_service("billing"))
    assert (policy.deadline, policy.lease) == (SECOND // 2, 2 * SECOND)
    assert (policy.wait, policy.replay_window) == (4_500_000, 30 * SECOND)
    windows = policy.rules.windows
    assert (windows.leeway, windows.ahead) == (3 * SECOND, 60 * SECOND)


def test_an_issuers_profile_counts_where_the_settings_say_nothing(configure: Configure) -> None:
    configure(ISSUER=Forgiving)
    policy = policy_of(get_service("billing"))
    assert policy.replay_window == 30 * SECOND
    assert (policy.rules.ahead, policy.rules.default_lifetime) == (False, 600 * SECOND)
    configure(REPLAY_WINDOW=0, DEFAULT_LIFETIME=60)
    policy = policy_of(get_service("billing"))
    assert (policy.replay_window, policy.rules.default_lifetime) == (0, 60 * SECOND)


def test_an_issuer_that_only_obtains_makes_first_pairs(configure: Configure) -> None:
    configure(ISSUER=CallableIssuer, OPTIONS={"obtain": str})
    policy = policy_of(get_service("billing"))
    assert (policy.makes_first_pair, policy.exchanges) == (True, False)


@pytest.mark.parametrize(
    ("made", "options"),
    [("no.such.Issuer", {}), (SimpleJWTIssuer, {"unknown": 1}), (object(), {}), (None, {})],
)
def test_an_issuer_that_cannot_be_made_says_whose(
    configure: Configure, made: object, options: dict[str, object]
) -> None:
    configure(ISSUER=made, OPTIONS=options)
    with pytest.raises(ImproperlyConfigured, match="'billing'"):
        policy_of(get_service("billing"))
