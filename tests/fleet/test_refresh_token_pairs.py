"""`manage.py refresh_token_pairs`: what it says, to whom, and how it ends."""

import json
import logging
import os
import signal
import threading
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections, transaction
from django.test import TestCase
from pytest_django import Settings

from jwt_outbound.clock import SECOND
from jwt_outbound.fleet import worker as working
from jwt_outbound.management import progress
from jwt_outbound.models import IssuerState, TokenPair
from jwt_outbound.querysets import database_now
from jwt_outbound.rows import Pair
from jwt_outbound.testing import FakeIssuer, shift_clock
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import STALE_AFTER, Configure, Heard
from tests.fleet.pairs import all_rows, make_pairs, pair_of, run
from tests.issuer_server import StrictIssuer
from tests.settings import ENGINE

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

Row = Callable[[], Pair]
Later = Callable[[float], None]

DAY = 86_400


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class TestOnce:
    def test_ends_though_more_comes_due_all_the_time(
        self, issuer: StrictIssuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        users = make_pairs(issuer, 8)
        late = make_pairs(issuer, 3)
        TokenPair.objects.filter(user__in=late).update(refresh_at=database_now() + 3600 * SECOND)

        def one_more(sender: Any, user: User, **about: Any) -> None:
            soon = TokenPair.objects.filter(user__in=late, refresh_at__gt=database_now())
            soon.update(refresh_at=database_now())

        from jwt_outbound.signals import token_pair_refreshed

        token_pair_refreshed.connect(one_more)
        try:
            said = run()
        finally:
            token_pair_refreshed.disconnect(one_more)
        assert "8 refreshed" in said
        assert all(pair_of(user).generation == 2 for user in users)
        assert "3 refreshed" in run()

    def test_refreshes_more_than_fit_into_a_worker_s_hand(self, issuer: StrictIssuer) -> None:
        make_pairs(issuer, 50)
        assert "50 refreshed" in run("--threads", "3")
        assert issuer.most_presented() == 1

    def test_a_database_that_is_away_is_said_plainly(
        self, in_use: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*args: Any) -> None:
            raise OperationalError("connection refused, said the server with a secret")

        monkeypatch.setattr(working, "database_now", away)
        with pytest.raises(CommandError, match="database is away or not migrated") as raised:
            run()
        assert "secret" not in str(raised.value)

    def test_in_a_caller_s_transaction(self, issuer: StrictIssuer) -> None:
        make_pairs(issuer, 2)
        with transaction.atomic():
            if ENGINE == "sqlite":
                with pytest.raises(CommandError, match="in a transaction"):
                    run()
            else:
                assert "2 refreshed" in run()


class TestDryRun:
    def test_changes_nothing_and_says_what_would_be_done(
        self, crm: StrictIssuer, issuer: StrictIssuer, heard: Heard
    ) -> None:
        make_pairs(issuer, 2)
        make_pairs(issuer, 3, used=False)
        (refused,) = make_pairs(issuer, 1)
        TokenPair.objects.filter(user=refused).update(refused_at=1, event_id=refused.pk and None)
        make_pairs(crm, 4, service="crm")
        until = database_now() + 60 * SECOND
        IssuerState.objects.create(service="crm", failures=3, cooling_until=until)
        before = all_rows()
        said = run("--dry-run")
        assert "billing: 6 due (finish 1, leave alone 3, refresh 2)" in said
        assert "crm: 4 due (put off 4)" in said
        assert "Nothing was done" in said
        assert "crm" not in run("--dry-run", "--service", "billing")
        assert all_rows() == before
        assert heard == issuer.presentations() == []


class TestTheOptions:
    def test_a_service_alone(self, crm: StrictIssuer, issuer: StrictIssuer) -> None:
        make_pairs(crm, 2, service="crm")
        make_pairs(issuer, 3)
        assert "2 refreshed" in run("--service", "crm", "--service", "crm")
        assert issuer.presentations() == []

    def test_an_unknown_service(self, user: User) -> None:
        with pytest.raises(CommandError, match=r"no service 'nosuch'.*configured: billing"):
            run("--service", "nosuch")

    @pytest.mark.parametrize("number", ["0", "257", "-1", "many"])
    def test_threads_that_are_no_number_of_threads(self, number: str) -> None:
        with pytest.raises(CommandError, match="whole number from 1 to 256"):
            run("--threads", number)

    def test_loop_and_once_exclude_each_other(self) -> None:
        with pytest.raises(CommandError, match="not allowed with"):
            run("--loop", "--once")

    def test_no_service_at_all(self, settings: Settings, user: User) -> None:
        settings.JWT_OUTBOUND = {}
        assert "nothing to refresh" in run()


def test_is_called_with_keywords_too(issuer: StrictIssuer, tmp_path: Path) -> None:
    make_pairs(issuer, 2)
    said, health = StringIO(), str(tmp_path / "health")
    call_command("refresh_token_pairs", threads="2", health_file=health, stdout=said)
    assert said.getvalue() == "2 refreshed.\n"
    assert os.listdir(tmp_path) == ["health"]
    for wrong in ("many", 0, None):
        with pytest.raises(CommandError, match="from 1 to 256"):
            call_command("refresh_token_pairs", threads=wrong, stdout=said)


class TestTheHealthFile:
    def test_says_who_and_how_far(self, issuer: StrictIssuer, tmp_path: Path) -> None:
        make_pairs(issuer, 2)
        run("--health-file", str(tmp_path / "health"))
        said = json.loads((tmp_path / "health").read_text())
        assert said["pid"] == os.getpid()
        assert set(said) == {"at", "pid", "counts"}
        assert os.listdir(tmp_path) == ["health"]

    @pytest.mark.parametrize("name", ["no/such/folder", "", "."])
    def test_that_can_not_be_written_is_named(
        self, name: str, issuer: StrictIssuer, tmp_path: Path
    ) -> None:
        make_pairs(issuer, 2)
        with pytest.raises(CommandError, match="health file can't be written"):
            run("--health-file", str(tmp_path / name))
        assert os.listdir(tmp_path) == []
        assert count_claimed() == 0


def count_claimed() -> int:
    return TokenPair.objects.filter(claimed_until__gt=database_now()).count()


class TestProgress:
    def test_is_a_bar_on_a_terminal(self, issuer: StrictIssuer) -> None:
        make_pairs(issuer, 4)
        terminal = Terminal()
        call_command("refresh_token_pairs", stdout=terminal)
        shown, last = terminal.getvalue().strip().rsplit("\n", 1)
        assert shown.split("\r")[-1] == f"[{'#' * 30}] 4 of 4 pairs"
        assert last == "4 refreshed."

    def test_is_plain_lines_elsewhere(
        self, issuer: StrictIssuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(progress, "LINE_EVERY", 0)
        make_pairs(issuer, 2)
        assert run() == "1 of 2 pairs\n2 of 2 pairs\n2 refreshed.\n"


class TestTheLoop:
    """In this thread, and ended by a signal to this process, as systemd would send it."""

    def loop(self, *arguments: str, until: Callable[[], Any]) -> str:
        over = threading.Event()

        def watch() -> None:
            try:
                deadline = threading.Event()
                for _ in range(3000):
                    if until() or deadline.wait(0.01):
                        break
            finally:
                connections.close_all()
                os.kill(os.getpid(), signal.SIGTERM)
                over.set()

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            return run("--loop", *arguments)
        finally:
            assert over.wait(60)
            watcher.join()

    def test_refreshes_what_comes_due_and_ends_at_sigterm(self, issuer: StrictIssuer) -> None:
        before = signal.getsignal(signal.SIGTERM)
        users = make_pairs(issuer, 5)
        said = self.loop(until=lambda: len(issuer.presentations()) == 5)
        assert "Stop: SIGTERM" in said
        assert "5 refreshed" in said
        assert all(pair_of(user).generation == 2 for user in users)
        assert signal.getsignal(signal.SIGTERM) is before

    def test_goes_on_while_the_database_is_away_and_the_health_file_ages(
        self,
        issuer: StrictIssuer,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        make_pairs(issuer, 2)
        health, real = tmp_path / "health", working.database_now
        times = iter(range(3))

        def away() -> int:
            if next(times, None) is None:
                return real()
            assert not health.exists()
            raise OperationalError("connection refused")

        monkeypatch.setattr(working, "database_now", away)
        monkeypatch.setattr(working, "POLL", 0.01)
        monkeypatch.setattr(working, "LONGEST_POLL", 0.01)
        said = self.loop("--health-file", str(health), until=health.exists)
        assert caplog.text.count("database is away") == 3
        assert "refreshed" in said

    def test_says_that_it_lives_also_while_it_has_its_hands_full(
        self,
        issuer: StrictIssuer,
        configure: Configure,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        configure(ISSUER_DEADLINE=25, LEASE=28, WAIT=50)
        monkeypatch.setattr(working, "BUSY_POLL", 0.01)
        make_pairs(issuer, 40)
        issuer.hold()
        health, beats = tmp_path / "health", set[str]()

        def beaten() -> bool:
            if len(issuer.presentations()) >= 2 and health.exists():
                beats.add(health.read_text())
            return len(beats) > 3

        def released() -> bool:
            return beaten() and issuer.release() is None

        self.loop("--threads", "2", "--health-file", str(health), until=released)
        assert len(beats) > 3
        assert len(issuer.presentations()) < 40

    def test_begins_also_where_the_database_is_not_there_yet(
        self, issuer: StrictIssuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from jwt_outbound.management.commands import refresh_token_pairs

        def away(alias: str) -> None:
            raise OperationalError("connection refused")

        make_pairs(issuer, 2)
        monkeypatch.setattr(refresh_token_pairs, "situation", away)
        assert "2 refreshed" in self.loop(until=lambda: len(issuer.presentations()) == 2)
        with pytest.raises(CommandError, match="away"):
            run("--once")


class TestInATestCase(TestCase):
    """Where a project tests its own site: all of it on the one connection, in the transaction."""

    def test_the_command_sees_what_the_test_has_stored(self) -> None:
        user = User.objects.create(username="alice")
        with FakeIssuer(lifetime=300).serving("billing") as issuer:
            issuer.pair_for(user)
            fetch_valid_access_token("billing", user)
            with shift_clock(STALE_AFTER):
                assert "1 refreshed" in run()
                assert "Nothing was refreshed" in run()
        assert len(issuer.presentations) == 1
        assert not logging.getLogger("jwt_outbound").disabled
