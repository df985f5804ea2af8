"""A pair that is good but due: who refreshes it, and that nobody waits or fails because of it."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import TestCase

from jwt_outbound import refresh_ahead
from jwt_outbound.clock import SECOND
from jwt_outbound.compare_and_swap import Now
from jwt_outbound.exceptions import (
    IssuerUnavailable,
    LoginRequired,
    ServiceNotConfigured,
    TokenPairNotFound,
)
from jwt_outbound.models import IssuerState, TokenPair
from jwt_outbound.querysets import database_now
from jwt_outbound.refresh.driver import Driver
from jwt_outbound.refresh.steps import Outcome
from jwt_outbound.refresh_ahead import refresh_if_due
from jwt_outbound.rows import Pair
from jwt_outbound.testing import FakeIssuer, drain, shift_clock
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import STALE_AFTER, Configure, Heard
from tests.forking import in_a_fork
from tests.issuer_server import StrictIssuer

pytestmark = pytest.mark.django_db(transaction=True)

Row = Callable[[], Pair]

asked: list[tuple[str, Any]] = []


def note(service: str, user_id: Any) -> None:
    """A runner of the project's own: it would enqueue a task."""
    asked.append((service, user_id))


def fail(service: str, user_id: Any) -> None:
    raise ConnectionError("the queue is away, and said a secret")


def break_the_transaction(service: str, user_id: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM no_such_queue")


def store_more(number: int) -> list[User]:
    """Other users, with pairs that are due."""
    users = [User.objects.create_user(f"user{each}") for each in range(number)]
    for each in users:
        pair = {"access": f"opaque{each.pk}", "refresh": "opaque", "expires_in": 300}
        TokenPair.objects.store(user=each, service="billing", **pair)
    TokenPair.objects.update(refresh_at=1)
    return users


def leave_alone(seconds: int) -> None:
    """The issuer, for so long."""
    cooling = {"failures": 3, "cooling_until": Now(seconds * SECOND)}
    IssuerState.objects.change("billing", cooling)


def fetch(user: User) -> str:
    return fetch_valid_access_token("billing", user)


@pytest.fixture
def stale(
    stored: dict[str, str], later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    asked.clear()
    monkeypatch.setattr(refresh_ahead, "notes", refresh_ahead.Notes())
    later(STALE_AFTER)
    return stored


class TestTheRunner:
    def test_is_a_flight_unless_told_otherwise(
        self, user: User, stale: dict[str, str], row: Row, heard: Heard
    ) -> None:
        assert fetch(user) == stale["access"]
        assert drain()
        assert row().generation == 2
        assert [(name, said["reason"]) for name, said in heard] == [("refreshed", "stale")]

    def test_can_be_off(
        self, user: User, stale: dict[str, str], issuer: StrictIssuer, configure: Configure
    ) -> None:
        configure(REFRESH_AHEAD_RUNNER="off")
        assert fetch(user) == stale["access"]
        assert drain()
        assert issuer.presentations() == []

    def test_can_be_the_projects_own_which_refreshes_later(
        self,
        user: User,
        stale: dict[str, str],
        issuer: StrictIssuer,
        configure: Configure,
        row: Row,
    ) -> None:
        configure(REFRESH_AHEAD_RUNNER=f"{__name__}.note")
        assert fetch(user) == stale["access"]
        assert asked == [("billing", user.pk)]
        assert issuer.presentations() == []
        for _ in range(2):
            outcome = refresh_if_due(*asked[0])
            assert outcome.failure is None
        assert (row().generation, len(issuer.presentations())) == (2, 1)

    @pytest.mark.parametrize("runner", [f"{__name__}.fail", "no.such.runner"])
    def test_one_that_fails_is_logged_and_the_token_served(
        self,
        user: User,
        stale: dict[str, str],
        configure: Configure,
        caplog: pytest.LogCaptureFixture,
        runner: str,
    ) -> None:
        configure(REFRESH_AHEAD_RUNNER=runner)
        with caplog.at_level(logging.ERROR):
            assert fetch(user) == stale["access"]
        assert "A refresh ahead for 'billing' was not started" in caplog.text
        assert "REFRESH_AHEAD_RUNNER is" in caplog.text
        assert "secret" not in caplog.text

    def test_one_that_fails_is_left_alone_for_half_a_minute(
        self,
        user: User,
        stale: dict[str, str],
        configure: Configure,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """A broker that can't be reached takes its time, and would take it of every call."""
        configure(REFRESH_AHEAD_RUNNER=f"{__name__}.fail")
        pairs = store_more(3)
        with caplog.at_level(logging.ERROR):
            for each in (user, *pairs):
                fetch(each)
            assert len(caplog.messages) == 1
            with shift_clock(31):
                fetch(pairs[0])
        assert len(caplog.messages) == 2

    @pytest.mark.database
    def test_what_it_breaks_in_the_callers_transaction_is_undone(
        self, user: User, stale: dict[str, str], configure: Configure
    ) -> None:
        """Its queue may be a table of the same database."""
        configure(REFRESH_AHEAD_RUNNER=f"{__name__}.break_the_transaction")
        with transaction.atomic():
            User.objects.create_user("bob")
            assert fetch(user) == stale["access"]
            User.objects.create_user("carol")
        assert User.objects.count() == 3

    def test_an_outage_is_noticed_by_nobody(
        self, user: User, stale: dict[str, str], issuer: StrictIssuer, heard: Heard
    ) -> None:
        issuer.fail(503)
        for _ in range(2):
            assert fetch(user) == stale["access"]
            assert drain()
        assert (len(issuer.presentations()), heard) == (1, [])


class TestWhileTheIssuerIsLeftAlone:
    """Calls don't read how it is: the flight of the first one finds that nothing is to be done."""

    @pytest.fixture
    def flown(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        flown: list[Any] = []
        run = Driver.run

        def note(self: Driver) -> Outcome:
            flown.append(self.ask.pk)
            return run(self)

        monkeypatch.setattr(Driver, "run", note)
        return flown

    def test_one_flight_finds_that_out_for_all_calls(
        self, user: User, stale: dict[str, str], flown: list[Any], row: Row
    ) -> None:
        leave_alone(4)
        for _ in range(3):
            assert fetch(user) == stale["access"]
            assert drain()
        assert len(flown) == 1
        with shift_clock(5):
            fetch(user)
            assert drain()
            assert (len(flown), row().generation) == (2, 2)

    def test_it_is_believed_for_seconds_only(
        self, user: User, stale: dict[str, str], flown: list[Any], row: Row
    ) -> None:
        leave_alone(20)
        fetch(user)
        assert drain()
        IssuerState.objects.change("billing", {"failures": 0, "cooling_until": 0})
        with shift_clock(6):
            fetch(user)
            assert drain()
            assert (len(flown), row().generation) == (2, 2)

    def test_and_for_a_third_of_what_the_token_is_still_good_for(
        self, user: User, stale: dict[str, str], flown: list[Any], row: Row
    ) -> None:
        """Of six seconds: then the issuer may be back earlier than it should."""
        leave_alone(4)
        ends = database_now() + 6 * SECOND
        TokenPair.objects.update(expires_at=ends, lifetime=12 * SECOND)
        for seconds in (0.0, 1.5, 1.0):
            with shift_clock(seconds):
                assert fetch(user) == stale["access"]
                assert drain()
        assert len(flown) == 1
        IssuerState.objects.change("billing", {"failures": 0, "cooling_until": 0})
        with shift_clock(2.5):
            assert fetch(user) == stale["access"]
            assert drain()
            assert (len(flown), row().generation) == (2, 2)

    def test_other_pairs_find_it_out_themselves(
        self, user: User, stale: dict[str, str], flown: list[Any]
    ) -> None:
        leave_alone(4)
        (other,) = store_more(1)
        for each in (user, other):
            fetch(each)
            assert drain()
        assert len(set(flown)) == len(flown) == 2


class TestHandingOver:
    """Many calls meet a due pair before a worker comes to it: they make one task."""

    @pytest.fixture(autouse=True)
    def noted(self, configure: Configure) -> None:
        configure(REFRESH_AHEAD_RUNNER=f"{__name__}.note")

    def test_once_for_all_calls_and_again_after_half_a_minute(
        self, user: User, stale: dict[str, str], configure: Configure
    ) -> None:
        configure(LEEWAY=1)
        for _ in range(3):
            fetch(user)
        assert len(asked) == 1
        with shift_clock(29):
            fetch(user)
        assert len(asked) == 1
        with shift_clock(31):
            fetch(user)
        assert len(asked) == 2

    def test_again_for_the_next_generation_and_for_other_pairs(
        self, user: User, stale: dict[str, str], later: Callable[[float], None]
    ) -> None:
        (other,) = store_more(1)
        fetch(user)
        fetch(other)
        assert asked == [("billing", user.pk), ("billing", other.pk)]
        assert refresh_if_due("billing", user.pk).failure is None
        TokenPair.objects.update(refresh_at=1)
        fetch(user)
        assert asked[2:] == [("billing", user.pk)]

    def test_the_memory_of_it_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(refresh_ahead, "MOST_NOTED", 3)
        notes = refresh_ahead.Notes()
        assert all(notes.note(number) for number in range(4))
        assert not notes.note(3)
        assert notes.note(0), "the oldest has made room"
        assert len(notes._until) == 3

    def test_what_is_noted_for_less_can_be_noted_again_before_older_ones(self) -> None:
        notes = refresh_ahead.Notes()
        assert notes.note("old")
        assert notes.note("short", SECOND)
        with shift_clock(2):
            assert "short" not in notes
            assert notes.note("short")
            assert not notes.note("old")

    def test_a_forked_child_does_not_hang_on_its_parents_lock(
        self, user: User, stale: dict[str, str]
    ) -> None:
        with refresh_ahead.notes._lock:
            assert in_a_fork(lambda: refresh_ahead.notes.note("pair")) is True


class TestRefreshIfDue:
    def test_the_user_may_have_become_text(
        self, user: User, stale: dict[str, str], row: Row
    ) -> None:
        assert refresh_if_due("billing", str(user.pk)).failure is None
        assert row().generation == 2

    @pytest.mark.usefixtures("stale")
    def test_a_user_who_is_not_active_any_more_is_not_refreshed(
        self, user: User, issuer: StrictIssuer
    ) -> None:
        User.objects.update(is_active=False)
        failure = refresh_if_due("billing", user.pk).failure
        assert failure is not None
        assert failure.kind is LoginRequired
        assert issuer.presentations() == []

    @pytest.mark.usefixtures("stored")
    def test_what_is_not_due_is_left_alone(self, user: User, issuer: StrictIssuer) -> None:
        outcome = refresh_if_due("billing", user.pk)
        assert outcome.failure is None
        assert issuer.presentations() == []

    def test_what_is_not_there_is_said(self, user: User, issuer: StrictIssuer) -> None:
        outcome = refresh_if_due("billing", user.pk)
        assert outcome.failure is not None
        assert outcome.failure.kind is TokenPairNotFound
        with pytest.raises(ServiceNotConfigured):
            refresh_if_due("crm", user.pk)

    @pytest.mark.usefixtures("stale")
    def test_an_outage_is_its_outcome(self, user: User, issuer: StrictIssuer) -> None:
        issuer.fail(503)
        failure = refresh_if_due("billing", user.pk).failure
        assert failure is not None
        assert failure.kind is IssuerUnavailable

    def test_a_pair_without_a_refresh_token_is_never_due(self, user: User) -> None:
        TokenPair.objects.store(user=user, service="billing", access="opaque", expires_in=10)
        assert refresh_if_due("billing", user.pk).failure is None


class InATestCase(TestCase):
    def test_it_is_done_inline(self) -> None:
        user = User.objects.create_user("alice")
        with FakeIssuer(lifetime=300).serving("billing") as issuer:
            issuer.pair_for(user)
            old = fetch(user)
            TokenPair.objects.update(refresh_at=1)
            assert fetch(user) == old
            assert len(issuer.presentations) == 1
            assert fetch(user) != old
            TokenPair.objects.update(refresh_at=1)
            assert refresh_if_due("billing", user.pk).failure is None
            assert len(issuer.presentations) == 2
