"""The flights' own connections: apart from the caller's, kept, renewed and never leaked."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, connections, transaction

from jwt_outbound.refresh import connections as own
from tests.forking import in_a_fork
from tests.refresh.breaking import failing, in_a_flight

pytestmark = [
    pytest.mark.database,
    pytest.mark.django_db(transaction=True, databases=["default", "tokens"]),
]


@pytest.fixture
def keeping(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As outside a test run, where idle connections are kept."""
    monkeypatch.setattr(own, "_in_a_test_run", lambda: False)
    yield
    own.close_idle()


def used() -> Any:
    """The connection, after a query."""
    User.objects.count()
    return connections["default"]


class TestApart:
    def test_it_is_another_one_in_autocommit(self) -> None:
        with transaction.atomic():
            mine, theirs = used(), in_a_flight(used)
            assert theirs is not mine
            assert not theirs.in_atomic_block
            assert theirs.settings_dict["NAME"] == mine.settings_dict["NAME"]
        assert connections["default"] is mine

    def test_what_the_caller_has_not_committed_is_not_there(self) -> None:
        with transaction.atomic():
            User.objects.create_user("bob")
            assert in_a_flight(User.objects.count) == 0
            transaction.set_rollback(True)

    def test_no_pool_no_age_and_no_atomic_requests_are_taken_over(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = connections.settings["default"]
        monkeypatch.setitem(settings, "ATOMIC_REQUESTS", True)
        monkeypatch.setitem(settings, "OPTIONS", {**settings["OPTIONS"], "pool": {"max_size": 2}})
        monkeypatch.setitem(settings, "CONN_MAX_AGE", 60)
        theirs = in_a_flight(used).settings_dict
        assert "pool" not in theirs["OPTIONS"]
        assert (theirs["ATOMIC_REQUESTS"], theirs["CONN_MAX_AGE"]) == (False, None)
        assert "pool" in settings["OPTIONS"], "the project's own are left alone"

    def test_a_row_that_is_locked_is_not_waited_for_long(self) -> None:
        asked = {
            "postgresql": ("SHOW lock_timeout", "2s"),
            "mysql": ("SELECT @@innodb_lock_wait_timeout", 2),
        }
        sql, limit = asked.get(connection.vendor, ("SELECT 2", 2))

        def limits() -> Any:
            with connections["default"].cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchone()[0]

        assert in_a_flight(limits) == limit


class TestGivingBack:
    def test_in_a_test_run_it_is_closed_or_the_test_database_could_not_be_dropped(self) -> None:
        assert in_a_flight(used).connection is None
        assert own._idle == []

    @pytest.mark.usefixtures("keeping")
    def test_else_it_is_kept_for_the_next_flight(self) -> None:
        first = in_a_flight(used)
        assert first.connection is not None
        assert in_a_flight(used) is first
        own.close_idle()
        assert first.connection is None

    @pytest.mark.usefixtures("keeping")
    def test_only_idle_ones_are_closed(self) -> None:
        kept = in_a_flight(used)
        own.close_idle(older_than=60)
        assert kept.connection is not None
        assert own._janitor is not None
        own._janitor.cancel()

    @pytest.mark.usefixtures("keeping")
    def test_flights_at_once_have_one_each(self) -> None:
        together = threading.Barrier(3)

        def meet() -> Any:
            together.wait(10)
            return used()

        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda _: in_a_flight(meet), range(3)))
        assert len(set(map(id, found))) == 3

    @pytest.mark.usefixtures("keeping")
    def test_one_that_has_failed_is_not_kept(self) -> None:
        def broken() -> Any:
            with failing(), pytest.raises(OperationalError):
                User.objects.count()
            connections["default"].errors_occurred = True
            return connections["default"]

        assert in_a_flight(broken).connection is None
        assert own._idle == []

    def test_what_receivers_have_opened_beside_it_is_closed(self) -> None:
        def beside() -> Any:
            connections["tokens"].ensure_connection()
            return connections["tokens"]

        assert in_a_flight(beside).connection is None

    def test_in_a_forked_child_it_is_neither_used_nor_closed(self, keeping: None) -> None:
        kept = in_a_flight(used)
        assert in_a_fork(lambda: [len(own._idle), len(own._forgotten)]) == [0, 1]
        assert in_a_flight(used) is kept


class TestSurroundings:
    def test_are_entered_with_it_and_anew_with_a_new_one(self) -> None:
        steps: list[str] = []

        @contextmanager
        def tenant() -> Iterator[None]:
            steps.append("in")
            try:
                yield
            finally:
                steps.append("out")

        def story() -> None:
            used()
            own.renew("default")
            steps.append("renewed")
            used()

        in_a_flight(story, surroundings=tenant())
        assert steps == ["in", "out", "in", "renewed", "out"]

    def test_a_renewal_that_failed_is_made_good_before_anything_is_read(self) -> None:
        entered: list[bool] = []

        class Tenant:
            def __enter__(self) -> None:
                entered.append(True)
                if sum(entered) == 2:
                    raise OperationalError("no such schema yet")

            def __exit__(self, *_: object) -> None:
                entered.append(False)

        def story() -> None:
            own.ensure_ready("default")
            with pytest.raises(OperationalError):
                own.renew("default")
            own.ensure_ready("default")
            used()

        in_a_flight(story, surroundings=Tenant())
        assert entered == [True, False, True, True, False]
