"""The caller's transaction: what it rolls back, locks or hides is none of a flight's business."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connections, transaction
from django.test import TestCase
from pytest_django import Settings

from jwt_outbound.exceptions import RefreshInProgress, TokenStoreUnavailable
from jwt_outbound.models import TokenPair
from jwt_outbound.rows import Pair
from jwt_outbound.signals import token_pair_refreshed
from jwt_outbound.testing import FakeIssuer, drain, shift_clock
from jwt_outbound.tokens import afetch_valid_access_token, fetch_valid_access_token
from jwt_outbound.transactions import Situation, only_a_test_case, situation
from tests.conftest import EXPIRED_AFTER, Configure
from tests.issuer_server import StrictIssuer
from tests.settings import ENGINE

pytestmark = [
    pytest.mark.database,
    pytest.mark.django_db(transaction=True, databases=["default", "tokens"]),
]

Row = Callable[[], Pair]
Connect = Callable[[Callable[..., None]], None]

# One SQLite file has one writer: there, only token tables in a file of their own keep everything.
KEEPING = ["tokens"] if ENGINE == "sqlite" else ["default", "tokens"]


def fetch(user: User) -> str:
    return fetch_valid_access_token("billing", user)


@pytest.fixture(params=KEEPING)
def place(request: pytest.FixtureRequest, configure: Configure, settings: Settings) -> str:
    """The alias of the token tables."""
    settings.DATABASE_ROUTERS = ["jwt_outbound.routers.TokenRouter"]
    configure(DATABASE=request.param)
    return str(request.param)


@pytest.fixture
def expired(place: str, stored: dict[str, str]) -> dict[str, str]:
    """The stored pair has to be refreshed; `place` is where it is."""
    shift_clock(EXPIRED_AFTER)
    return stored


@pytest.fixture
def on_refresh() -> Iterator[Connect]:
    """Connects a receiver of `token_pair_refreshed`."""
    receivers: list[Callable[..., None]] = []

    def connect(receiver: Callable[..., None]) -> None:
        receivers.append(receiver)
        token_pair_refreshed.connect(receiver)

    yield connect
    for receiver in receivers:
        token_pair_refreshed.disconnect(receiver)


class TestSituations:
    def test_of_each_alias_its_own(self) -> None:
        inside = Situation.BARRED if ENGINE == "sqlite" else Situation.INSIDE
        assert situation("default") is Situation.FREE
        with transaction.atomic():
            assert (situation("default"), situation("tokens")) == (inside, Situation.FREE)
        transaction.set_autocommit(False)
        try:
            assert situation("default") is inside
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)

    def test_no_test_case_is_around(self) -> None:
        assert not only_a_test_case("default")
        with transaction.atomic():
            assert not only_a_test_case("default")


@pytest.mark.usefixtures("expired")
class TestACallerWhoFails:
    def test_the_new_pair_is_kept(self, user: User, row: Row, issuer: StrictIssuer) -> None:
        with transaction.atomic():
            User.objects.create_user("bob")
            new = fetch(user)
            transaction.set_rollback(True)
        assert not User.objects.filter(username="bob").exists()
        assert (fetch(user), row().generation) == (new, 2)
        assert issuer.most_presented() == len(issuer.presentations()) == 1

    def test_also_from_within_savepoints(self, user: User, issuer: StrictIssuer) -> None:
        tokens = []
        with transaction.atomic():
            for _ in range(2):
                with transaction.atomic():
                    tokens.append(fetch(user))
                    transaction.set_rollback(True)
        assert tokens == [fetch(user)] * 2
        assert len(issuer.presentations()) == 1

    def test_a_task_that_is_cancelled_only_stops_waiting(
        self, user: User, row: Row, issuer: StrictIssuer
    ) -> None:
        issuer.hold("answer")

        async def story() -> None:
            task = asyncio.create_task(afetch_valid_access_token("billing", user))
            await asyncio.to_thread(issuer.wait_inside, 1, "answer")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        async_to_sync(story)()
        issuer.release("answer")
        assert drain()
        assert row().generation == 2
        assert fetch(user)
        assert issuer.most_presented() == 1

    @pytest.mark.parametrize("awaited", [False, True])
    def test_one_who_runs_out_of_patience_leaves_the_flight_alone(
        self, user: User, row: Row, issuer: StrictIssuer, configure: Configure, awaited: bool
    ) -> None:
        configure(WAIT=0.2)
        issuer.hold("answer")
        call: Callable[[str, User], Any] = fetch_valid_access_token
        if awaited:
            call = async_to_sync(afetch_valid_access_token)
        with pytest.raises(RefreshInProgress) as caught:
            call("billing", user)
        assert (caught.value.retry_after or 0) > 0
        issuer.release("answer")
        assert drain()
        assert row().generation == 2
        assert issuer.most_presented() == 1


@pytest.mark.usefixtures("expired")
class TestReceivers:
    def test_one_that_raises_harms_nobody(
        self, user: User, row: Row, on_refresh: Connect, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(**_: Any) -> None:
            raise RuntimeError("a receiver of the site's")

        on_refresh(fail)
        with caplog.at_level(logging.ERROR):
            assert fetch(user)
        assert row().generation == 2
        assert "a receiver of the site's" in caplog.text

    def test_what_one_writes_is_not_rolled_back_with_the_caller(
        self, user: User, on_refresh: Connect, place: str
    ) -> None:
        def note(generation: int, **_: Any) -> None:
            TokenPair.objects.update(code=f"seen-{generation}")

        on_refresh(note)
        with transaction.atomic():
            fetch(user)
            transaction.set_rollback(True)
        assert TokenPair.objects.get().code == "seen-2"

    def test_one_that_waits_for_the_caller_does_not_keep_him_waiting(
        self, user: User, on_refresh: Connect
    ) -> None:
        def touch(**_: Any) -> None:
            User.objects.filter(pk=user.pk).update(last_name="seen")

        on_refresh(touch)
        with transaction.atomic():
            User.objects.filter(pk=user.pk).update(first_name="locked")
            assert fetch(user)
        assert drain()
        user.refresh_from_db()
        assert (user.first_name, user.last_name) == ("locked", "seen")


class TestTheCallersOwnRow:
    def test_a_row_that_he_has_locked_is_not_leased(
        self, user: User, row: Row, issuer: StrictIssuer, expired: dict[str, str], place: str
    ) -> None:
        with transaction.atomic(using=place):
            list(TokenPair.objects.select_for_update())
            with pytest.raises(TokenStoreUnavailable):
                fetch(user)
        assert issuer.presentations() == []
        assert fetch(user)

    def test_a_pair_that_nobody_else_sees_yet_is_refreshed_inline(
        self, user: User, row: Row, issuer: StrictIssuer, place: str
    ) -> None:
        tokens = issuer.pair_for("alice")
        with transaction.atomic():
            TokenPair.objects.store(user=user, service="billing", refresh=tokens["refresh"])
            new = fetch(user)
            with ThreadPoolExecutor(1) as pool:
                elsewhere = pool.submit(_generations).result(10)
        # Tables of their own commit at once, and are seen by all.
        assert elsewhere == ([2] if place == "tokens" else [])
        assert (fetch(user), row().generation) == (new, 2)
        assert issuer.most_presented() == 1


class InATestCase(TestCase):
    def test_flights_run_inline_and_are_rolled_back_with_the_test(self) -> None:
        assert situation("default") is Situation.INLINE
        assert only_a_test_case("default")
        user = User.objects.create_user("alice")
        with FakeIssuer(lifetime=300).serving("billing") as issuer, transaction.atomic():
            assert not only_a_test_case("default")
            issuer.pair_for(user)
            issuer.expire(user)
            assert fetch(user)
            assert len(issuer.presentations) == 1


def _generations() -> list[int]:
    try:
        return list(TokenPair.objects.values_list("generation", flat=True))
    finally:
        connections.close_all()
