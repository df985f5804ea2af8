"""A service's settings and its issuer's profile, put together as the protocol's policy."""

from functools import lru_cache

from jwt_outbound.conf import Service, issuer_of, micro
from jwt_outbound.managers import rules_of
from jwt_outbound.refresh.words import Policy

HEADROOM = 1.05
"""Places lie so much wider apart: a thread that is woken late must not make one second too full."""


@lru_cache(maxsize=64)
def policy_of(service: Service) -> Policy:
    """The policy of `service`. Raises `ImproperlyConfigured` if its issuer can't be made."""
    issuer = issuer_of(service)
    window = (
        issuer.profile.replay_window if service.replay_window is None else service.replay_window
    )
    return Policy(
        service=service.name,
        rules=rules_of(service),
        lease=micro(service.lease),
        deadline=micro(service.issuer_deadline),
        wait=micro(service.wait),
        replay_window=micro(window),
        spacing=_spacing(service.exchanges_per_second),
        makes_first_pair=issuer.makes_first_pair,
        exchanges=issuer.exchanges,
    )


def _spacing(per_second: float | None) -> int:
    return 0 if per_second is None else micro(HEADROOM / per_second)
