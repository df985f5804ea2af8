"""What a worker's refreshes leave in the history: all of it, though not each line by itself."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import OperationalError
from django.db.models import QuerySet

from jwt_outbound.fleet import refreshing
from jwt_outbound.fleet.refreshing import Refreshing
from jwt_outbound.fleet.threads import Threads
from jwt_outbound.models import TokenPairEvent
from jwt_outbound.querysets import TokenPairEventQuerySet
from tests.fleet.pairs import make_pairs, pair_of, run
from tests.issuer_server import StrictIssuer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def lines(kind: str) -> QuerySet[TokenPairEvent]:
    return TokenPairEvent.objects.filter(kind=kind)


def test_each_refresh_leaves_its_line(issuer: StrictIssuer) -> None:
    users = make_pairs(issuer, 20)
    issuer.fail("slow", times=20, seconds=0.002)
    assert run("--threads", "2") == "20 refreshed.\n"
    written = lines("refreshed")
    assert {line.pair_id for line in written} == {pair_of(user).pk for user in users}
    assert len({line.pk for line in written}) == len(written) == 20
    for line in written:
        assert (line.generation, line.status, line.reason) == (2, 200, "stale")
        assert line.duration_ms >= 2


def test_they_are_written_many_at_a_time(
    issuer: StrictIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    real = TokenPairEventQuerySet.bulk_create

    def bulk_create(self: TokenPairEventQuerySet, lines: list[Any]) -> list[Any]:
        written.append(len(lines))
        return real(self, lines)

    monkeypatch.setattr(TokenPairEventQuerySet, "bulk_create", bulk_create)
    make_pairs(issuer, 20)
    run("--threads", "2")
    assert sum(written) == 20
    assert max(written) > 1


def test_what_went_wrong_is_written_at_once(
    issuer: StrictIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    real = Refreshing.write_lines

    def write_lines(self: Refreshing) -> None:
        seen.append(lines("unavailable").count())
        real(self)

    monkeypatch.setattr(Refreshing, "write_lines", write_lines)
    make_pairs(issuer, 2)
    issuer.fail(503)
    with pytest.raises(CommandError, match="1 pairs could not"):
        run("--threads", "1")
    assert seen[-1] == 1, "before the others were written, at the worker's end"


def test_lines_that_can_t_be_written_are_done_without(
    issuer: StrictIssuer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*arguments: Any) -> None:
        raise OperationalError("the disk is full")

    monkeypatch.setattr(TokenPairEventQuerySet, "bulk_create", full)
    (user,) = make_pairs(issuer, 1)
    with caplog.at_level(logging.WARNING, "jwt_outbound"):
        assert run() == "1 refreshed.\n"
    assert pair_of(user).generation == 2
    assert "1 history lines were not written" in caplog.text


def test_lines_wait_for_a_database_that_is_away(
    issuer: StrictIssuer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, times = TokenPairEventQuerySet.bulk_create, iter(range(1))

    def away_once(self: TokenPairEventQuerySet, lines: list[Any]) -> list[Any]:
        if lines and next(times, None) is not None:
            raise OperationalError("server closed the connection unexpectedly")
        return real(self, lines)

    monkeypatch.setattr(TokenPairEventQuerySet, "bulk_create", away_once)
    make_pairs(issuer, 40)
    with caplog.at_level(logging.WARNING, "jwt_outbound"):
        assert run("--threads", "2").endswith("40 refreshed.\n")
    assert next(times, None) is None
    assert lines("refreshed").count() == 40
    assert "history lines" not in caplog.text


def test_no_more_lines_wait_than_there_is_room_for(
    issuer: StrictIssuer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*arguments: Any) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(TokenPairEventQuerySet, "bulk_create", away)
    monkeypatch.setattr(refreshing, "MOST_LINES", 3)
    make_pairs(issuer, 40)
    with caplog.at_level(logging.WARNING, "jwt_outbound"):
        run("--threads", "2")
    lost = [record.args for record in caplog.records if "history lines" in record.msg]
    assert sum(args[0] for args in lost if args) == 40


def test_a_database_that_is_away_at_the_end_spoils_nothing_else(
    issuer: StrictIssuer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = Threads.at_desk

    def write_lines(self: Refreshing) -> None:
        """Nothing: a look that comes after the refresh would leave none for the end."""

    def at_desk(self: Threads, work: Callable[[], Any]) -> Future[Any]:
        """No connection for the lines that are left, as where one has to be made."""
        if getattr(work, "__func__", None) is not write_lines:
            return real(self, work)
        failed: Future[Any] = Future()
        failed.set_exception(OperationalError("connection refused"))
        return failed

    monkeypatch.setattr(Refreshing, "write_lines", write_lines)
    monkeypatch.setattr(Threads, "at_desk", at_desk)
    make_pairs(issuer, 1)
    with caplog.at_level(logging.WARNING, "jwt_outbound"):
        assert run() == "1 refreshed.\n"
    assert "1 history lines were not written" in caplog.text
