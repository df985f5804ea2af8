"""For how long a copy of a token in memory is trusted."""

import pytest
from django.contrib.auth.models import User

from jwt_outbound import seen
from jwt_outbound.exceptions import TokenPairUnreadable
from jwt_outbound.freshness import Windows
from jwt_outbound.grants import Grant, grant_of
from jwt_outbound.models import TokenPair
from jwt_outbound.testing import shift_clock
from tests.conftest import Configure

pytestmark = pytest.mark.django_db


def grant_for(user: User, *, expires_in: float | None, refresh: str = "refresh") -> Grant:
    TokenPair.objects.store(
        user=user, service="billing", access="token", refresh=refresh, expires_in=expires_in
    )
    version = seen.version("billing", user.pk)
    reading = TokenPair.objects.read(user_id=user.pk, service="billing")
    assert reading.pair is not None
    return grant_of(reading, reading.pair, Windows(), version)


def test_it_is_what_the_row_holds_and_shows_no_token(user: User) -> None:
    grant = grant_for(user, expires_in=300)
    assert (grant.access.reveal(), grant.generation) == ("token", 1)
    assert (grant.service, grant.user_id) == ("billing", user.pk)
    assert "token" not in repr(grant)


@pytest.mark.parametrize(
    ("expires_in", "refresh", "trusted_for"),
    [
        (None, "refresh", 5),  # MEMORY
        (300, "refresh", 5),
        (8, "", 7),  # its leeway: a second of eight
        (4, "", 3),
        (4, "refresh", 3),  # due for a refresh ahead after three or a little more
    ],
)
def test_it_ends_with_memory_with_the_leeway_or_when_a_refresh_is_due(
    user: User, configure: Configure, expires_in: float | None, refresh: str, trusted_for: float
) -> None:
    if expires_in == 8:
        configure(MEMORY=60)
    grant = grant_for(user, expires_in=expires_in, refresh=refresh)
    with shift_clock(trusted_for - 0.5):
        assert grant.is_trusted()
    with shift_clock(trusted_for + 0.1):
        assert not grant.is_trusted()


def test_memory_can_be_turned_off(user: User, configure: Configure) -> None:
    configure(MEMORY=0)
    assert not grant_for(user, expires_in=300).is_trusted()


def test_it_ends_when_this_process_has_seen_the_pair_change(user: User) -> None:
    grant = grant_for(user, expires_in=300)
    seen.change("crm", user.pk)
    assert grant.is_trusted()
    TokenPair.objects.store(user=user, service="billing", access="another")
    assert not grant.is_trusted()


def test_an_unreadable_row_grants_nothing(user: User, configure: Configure) -> None:
    grant_for(user, expires_in=300)
    configure(ENCRYPTION_KEYS=["A" * 43 + "="])
    reading = TokenPair.objects.read(user_id=user.pk, service="billing")
    assert reading.pair is not None
    with pytest.raises(TokenPairUnreadable):
        grant_of(reading, reading.pair, Windows(), (0, 0))
