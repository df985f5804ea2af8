"""The session epoch: who is logged out by it, and who is not."""

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import SessionBase
from django.db import connection, connections, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from pytest_django.fixtures import DjangoAssertNumQueries, Settings

from jwt_outbound import sessions, swaps
from jwt_outbound.models import SessionEpoch, TokenPair
from jwt_outbound.testing import shift_clock
from tests.conftest import Configure

pytestmark = [pytest.mark.database, pytest.mark.urls(__name__)]

ENGINES = ["db", "cache", "cached_db", "file", "signed_cookies"]


def who(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.get_username() or "nobody")


def public(request: HttpRequest) -> HttpResponse:
    return HttpResponse("for all")


urlpatterns = [path("who/", who), path("public/", public)]


@pytest.fixture(autouse=True)
def forget_what_was_read() -> Iterator[None]:
    """The memory of this process is part of no test's database."""
    sessions._cache.clear()
    sessions._logged_at = None
    yield
    sessions._cache.clear()
    sessions._logged_at = None


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def seen_by(client: Client) -> str:
    return client.get("/who/").content.decode()


def session_of(user: User, **values: Any) -> SessionBase:
    """A session in memory of its own; what is left out of `values` is not in it."""
    session = SessionBase()
    session._session_cache = {SESSION_KEY: str(user.pk), **values}  # type: ignore[attr-defined]
    return session


def refused_pair(user: User, event_id: UUID, service: str = "billing") -> TokenPair:
    pair = TokenPair.objects.store(user=user, service=service, access="a", refresh="r")
    row = TokenPair.objects.read(pk=pair.pk).pair
    swap = swaps.refused(row, reason="refused", code="invalid_grant", event_id=event_id)
    assert TokenPair.objects.swap(swap, pk=pair.pk)
    return pair


def end_over(user: User, pair: TokenPair, event_id: UUID) -> bool:
    return sessions.end_sessions_over(
        user_id=user.pk, service=pair.service, generation=pair.generation, event_id=event_id
    )


def epoch_of(user: User) -> int:
    return SessionEpoch.objects.get(pk=str(user.pk)).epoch


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> str:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    return str(request.param)


def test_a_raised_epoch_ends_every_older_session_of_that_user(engine: str, user: User) -> None:
    bob = get_user_model().objects.create_user("bob")
    phone, laptop, others = logged_in(user), logged_in(user), logged_in(bob)
    assert [seen_by(c) for c in (phone, laptop, others)] == ["alice", "alice", "bob"]

    sessions.end_sessions(user.pk)
    assert [seen_by(c) for c in (phone, laptop, others)] == ["nobody", "nobody", "bob"]
    assert SESSION_KEY not in phone.session


def test_a_login_after_it_is_untouched(engine: str, user: User) -> None:
    sessions.end_sessions(user.pk)
    client = logged_in(user)
    assert [seen_by(client), seen_by(client)] == ["alice", "alice"]

    sessions.end_sessions(user.pk)
    assert seen_by(client) == "nobody"
    client.force_login(user)
    assert [seen_by(client), seen_by(client)] == ["alice", "alice"]


def test_a_session_from_before_the_installation_is_no_worse(user: User) -> None:
    client = logged_in(user)
    session = client.session
    del session[sessions.STAMP]
    session.save()
    assert seen_by(client) == "alice"
    assert sessions.STAMP not in client.session

    sessions.end_sessions(user.pk)
    assert seen_by(client) == "nobody"


def test_nobody_s_session_gets_no_stamp(rf: Any, user: User) -> None:
    session = SessionBase()
    sessions.stamp(session)
    assert not session.modified


def test_what_it_costs(
    user: User, django_assert_num_queries: DjangoAssertNumQueries, settings: Settings
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    client = logged_in(user)
    with django_assert_num_queries(0):
        client.get("/public/")
    with django_assert_num_queries(0):
        Client().get("/who/")
    # On PostgreSQL, in the test's own transaction, the query is guarded by a savepoint.
    guards = 2 if connection.vendor == "postgresql" else 0
    with django_assert_num_queries(2 + guards):
        client.get("/who/")


def test_a_refusal_ends_the_sessions_once(user: User) -> None:
    event = uuid4()
    pair = refused_pair(user, event)
    assert end_over(user, pair, event)
    assert not end_over(user, pair, event), "the same refusal, told again after a crash"
    assert epoch_of(user) == 1


def test_it_counts_once_also_where_another_services_refusal_came_between(
    user: User, settings: Settings
) -> None:
    services = settings.JWT_OUTBOUND["SERVICES"]
    settings.JWT_OUTBOUND = {"SERVICES": {**services, "crm": services["billing"]}}
    event, between = uuid4(), uuid4()
    pair, other = refused_pair(user, event), refused_pair(user, between, "crm")
    assert end_over(user, pair, event)
    assert end_over(user, other, between)
    assert not end_over(user, pair, event), "told again after a crash"
    assert epoch_of(user) == 2


def test_another_refusal_ends_them_again(user: User) -> None:
    first, second = uuid4(), uuid4()
    assert end_over(user, refused_pair(user, first), first)
    assert end_over(user, refused_pair(user, second), second)
    assert epoch_of(user) == 2


def test_a_login_meanwhile_makes_the_refusal_void(user: User) -> None:
    event = uuid4()
    pair = refused_pair(user, event)
    TokenPair.objects.store(user=user, service="billing", access="b", refresh="s")
    assert not end_over(user, pair, event)
    assert epoch_of(user) == 0


def test_a_pair_that_is_not_refused_ends_nothing(user: User) -> None:
    pair = TokenPair.objects.store(user=user, service="billing", access="a", refresh="r")
    assert not end_over(user, pair, uuid4())
    assert epoch_of(user) == 0


@pytest.mark.django_db(transaction=True)
def test_two_refusals_at_once_are_both_counted(settings: Settings) -> None:
    services = settings.JWT_OUTBOUND["SERVICES"]
    settings.JWT_OUTBOUND = {"SERVICES": {**services, "crm": services["billing"]}}
    user = get_user_model().objects.create_user("alice")
    events = [uuid4(), uuid4()]
    pairs = [refused_pair(user, events[0]), refused_pair(user, events[1], "crm")]
    barrier = threading.Barrier(2)
    ended: list[bool] = []

    def end(pair: TokenPair, event: UUID) -> None:
        try:
            barrier.wait()
            ended.append(end_over(user, pair, event))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=end, args=each) for each in zip(pairs, events, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [True, True]
    assert epoch_of(user) == 2


# information_schema.innodb_trx would do for MariaDB, but shows nothing new while it is polled.
LOCKS = {
    "postgresql": "SELECT 'LOCK WAIT' FROM pg_locks WHERE NOT granted",
    "mysql": "SHOW ENGINE INNODB STATUS",
}


def wait_until_somebody_waits_for_a_lock() -> None:
    give_up_at = time.monotonic() + 30
    with connection.cursor() as cursor:
        while time.monotonic() < give_up_at:
            cursor.execute(LOCKS[connection.vendor])
            if "LOCK WAIT" in str(cursor.fetchall()):
                return
    pytest.fail("nobody waits")


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not connection.features.has_select_for_update, reason="needs row locks")
def test_a_refusal_waits_for_a_login_under_way(user: User) -> None:
    event = uuid4()
    pair = refused_pair(user, event)
    ended: list[bool] = []

    def end() -> None:
        try:
            ended.append(end_over(user, pair, event))
        finally:
            connections.close_all()

    thread = threading.Thread(target=end)
    with transaction.atomic():
        TokenPair.objects.store(user=user, service="billing", access="b", refresh="s")
        thread.start()
        wait_until_somebody_waits_for_a_lock()
    thread.join()
    assert ended == [False]
    assert epoch_of(user) == 0


@pytest.fixture
def no_table(monkeypatch: pytest.MonkeyPatch, user: User) -> None:
    """As before `migrate`: a real query, and a real error of the database."""
    monkeypatch.setattr(SessionEpoch._meta, "db_table", "jwt_outbound_not_migrated")


def test_without_its_table_the_site_stays_up(
    user: User, no_table: None, caplog: pytest.LogCaptureFixture
) -> None:
    client = logged_in(user)
    assert [seen_by(client), seen_by(client)] == ["alice", "alice"]
    assert [r.levelno for r in caplog.records if r.name == "jwt_outbound"] == [logging.ERROR]
    assert "manage.py migrate" in caplog.text


def test_it_complains_once_a_minute(
    user: User, no_table: None, caplog: pytest.LogCaptureFixture
) -> None:
    client = logged_in(user)
    with shift_clock(59):
        seen_by(client)
    assert len(caplog.records) == 1
    with shift_clock(61):
        seen_by(client)
    assert len(caplog.records) == 2


def test_the_callers_transaction_survives_it(user: User, no_table: None) -> None:
    with transaction.atomic():
        get_user_model().objects.create_user("bob")
        assert not sessions.is_over(session_of(user))
        assert get_user_model().objects.filter(username="bob").exists()
    assert get_user_model().objects.filter(username="bob").exists()


def test_who_logs_in_while_it_cannot_be_read_stays_logged_in(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions.end_sessions(user.pk)
    with monkeypatch.context() as patch:
        patch.setattr(SessionEpoch._meta, "db_table", "jwt_outbound_not_migrated")
        client = logged_in(user)
    assert client.session[sessions.STAMP] is None
    assert seen_by(client) == "alice"
    assert client.session[sessions.STAMP] == 1

    sessions.end_sessions(user.pk)
    assert seen_by(client) == "nobody"


def test_a_session_ahead_of_a_restored_database_follows_it(user: User) -> None:
    sessions.end_sessions(user.pk)
    session = session_of(user, **{sessions.STAMP: 7})
    assert not sessions.is_over(session)
    assert session[sessions.STAMP] == 1


def raise_elsewhere(user: User) -> None:
    """As another process does it: this one's memory does not notice."""
    SessionEpoch.objects.update_or_create(user_id=str(user.pk), defaults={"epoch": 1})


def test_the_epoch_can_be_cached(
    user: User, configure: Configure, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    configure(EPOCH_CACHE=30)
    session = session_of(user)
    assert not sessions.is_over(session)
    raise_elsewhere(user)
    with django_assert_num_queries(0):
        assert not sessions.is_over(session)
    with shift_clock(31):
        assert sessions.is_over(session)


def test_a_cached_epoch_never_ends_a_session(user: User, configure: Configure) -> None:
    configure(EPOCH_CACHE=30)
    raise_elsewhere(user)
    assert sessions.is_over(session_of(user))
    SessionEpoch.objects.update(epoch=2)
    newer = session_of(user, **{sessions.STAMP: 2})
    assert not sessions.is_over(newer)
    assert newer[sessions.STAMP] == 2


def test_a_refusal_is_noticed_past_the_cache(user: User, configure: Configure) -> None:
    configure(EPOCH_CACHE=30)
    session = session_of(user)
    assert not sessions.is_over(session)
    raise_elsewhere(user)
    assert sessions.is_behind_now(session)


def test_the_process_that_ends_sessions_forgets_what_it_has_read(
    user: User, configure: Configure
) -> None:
    configure(EPOCH_CACHE=30)
    session = session_of(user)
    assert not sessions.is_over(session)
    sessions.end_sessions(user.pk)
    assert sessions.is_over(session)


def test_only_the_one_who_has_logged_in_anew_is_stamped_anew(user: User) -> None:
    sessions.end_sessions(user.pk)
    session = session_of(user)
    sessions.restamp(session, {user.pk + 1})
    assert sessions.STAMP not in session
    sessions.restamp(session, {user.pk + 1, user.pk})
    assert session[sessions.STAMP] == 1
