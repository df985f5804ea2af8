"""What a task comes to where its pair is not as it was when the task was made."""

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from celery.signals import before_task_publish
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured

from jwt_outbound import refresh_ahead, runners
from jwt_outbound.models import TokenPair
from jwt_outbound.rows import Pair
from jwt_outbound.runners import work
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import STALE_AFTER, Configure
from tests.issuer_server import StrictIssuer
from tests.refresh.breaking import failing

pytestmark = pytest.mark.django_db(transaction=True)

READY_MADE = ["tasks", "celery"]
IMMEDIATE = {
    "django.tasks": "django.tasks.backends.immediate.ImmediateBackend",
    "django_tasks": "django_tasks.backends.immediate.ImmediateBackend",
}


@pytest.fixture
def stale(stored: dict[str, str], later: Callable[[float], None]) -> dict[str, str]:
    later(STALE_AFTER)
    return stored


class TestATask:
    def test_refreshes_a_pair_that_is_due(
        self, user: User, stale: dict[str, str], row: Callable[[], Pair], issuer: StrictIssuer
    ) -> None:
        for _ in range(2):
            work.refresh("billing", str(user.pk))
        assert (row().generation, len(issuer.presentations())) == (2, 1)

    def test_leaves_alone_what_is_not_due(
        self,
        user: User,
        stored: dict[str, str],
        issuer: StrictIssuer,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        work.refresh("billing", str(user.pk))
        assert issuer.presentations() == []
        assert caplog.messages == []

    def gone(self, user: User) -> None:
        TokenPair.objects.all().delete()

    def revoked(self, user: User) -> None:
        TokenPair.objects.revoke(user=user, service="billing")

    def inactive(self, user: User) -> None:
        User.objects.update(is_active=False)

    def user_gone(self, user: User) -> None:
        user.delete()

    @pytest.mark.parametrize(
        ("end", "word"),
        [
            (gone, "TokenPairNotFound"),
            (revoked, "RefreshTokenRefused"),
            (inactive, "LoginRequired"),
            (user_gone, "LoginRequired"),
        ],
        ids=lambda value: getattr(value, "__name__", ""),
    )
    def test_whose_pair_has_ended_is_a_line_in_the_log(
        self,
        user: User,
        stale: dict[str, str],
        issuer: StrictIssuer,
        caplog: pytest.LogCaptureFixture,
        end: Callable[[Any, User], None],
        word: str,
    ) -> None:
        user_id = str(user.pk)
        end(self, user)
        caplog.clear()
        work.refresh("billing", user_id)
        assert [word in line for line in caplog.messages] == [True]
        assert issuer.presentations() == []

    def test_at_an_outage_is_a_line_in_the_log(
        self,
        user: User,
        stale: dict[str, str],
        issuer: StrictIssuer,
        row: Callable[[], Pair],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        issuer.fail(503)
        work.refresh("billing", str(user.pk))
        assert "IssuerUnavailable" in caplog.text
        assert row().generation == 1

    def test_of_a_service_that_is_gone_is_a_line_in_the_log(
        self, user: User, caplog: pytest.LogCaptureFixture
    ) -> None:
        work.refresh("crm", str(user.pk))
        assert "There is no service 'crm'" in caplog.text

    def test_while_the_database_is_away_is_a_line_in_the_log(
        self, user: User, stale: dict[str, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        with failing():
            work.refresh("billing", str(user.pk))
        assert "TokenStoreUnavailable" in caplog.text

    def test_that_makes_no_sense_fails_for_all_to_see(self) -> None:
        with pytest.raises(ValueError, match="neither a user nor"):
            work.refresh("billing", "nobody's key")


def framework() -> str:
    """Django's own, or the backport."""
    from jwt_outbound.runners.tasks import task

    name: str = task.__module__.rpartition(".")[0]
    return name


class TestDjangosOwn:
    @pytest.fixture(autouse=True)
    def immediately(self, settings: Any) -> None:
        settings.TASKS = {"default": {"BACKEND": IMMEDIATE[framework()]}}

    def test_the_calls_token_is_served_and_the_task_done(
        self,
        user: User,
        stale: dict[str, str],
        row: Callable[[], Pair],
        configure: Configure,
        issuer: StrictIssuer,
    ) -> None:
        configure(REFRESH_AHEAD_RUNNER="jwt_outbound.runners.tasks.enqueue")
        assert fetch_valid_access_token("billing", user) == stale["access"]
        assert (row().generation, len(issuer.presentations())) == (2, 1)


class TestAPrimaryKey:
    """Is text on its way: queues take few kinds of keys, and not all give back what they took."""

    def test_in_a_task_of_djangos(self, settings: Any) -> None:
        from jwt_outbound.runners import tasks

        backend = IMMEDIATE[framework()].replace("immediate.Immediate", "dummy.Dummy")
        settings.TASKS = {"default": {"BACKEND": backend}}
        key = uuid4()
        tasks.enqueue("billing", key)
        assert tasks.refresh.get_backend().results[0].args == ["billing", str(key)]

    def test_in_a_task_of_celerys(self) -> None:
        from jwt_outbound.runners import celery

        sent: list[Any] = []

        def note(body: Any, **about: Any) -> None:
            sent.append(body[0])

        before_task_publish.connect(note)
        app = Celery("tests", broker="memory://", set_as_current=True)
        key = uuid4()
        celery.enqueue("billing", key)
        before_task_publish.disconnect(note)
        app.close()
        assert sent == [("billing", str(key))]


@pytest.fixture
def without_libraries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("celery", "django.tasks", "django_tasks"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("jwt_outbound.tasks", *(f"jwt_outbound.runners.{each}" for each in READY_MADE)):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in READY_MADE:
        monkeypatch.delattr(runners, name, raising=False)
    monkeypatch.setattr(refresh_ahead, "notes", refresh_ahead.Notes())
    yield
    # Neither was imported in a form that later tests could find.
    assert not any(f"jwt_outbound.runners.{each}" in sys.modules for each in READY_MADE)


@pytest.mark.usefixtures("without_libraries")
class TestWithoutTheLibrary:
    @pytest.mark.parametrize("kind", READY_MADE)
    def test_the_cure_is_said(self, kind: str) -> None:
        from importlib import import_module

        with pytest.raises(ImproperlyConfigured, match=rf"pip install 'jwt-outbound\[{kind}\]'"):
            import_module(f"jwt_outbound.runners.{kind}")

    @pytest.mark.parametrize("kind", READY_MADE)
    def test_a_call_has_its_token_and_the_log_the_cure(
        self,
        user: User,
        stale: dict[str, str],
        configure: Configure,
        caplog: pytest.LogCaptureFixture,
        kind: str,
    ) -> None:
        configure(REFRESH_AHEAD_RUNNER=f"jwt_outbound.runners.{kind}.enqueue")
        with caplog.at_level(logging.ERROR):
            assert fetch_valid_access_token("billing", user) == stale["access"]
        assert "was not started" in caplog.text

    def test_what_looks_for_tasks_finds_none(self) -> None:
        from importlib import import_module

        assert not hasattr(import_module("jwt_outbound.tasks"), "celery")
