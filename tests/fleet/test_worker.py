"""A worker: what is due and in use is refreshed, and no more than that."""

import threading
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError
from pytest_django import Settings

from jwt_outbound.clock import SECOND
from jwt_outbound.fleet import due
from jwt_outbound.fleet.due import Due
from jwt_outbound.fleet.lanes import Lane
from jwt_outbound.fleet.refreshing import Refreshing
from jwt_outbound.fleet.results import Result
from jwt_outbound.models import IssuerState, TokenPair
from jwt_outbound.querysets import database_now
from jwt_outbound.refresh import store
from jwt_outbound.refresh.words import Ask
from jwt_outbound.rows import Pair, Reading
from jwt_outbound.testing import drain, shift_clock
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import EXPIRED_AFTER, OVER_AFTER, STALE_AFTER, Configure, Heard
from tests.fleet.pairs import all_rows, make_pairs, pair_of, run
from tests.issuer_server import StrictIssuer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

Row = Callable[[], Pair]
Later = Callable[[float], None]

DAY = 86_400
LONG = 30


@pytest.mark.usefixtures("in_use")
class TestAPairInUse:
    @pytest.mark.parametrize("after", [STALE_AFTER, EXPIRED_AFTER])
    def test_is_refreshed_once_it_is_due(
        self, after: float, later: Later, row: Row, heard: Heard, issuer: StrictIssuer
    ) -> None:
        assert row().used_generation == 1
        assert "Nothing was refreshed" in run()
        later(after)
        assert "1 refreshed" in run()
        assert (row().generation, row().used_generation) == (2, 1)
        assert [(name, said["reason"]) for name, said in heard] == [("refreshed", "stale")]
        assert "Nothing was refreshed" in run("--once")
        assert len(issuer.presentations()) == 1

    @pytest.mark.parametrize("runner", ["thread", "off"])
    def test_is_left_alone_when_it_is_not_used_any_more_and_due_again_at_its_next_use(
        self,
        runner: str,
        later: Later,
        row: Row,
        user: User,
        configure: Configure,
        issuer: StrictIssuer,
    ) -> None:
        configure(REFRESH_AHEAD_RUNNER=runner)
        later(STALE_AFTER)
        run()
        later(STALE_AFTER)
        assert "1 left alone" in run()
        assert row().parked
        assert "Nothing was refreshed" in run()
        assert len(issuer.presentations()) == 1
        fetch_valid_access_token("billing", user)
        assert drain()
        assert not row().parked
        if runner == "off":
            assert row().generation == 2
            assert "1 refreshed" in run()
        assert row().generation == 3

    def test_of_an_inactive_user_is_skipped_until_he_is_active_again(
        self, later: Later, row: Row, user: User, issuer: StrictIssuer
    ) -> None:
        User.objects.update(is_active=False)
        later(STALE_AFTER)
        assert "1 left alone" in run()
        assert issuer.presentations() == []
        User.objects.update(is_active=True)
        user.refresh_from_db()
        fetch_valid_access_token("billing", user)
        assert drain()
        assert row().generation == 2

    def test_of_a_deleted_user_is_skipped(self, later: Later, issuer: StrictIssuer) -> None:
        later(STALE_AFTER)
        User.objects.filter(username="alice")._raw_delete("default")
        assert "1 left alone" in run()
        assert "Nothing was refreshed" in run()
        assert issuer.presentations() == []

    def test_without_a_refresh_token_is_not_written_again_at_each_use(
        self, later: Later, row: Row, user: User
    ) -> None:
        TokenPair.objects.update(refresh_sealed=b"")
        later(STALE_AFTER)
        assert "1 left alone" in run()
        before = all_rows()
        for _ in range(3):
            fetch_valid_access_token("billing", user)
            assert drain()
            assert "Nothing was refreshed" in run()
        assert all_rows() == before
        assert row().refresh_at is None

    def test_whose_refresh_is_refused_ends(
        self, later: Later, row: Row, heard: Heard, issuer: StrictIssuer
    ) -> None:
        issuer.refuse("alice")
        later(STALE_AFTER)
        assert "1 ended by a refusal" in run()
        assert [(name, said["reason"]) for name, said in heard] == [("failed", "refused")]
        assert row().announced_at
        assert "Nothing was refreshed" in run()


class TestTheRefreshToken:
    def test_of_an_unused_pair_does_not_idle_out(
        self, stored: dict[str, str], later: Later, row: Row, issuer: StrictIssuer
    ) -> None:
        for _ in range(4):
            later(DAY * 0.9)
            run()
        assert row().generation == 5
        assert issuer.most_presented() == 1

    def test_that_lives_no_longer_for_it_is_presented_once_and_not_again(
        self, stored: dict[str, str], later: Later, row: Row, issuer: StrictIssuer
    ) -> None:
        issuer.configure(rotate=False)
        for _ in range(20):
            later(0.045 * DAY)
            run()
        assert row().generation == 2
        assert "Nothing was refreshed" in run()

    def test_nor_while_an_access_token_without_a_lifetime_is_used(
        self, user: User, configure: Configure
    ) -> None:
        asked: list[str] = []

        def refresh(token: str) -> str:
            asked.append(token)
            return f"opaque{len(asked)}"

        configure(ISSUER="jwt_outbound.issuers.CallableIssuer", OPTIONS={"refresh": refresh})
        ends = database_now() / SECOND + DAY
        never_replaced = jwt.encode({"iat": ends - DAY, "exp": ends}, "a key" * 10)
        pair = {"access": "opaque", "refresh": never_replaced}
        TokenPair.objects.store(user=user, service="billing", **pair)
        for _ in range(20):
            shift_clock(0.045 * DAY)
            fetch_valid_access_token("billing", user)
            assert drain()
            run()
        assert len(asked) == 1

    def test_is_kept_alive_also_where_the_access_token_lives_longer(
        self, user: User, issuer: StrictIssuer, later: Later, row: Row
    ) -> None:
        issuer.configure(lifetime=30 * DAY, refresh_lifetime=DAY)
        TokenPair.objects.store(user=user, service="billing", **issuer.pair_for("alice"))
        for _ in range(3):
            later(DAY * 0.9)
            assert "1 refreshed" in run()
        assert row().generation == 4


class TestWhatACrashLeftBehind:
    @pytest.mark.parametrize("active", [True, False])
    def test_a_refusal_is_announced(
        self, active: bool, stored: dict[str, str], row: Row, heard: Heard, issuer: StrictIssuer
    ) -> None:
        pair = row()
        TokenPair.objects.update(
            refused_at=database_now(),
            reason="refused",
            event_id=pair.pk,
            refresh_at=database_now(),
            lease_id=1,
            lease_until=database_now() - 1,
        )
        User.objects.update(is_active=active)
        assert "1 ended by a refusal" in run()
        assert [(name, said["event_id"]) for name, said in heard] == [("failed", pair.pk)]
        assert row().announced_at
        assert row().refresh_at is None
        assert issuer.presentations() == []

    def test_a_pending_one_becomes_final(
        self, stored: dict[str, str], row: Row, heard: Heard, issuer: StrictIssuer
    ) -> None:
        now = database_now()
        TokenPair.objects.update(pending_until=now - 1, refresh_at=now - 1, code="invalid_grant")
        assert "1 ended by a refusal" in run()
        assert [(name, said["reason"]) for name, said in heard] == [("failed", "rotation_lost")]
        assert issuer.presentations() == []

    def test_an_end_that_staff_hold_up_is_looked_at_now_and_then(
        self, stored: dict[str, str], row: Row, heard: Heard
    ) -> None:
        now = database_now()
        TokenPair.objects.update(pending_until=now - 1, refresh_at=now - 1)
        IssuerState.objects.create(service="billing", suspended=True)
        run()
        assert row().refresh_at == pytest.approx(database_now() + 30 * SECOND, abs=10 * SECOND)
        assert "Nothing was refreshed" in run()
        IssuerState.objects.update(suspended=False)
        shift_clock(31)
        assert "1 ended by a refusal" in run()


class TestTroubleAtTheIssuer:
    def test_a_black_hole_leaves_the_others_their_threads(
        self, crm: StrictIssuer, issuer: StrictIssuer
    ) -> None:
        lost = make_pairs(crm, 12, service="crm")
        users = make_pairs(issuer, 12)
        crm.hold()
        with pytest.raises(CommandError, match="could not be refreshed"):
            run("--threads", "4")
        assert all(pair_of(user).generation == 2 for user in users)
        assert all(pair_of(user, "crm").generation == 1 for user in lost)
        # Three answers that did not come cool the service; what was begun by then is let be.
        assert 3 <= len(crm.presentations()) <= 6
        crm.release()

    def test_three_services_take_turns_at_one_thread(
        self, issuer: StrictIssuer, settings: Settings
    ) -> None:
        raw = settings.JWT_OUTBOUND
        names = ("a", "b", "c")
        settings.JWT_OUTBOUND = {
            **raw,
            "SERVICES": dict.fromkeys(names, raw["SERVICES"]["billing"]),
        }
        for name in names:
            make_pairs(issuer, 6, service=name)
        assert "18 refreshed" in run("--threads", "1")
        order = "".join(each["user"][0] for each in issuer.presentations())
        assert set(order[:6]) == set(names)

    def test_one_with_nothing_left_does_not_end_the_work_for_another(
        self, issuer: StrictIssuer, settings: Settings
    ) -> None:
        raw = settings.JWT_OUTBOUND
        billing = raw["SERVICES"]["billing"]
        settings.JWT_OUTBOUND = {**raw, "SERVICES": {"a": billing, "b": billing}}
        make_pairs(issuer, 1, service="a")
        make_pairs(issuer, 6, service="b")
        assert "7 refreshed" in run("--threads", "1")

    def test_nor_does_a_hand_full_of_what_is_left_alone(self, issuer: StrictIssuer) -> None:
        make_pairs(issuer, 5, used=False)
        assert "5 left alone" in run("--threads", "1")

    def test_a_cool_down_of_the_service_is_honoured_and_the_status_says_so(
        self, issuer: StrictIssuer
    ) -> None:
        make_pairs(issuer, 3)
        until = database_now() + 60 * SECOND
        IssuerState.objects.create(service="billing", failures=3, cooling_until=until)
        with pytest.raises(CommandError, match="3 pairs are still due"):
            run()
        assert issuer.presentations() == []
        shift_clock(61)
        assert " refreshed" in run()

    def test_a_cool_down_of_a_pair_is_honoured(
        self, in_use: dict[str, str], later: Later, issuer: StrictIssuer, row: Row
    ) -> None:
        later(STALE_AFTER)
        issuer.fail(503)
        with pytest.raises(CommandError, match="1 pairs could not"):
            run()
        assert "Nothing was refreshed" in run()
        assert len(issuer.presentations()) == 1
        later(OVER_AFTER - STALE_AFTER)
        issuer.configure(grace=99_999)
        assert "1 refreshed" in run()

    def test_after_an_outage_not_all_come_at_once(self, issuer: StrictIssuer) -> None:
        make_pairs(issuer, 40)
        IssuerState.objects.create(
            service="billing", failures=3, cooling_until=database_now() - 1, proven=True
        )
        said = run()
        assert " refreshed" in said
        assert " put off" in said
        assert len(issuer.presentations()) < 20
        for _ in range(8):
            shift_clock(5)
            run()
        assert len(issuer.presentations()) == 40
        assert issuer.most_presented() == 1

    def test_a_misconfigured_issuer_is_the_operators_matter(
        self, in_use: dict[str, str], later: Later, issuer: StrictIssuer, row: Row
    ) -> None:
        later(STALE_AFTER)
        issuer.fail(404)
        with pytest.raises(CommandError, match="could not be refreshed"):
            run()
        assert not row().refused_at

    def test_an_issuer_that_can_not_be_made_is_named(
        self, in_use: dict[str, str], configure: Configure
    ) -> None:
        configure(ISSUER="no.such.Issuer")
        for arguments in ([], ["--dry-run"], ["--loop"]):
            with pytest.raises(CommandError, match="billing"):
                run(*arguments)


class TestWhatWasReadForAClaim:
    @pytest.fixture
    def reads(self, monkeypatch: pytest.MonkeyPatch) -> list[Ask]:
        asked: list[Ask] = []

        def read(ask: Ask, **how: Any) -> Reading:
            asked.append(ask)
            return real(ask, **how)

        real = store.read
        monkeypatch.setattr(store, "read", read)
        return asked

    def test_is_not_read_again(self, issuer: StrictIssuer, reads: list[Ask]) -> None:
        make_pairs(issuer, 12)
        assert "12 refreshed" in run("--threads", "4")
        assert reads == []

    def test_is_read_again_once_something_has_gone_wrong(
        self, issuer: StrictIssuer, reads: list[Ask]
    ) -> None:
        users = make_pairs(issuer, 2)
        issuer.fail(503)
        with pytest.raises(CommandError, match="1 pairs could not"):
            run("--threads", "1")
        assert len(reads) == 1
        assert sorted(pair_of(user).generation for user in users) == [1, 2]


def test_what_is_lined_up_is_refreshed_while_more_is_claimed(
    issuer: StrictIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow claim ends here only once the worker has begun what it had in hand."""
    began: list[Due] = []
    all_begun = threading.Event()
    looks = 0

    def refresh(self: Refreshing, lane: Lane, due: Due) -> Result:
        began.append(due)
        if len(began) == in_hand:
            all_begun.set()
        return refresh_one(self, lane, due)

    def take(*arguments: Any) -> tuple[list[Due], list[Due]]:
        nonlocal looks, in_hand
        looks += 1
        if looks == 2:
            assert all_begun.wait(LONG)
        todo, left = real(*arguments)
        in_hand += len(todo)
        return todo, left

    in_hand, real, refresh_one = 0, due.take, Refreshing._refresh
    monkeypatch.setattr(Refreshing, "_refresh", refresh)
    monkeypatch.setattr(due, "take", take)
    make_pairs(issuer, 12)
    assert "12 refreshed" in run("--threads", "1")
    assert looks > 1


class TestAPairThatNoKeyOpens:
    def test_is_reported_and_then_out_of_the_way_of_the_others(
        self,
        issuer: StrictIssuer,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        lost, good = make_pairs(issuer, 2)
        broken = TokenPair.objects.filter(user=lost)
        broken.update(refresh_sealed=b"broken", access_sealed=b"broken")
        with pytest.raises(CommandError, match="1 pairs could not"):
            run()
        assert pair_of(good).generation == 2
        assert "can't be read" in caplog.text
        assert not pair_of(lost).refused_at
        shift_clock(40)
        assert "Nothing was refreshed" in run()
        shift_clock(300)
        with pytest.raises(CommandError):
            run("--service", "billing")


def test_flight_context_is_entered_with_every_connection(
    issuer: StrictIssuer, configure: Configure
) -> None:
    from tests import flight_surroundings

    make_pairs(issuer, 2)
    configure(FLIGHT_CONTEXT="tests.flight_surroundings.take_along")
    flight_surroundings.caller.tenant = "acme"
    flight_surroundings.entered.clear()
    run()
    assert set(flight_surroundings.entered) == {"acme"}
    assert len(flight_surroundings.entered) >= 3
