"""EXCHANGES_PER_SECOND: places that all hosts share, those who wait first, and a clean journal."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError

from jwt_outbound.clock import SECOND
from jwt_outbound.conf import get_service
from jwt_outbound.exceptions import IssuerUnavailable
from jwt_outbound.models import IssuerState, TokenPair
from jwt_outbound.querysets import IssuerStateQuerySet, database_now
from jwt_outbound.refresh import flights
from jwt_outbound.refresh.budget import in_budget
from jwt_outbound.refresh.connections import own_connection
from jwt_outbound.refresh.driver import Driver
from jwt_outbound.refresh.steps import Outcome
from jwt_outbound.refresh.words import Act, Ask, Crowded
from jwt_outbound.rows import IssuerHealth, Pair
from jwt_outbound.testing import drain
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import EXPIRED_AFTER, STALE_AFTER, Configure
from tests.fleet.locking import LONG
from tests.fleet.pairs import make_pairs, run
from tests.issuer_server import StrictIssuer
from tests.refresh.breaking import failing, in_a_flight
from tests.refresh.pairs import NOW, OVER, STALE, a_pair, a_policy, a_reading, an_ask

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

Row = Callable[[], Pair]
Later = Callable[[float], None]


@pytest.fixture(autouse=True)
def budget(configure: Configure, issuer: StrictIssuer) -> None:
    configure(EXCHANGES_PER_SECOND=20, ISSUER_DEADLINE=2, LEASE=6, WAIT=10)


def crowd(seconds: float) -> None:
    """All places up to then are taken."""
    until = database_now() + int(seconds * SECOND)
    IssuerState.objects.update_or_create(
        service="billing", defaults={"next_exchange_at": until, "proven": True}
    )


def ahead(pair: Pair) -> Outcome:
    """As a worker refreshes, on a connection of its own."""
    ask = Ask(
        service="billing",
        user_id=pair.user_id,
        pk=pair.pk,
        generation=pair.generation,
        renew=pair.generation,
        ahead=True,
    )
    return Driver(service=get_service("billing"), ask=ask).run()


def assert_clean(pair: Pair) -> None:
    """As if nothing had been tried."""
    assert not pair.presented
    assert (pair.presented_at, pair.presentations, pair.unended) == (0, 0, False)
    assert (pair.lease_until, pair.cooldown_until, pair.failures) == (0, 0, 0)


class TestPlaces:
    def test_are_one_for_each_however_many_come_at_once(self) -> None:
        barrier = threading.Barrier(6)
        taken: list[int] = []

        def take() -> None:
            with own_connection("default"):
                barrier.wait(LONG)
                for _ in range(8):
                    before = database_now()
                    wait = IssuerState.objects.take_place("billing", SECOND, 3600 * SECOND)
                    assert wait is not None
                    taken.append(before + wait)

        with ThreadPoolExecutor(6) as pool:
            for job in [pool.submit(take) for _ in range(6)]:
                job.result(LONG)
        last = IssuerState.objects.get().next_exchange_at
        assert len(taken) == 48
        # Each moved the next place by one second, so no two have the same.
        assert last - min(taken) >= 47 * SECOND
        gaps = [b - a for a, b in pairwise(sorted(taken))]
        assert min(gaps) > 0

    def test_is_not_taken_by_those_who_would_not_wait_for_it(self) -> None:
        crowd(5)
        before = IssuerState.objects.get().next_exchange_at
        assert IssuerState.objects.take_place("billing", SECOND, 4 * SECOND) is None
        assert IssuerState.objects.get().next_exchange_at == before
        assert IssuerState.objects.take_place("billing", SECOND, 6 * SECOND) is not None
        assert IssuerState.objects.get().next_exchange_at == before + SECOND

    def test_are_given_up_where_a_snapshot_never_moves(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As in a caller's own transaction on MariaDB; it went round for ever."""
        crowd(0)
        monkeypatch.setattr(IssuerStateQuerySet, "update", lambda self, **changes: 0)
        assert IssuerState.objects.take_place("billing", SECOND, 4 * SECOND) is None


class TestThoseWhoWait:
    def test_fail_at_once_where_their_place_is_too_far_away(
        self, user: User, stored: dict[str, str], later: Later, row: Row, issuer: StrictIssuer
    ) -> None:
        later(EXPIRED_AFTER)
        crowd(60)
        before = row()
        with pytest.raises(IssuerUnavailable, match="EXCHANGES_PER_SECOND") as raised:
            fetch_valid_access_token("billing", user)
        assert raised.value.retry_after == pytest.approx(60, abs=20)
        assert issuer.presentations() == []
        assert row() == before

    @pytest.mark.parametrize("away", [0.3, 4.5])
    def test_are_served_when_it_is_nearer(
        self,
        away: float,
        user: User,
        stored: dict[str, str],
        later: Later,
        row: Row,
        issuer: StrictIssuer,
    ) -> None:
        """Within the lease they hold it and wait; beyond, they wait first."""
        later(EXPIRED_AFTER)
        crowd(away)
        place = IssuerState.objects.get().next_exchange_at
        assert fetch_valid_access_token("billing", user) != stored["access"]
        assert drain()
        assert database_now() >= place
        assert len(issuer.presentations()) == 1
        assert row().generation == 2

    def test_do_not_wait_for_a_place_while_the_token_serves(self) -> None:
        far = IssuerHealth(next_exchange_at=NOW + 8 * SECOND)
        policy = a_policy(spacing=SECOND)
        stale = a_reading(a_pair(STALE), far)
        assert in_budget(stale, an_ask(), policy).serve
        assert isinstance(in_budget(stale, an_ask(ahead=True), policy).failure, Crowded)
        assert in_budget(a_reading(a_pair(OVER), far), an_ask(), policy).wait
        free = a_reading(a_pair(OVER), IssuerHealth(next_exchange_at=NOW))
        assert in_budget(free, an_ask(), policy).act is Act.PRESENT

    def test_come_before_the_backlog(
        self, issuer: StrictIssuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        backlog = make_pairs(issuer, 30)
        waiting = make_pairs(issuer, 12)
        now = database_now()
        late = {"expires_at": now - 1, "claimed_until": now + 3600 * SECOND}
        TokenPair.objects.filter(user__in=waiting).update(**late)
        begun = threading.Event()
        real = IssuerStateQuerySet.take_place
        places: list[int] = []

        def take_place(self: Any, service: str, spacing: int, patience: int) -> int | None:
            wait = real(self, service, spacing, patience)
            if wait is not None:
                places.append(database_now() + wait)
                begun.set()
            return wait

        monkeypatch.setattr(IssuerStateQuerySet, "take_place", take_place)
        with ThreadPoolExecutor(13) as pool:
            worker = pool.submit(_work)
            assert begun.wait(LONG)
            calls = [pool.submit(_call, each) for each in waiting]
            assert all(call.result(LONG) for call in calls)
            assert "30 refreshed" in worker.result(LONG)
        users = [each["user"] for each in issuer.presentations()]
        assert len(users) == 42
        last_call = max(users.index(each.username) for each in waiting)
        assert sum(each.username in users[last_call:] for each in backlog) > 5
        assert_within_budget(places)


def _work() -> str:
    with own_connection("default"):
        return run("--threads", "4")


def _call(user: User) -> str:
    with own_connection("default"):
        return fetch_valid_access_token("billing", user)


def assert_within_budget(places: list[int], per_second: int = 20) -> None:
    """No second holds more places; a reading of the clock may be late, but not by a place."""
    for first in sorted(places):
        within = [place for place in places if first <= place < first + SECOND * 0.95]
        assert len(within) <= per_second


class TestARefreshAhead:
    def test_takes_no_place_while_somebody_is_in_line(
        self, stored: dict[str, str], later: Later, row: Row, issuer: StrictIssuer
    ) -> None:
        later(STALE_AFTER)
        crowd(3)
        before, place = row(), IssuerState.objects.get().next_exchange_at
        outcome = in_a_flight(lambda: ahead(row()))
        assert isinstance(outcome.failure, Crowded)
        assert row() == before
        assert IssuerState.objects.get().next_exchange_at == place
        assert issuer.presentations() == []

    def test_that_gets_none_although_it_has_the_lease_leaves_a_clean_journal(
        self,
        stored: dict[str, str],
        later: Later,
        row: Row,
        issuer: StrictIssuer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        later(STALE_AFTER)
        TokenPair.objects.update(claimed_until=database_now() + 20 * SECOND)
        leased: list[bool] = []

        def take_place(self: Any, service: str, spacing: int, patience: int) -> int | None:
            leased.append(row().presented)
            crowd(60)
            return None

        monkeypatch.setattr(IssuerStateQuerySet, "take_place", take_place)
        outcome = in_a_flight(lambda: ahead(row()))
        assert isinstance(outcome.failure, Crowded)
        assert leased == [True]
        assert_clean(row())
        # The worker that has it in hand tries again: no other one is to take it meanwhile.
        assert TokenPair.objects.get().claimed_until > database_now()
        assert issuer.presentations() == []

    def test_whose_place_the_database_did_not_give_leaves_one_too(
        self,
        stored: dict[str, str],
        later: Later,
        row: Row,
        issuer: StrictIssuer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Somebody has the issuer's row locked for longer than is waited for."""
        later(STALE_AFTER)
        crowd(-1)

        def try_it() -> Outcome:
            with failing("UPDATE", "issuerstate", "next_exchange_at", times=2) as wrapper:
                outcome = ahead(row())
                assert wrapper.failed == 2
                return outcome

        in_a_flight(try_it)
        assert row().generation == 2
        assert issuer.most_presented() == 1

    def test_and_where_it_goes_on_failing(
        self,
        stored: dict[str, str],
        later: Later,
        row: Row,
        issuer: StrictIssuer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        later(STALE_AFTER)
        crowd(-1)

        def take_place(self: Any, service: str, spacing: int, patience: int) -> int | None:
            crowd(60)
            raise OperationalError("canceling statement due to lock timeout")

        monkeypatch.setattr(IssuerStateQuerySet, "take_place", take_place)
        in_a_flight(lambda: ahead(row()))
        assert_clean(row())
        assert issuer.presentations() == []

    def test_that_a_caller_has_joined_is_crowded_out_and_he_gets_his_token(
        self,
        user: User,
        stored: dict[str, str],
        later: Later,
        row: Row,
        issuer: StrictIssuer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        later(EXPIRED_AFTER)
        pair, real = row(), IssuerStateQuerySet.take_place
        key, turns = (pair.pk, pair.generation), [0]

        def take_place(self: Any, service: str, spacing: int, patience: int) -> int | None:
            turns[0] += 1
            if turns[0] > 1:
                return real(self, service, spacing, patience)
            wait_until(lambda: bool(flights.flights._flights[key]._waiters))
            crowd(0.5)
            return None

        monkeypatch.setattr(IssuerStateQuerySet, "take_place", take_place)
        ask = Ask(service="billing", user_id=user.pk, pk=pair.pk, generation=1, ahead=True)
        flights.launch(Driver(service=get_service("billing"), ask=ask))
        assert fetch_valid_access_token("billing", user) != stored["access"]
        assert drain()
        assert turns == [2]
        assert len(issuer.presentations()) == 1


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG
    while not reached():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)
