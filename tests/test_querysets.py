"""Readings, and the one clock that all hosts share."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from jwt_outbound import clock
from jwt_outbound.clock import SECOND
from jwt_outbound.compare_and_swap import NEXT, Now
from jwt_outbound.models import IssuerState, TokenPair, TokenPairEvent
from jwt_outbound.querysets import alias, database_now, place, shown
from jwt_outbound.rows import IssuerHealth, Pair
from jwt_outbound.testing import shift_clock
from tests.conftest import Configure

pytestmark = [pytest.mark.database, pytest.mark.django_db]

HOUR = 3600 * SECOND


def distance_to_this_host() -> int:
    return abs(database_now() - time.time_ns() // 1000)


class TestTheDatabasesClock:
    def test_it_is_utc_whatever_the_session_or_the_project_says(self, settings: Settings) -> None:
        assert distance_to_this_host() < HOUR // 2
        settings.USE_TZ = False
        settings.TIME_ZONE = "Pacific/Kiritimati"
        assert distance_to_this_host() < HOUR // 2

    @pytest.fixture
    def far_east(self, db: None) -> Iterator[None]:
        moved = {"postgresql": "SET TIME ZONE '+9'", "mysql": "SET time_zone = '+09:00'"}
        back = {"postgresql": "SET TIME ZONE 'UTC'", "mysql": "SET time_zone = @@global.time_zone"}
        with connection.cursor() as cursor:
            cursor.execute(moved.get(connection.vendor, "SELECT 1"))
            yield
            cursor.execute(back.get(connection.vendor, "SELECT 1"))

    @pytest.mark.usefixtures("far_east")
    def test_a_session_time_zone_does_not_move_it(self) -> None:
        assert distance_to_this_host() < HOUR // 2

    def test_it_goes_on_inside_a_transaction(self) -> None:
        first = database_now()
        while database_now() <= first:
            continue
        assert database_now() > first

    def test_shift_clock_moves_it_and_the_hosts_monotonic_clock(self) -> None:
        real, here = database_now(), clock.monotonic()
        with shift_clock(7200):
            assert database_now() - real >= 2 * HOUR
            assert clock.monotonic() - here >= 2 * HOUR
        assert database_now() - real < HOUR


class TestReading:
    def test_a_row_is_read_with_the_clock_in_one_query(
        self, user: User, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        stored = TokenPair.objects.create(
            user_id=user.pk, service="billing", generation=3, access_sealed=b"\x00\xff"
        )
        before, here = database_now(), clock.monotonic()
        with django_assert_num_queries(1):
            reading = TokenPair.objects.read(user_id=user.pk, service="billing")
        assert isinstance(reading.pair, Pair)
        assert (reading.pair.pk, reading.pair.generation) == (stored.pk, 3)
        assert reading.pair.access_sealed == b"\x00\xff"
        assert before <= reading.now <= database_now()
        assert here <= reading.at <= clock.monotonic()

    def test_a_missing_row_is_a_reading_too(self) -> None:
        reading = TokenPair.objects.read(user_id=404, service="billing")
        assert reading.pair is None
        assert abs(reading.now - database_now()) < HOUR

    def test_the_alias_is_that_of_the_settings(self, configure: Configure) -> None:
        assert (alias(), TokenPair.objects.all().db) == ("default", "default")
        configure(DATABASE="tokens")
        assert (alias(), TokenPair.objects.all().db) == ("tokens", "tokens")
        assert TokenPair.objects.using("default").db == "default"


class TestHealth:
    def test_a_service_nobody_wrote_about_is_healthy_and_unproven(self) -> None:
        assert IssuerState.objects.health("billing") == IssuerHealth()

    def test_changes_make_the_row_and_count_in_the_database(self) -> None:
        for _ in range(2):
            IssuerState.objects.change("billing", {"failures": NEXT, "cooling_until": Now(HOUR)})
        health = IssuerState.objects.health("billing")
        assert health.failures == 2
        assert health.cooling_until > database_now()
        assert IssuerState.objects.health("crm") == IssuerHealth()


class TestHistory:
    def test_a_line_is_dated_by_the_databases_clock(
        self, row: Callable[[], Pair], user: User
    ) -> None:
        TokenPair.objects.create(user_id=user.pk, service="billing", generation=3)
        now = database_now()
        TokenPairEvent.objects.record(row(), now, kind="refused", reason="expired")
        line = TokenPairEvent.objects.get()
        assert (line.generation, line.kind, line.reason) == (3, "refused", "expired")
        assert (line.pair_id, line.user_id, line.service) == (row().pk, user.pk, "billing")
        assert (line.host, line.pid) == tuple(place().values())
        assert abs(line.at.timestamp() - now / SECOND) < 0.001

    @pytest.mark.parametrize("aware", [True, False])
    def test_times_are_shown_as_the_project_shows_its_own(
        self, settings: Settings, aware: bool
    ) -> None:
        settings.USE_TZ, settings.TIME_ZONE = aware, "America/New_York"
        moment = shown(1_800_000_000 * SECOND)
        assert timezone.is_aware(moment) is aware
        assert moment.isoformat() == (
            "2027-01-15T08:00:00+00:00" if aware else "2027-01-15T03:00:00"
        )
        assert abs(shown(database_now()) - timezone.now()) < timedelta(minutes=30)
