"""What was made together does not come due together, and a returning issuer is not stormed."""

from collections import Counter
from collections.abc import Iterable
from uuid import uuid4

import pytest

from jwt_outbound.clock import SECOND
from jwt_outbound.freshness import Windows, idle_at
from jwt_outbound.models import TokenPair
from jwt_outbound.querysets import database_now
from jwt_outbound.refresh.decisions import RETURN_SPREAD, calm_at
from jwt_outbound.rows import IssuerHealth
from tests.fleet.pairs import make_pairs, pair_of, run
from tests.issuer_server import StrictIssuer
from tests.refresh.pairs import NOW, OVER, a_pair, a_policy

HOUR = 3600 * SECOND


def fullest_share(moments: Iterable[int | None]) -> float:
    """The share of them that the fullest second holds."""
    seconds = Counter((moment or 0) // SECOND for moment in moments)
    return max(seconds.values()) / seconds.total()


@pytest.mark.django_db(transaction=True)
def test_a_morning_s_logins_come_due_apart_and_so_after_their_next_refresh(
    issuer: StrictIssuer,
) -> None:
    issuer.configure(lifetime=3600)
    make_pairs(issuer, 200)
    rows = TokenPair.objects.values_list("refresh_at", "expires_at", "lifetime")
    assert run() == "200 refreshed.\n"
    due = [refresh_at for refresh_at, _, _ in rows.all()]
    assert fullest_share(due) < 0.08
    assert max(due) - min(due) > 60 * SECOND
    assert all(at < ends - Windows().late(life) for at, ends, life in rows.all())


@pytest.mark.django_db(transaction=True)
def test_also_as_they_are_stored(issuer: StrictIssuer) -> None:
    issuer.configure(lifetime=3600)
    (user,) = make_pairs(issuer, 1)
    due: list[int] = []
    for _ in range(200):
        tokens = issuer.pair_for(user.username)
        TokenPair.objects.store(user=user, service="billing", **tokens)
        due.append(pair_of(user).refresh_at or 0)
    assert fullest_share(due) < 0.08
    assert min(due) > database_now()


@pytest.mark.parametrize("lifetime", [300 * SECOND, HOUR, 24 * HOUR])
def test_a_thousand_pairs_of_one_second_are_due_in_many(lifetime: int) -> None:
    after = [Windows().refresh_after(lifetime, n / 1000) for n in range(1000)]
    assert fullest_share(after) < 0.06
    assert min(after) >= lifetime * 3 // 4
    assert max(after) < lifetime - Windows().late(lifetime)


def test_unused_ones_are_kept_alive_at_different_times() -> None:
    moments = [idle_at(NOW, 30 * 24 * HOUR, n / 1000) for n in range(1000)]
    assert fullest_share(moments) < 0.01


@pytest.mark.parametrize(
    ("left", "spread"),
    [(200 * SECOND, RETURN_SPREAD), (40 * SECOND, 5 * SECOND)],
)
def test_after_an_outage_those_who_do_not_need_it_now_come_later(left: int, spread: int) -> None:
    issuer = IssuerHealth(recovered_at=NOW)
    pairs = [a_pair(pk=uuid4(), expires_at=NOW + left) for _ in range(1000)]
    moments = [calm_at(pair, issuer, a_policy()) for pair in pairs]
    assert all(NOW <= moment <= NOW + spread for moment in moments)
    assert fullest_share(moments) < 2.5 * SECOND / spread
    assert calm_at(a_pair(OVER), issuer, a_policy()) <= NOW
