"""The flow's steps carried out on real parts, in this thread, and what goes wrong on the way."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from jwt_outbound import swaps
from jwt_outbound.clock import SECOND
from jwt_outbound.conf import get_service
from jwt_outbound.exceptions import (
    IssuerUnavailable,
    RefreshTokenRefused,
    TokenPairNotFound,
    TokenPairUnreadable,
    TokenStoreUnavailable,
)
from jwt_outbound.issuers import Answer, Issuer
from jwt_outbound.models import TokenPair, TokenPairEvent
from jwt_outbound.refresh.driver import Driver, at_the_issuer
from jwt_outbound.refresh.steps import Outcome
from jwt_outbound.refresh.words import Ask, Failure
from jwt_outbound.rows import Pair
from tests.conftest import Configure, Heard
from tests.refresh.breaking import Slow, failing

pytestmark = pytest.mark.django_db(transaction=True)

Row = Callable[[], Pair]


class Told(Issuer):
    """Gives the answers that it was told to, or raises them, and notes what it was asked."""

    revokes = True

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers
        self.asked: list[Any] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def exchange(self, refresh_token: str, deadline: float) -> Answer:
        self.asked.append((refresh_token, deadline))
        self.meanwhile()
        return self._said()

    def revoke(self, refresh_token: str, deadline: float) -> Answer:
        self.asked.append(f"revoke {refresh_token}")
        return self._said()

    def _said(self) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


GRANTED = Answer.granted("new", "next", expires_in=300)


Tell = Callable[..., Told]


@pytest.fixture
def told(user: User, configure: Configure) -> Tell:
    """An expired pair is stored, and the issuer answers so."""

    def tell(*answers: Any) -> Told:
        issuer = Told(list(answers))
        configure(ISSUER=issuer, OPTIONS={}, ISSUER_DEADLINE=1.5)
        TokenPair.objects.store(
            user=user, service="billing", access="old", refresh="old-refresh", expires_in=0
        )
        return issuer

    return tell


def run(user: User, **driving: Any) -> Outcome:
    ask = Ask(service="billing", user_id=user.pk)
    return Driver(
        **{"service": get_service("billing"), "ask": ask, "inline": True, **driving}
    ).run()


def failed(outcome: Outcome) -> Failure:
    assert outcome.failure is not None
    assert "old-refresh" not in outcome.failure.message
    return outcome.failure


class TestAKnownReading:
    def test_is_where_the_flow_begins(self, user: User, told: Tell, row: Row) -> None:
        issuer = told(GRANTED)
        known = TokenPair.objects.read(user_id=user.pk, service="billing")
        with CaptureQueriesContext(connection) as queries:
            outcome = run(user, known=known)
        assert (len(issuer.asked), row().generation) == (1, 2)
        assert outcome.failure is None
        assert not [sql for sql in sent(queries) if "jwt_outbound_tokenpair" in sql]

    @pytest.mark.parametrize("then", ["refreshed", "revoked", "leased"])
    def test_that_is_not_so_any_more_is_noticed_before_the_issuer_is_asked(
        self, user: User, told: Tell, row: Row, then: str
    ) -> None:
        issuer = told(GRANTED)
        known = TokenPair.objects.read(user_id=user.pk, service="billing")
        if then == "refreshed":
            run(user)
        elif then == "revoked":
            TokenPair.objects.revoke(user=user, service="billing")
        else:
            lease = swaps.leased(known.pair, SECOND // 5, present=False, holder={})
            assert TokenPair.objects.swap(lease, pk=known.pair.pk)
        outcome = run(user, known=known)
        told_of = ["revoke old-refresh"] if then == "revoked" else [("old-refresh", 1.5)]
        assert issuer.asked == told_of
        assert outcome.reading.pair is not None
        assert outcome.reading.pair.generation == row().generation == 2


def sent(queries: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in queries if query["sql"].startswith("SELECT")]


class TestAsking:
    def test_the_issuer_gets_the_refresh_token_and_the_services_deadline(
        self, user: User, told: Tell, row: Row
    ) -> None:
        issuer = told(GRANTED)
        outcome = run(user)
        assert issuer.asked == [("old-refresh", 1.5)]
        assert outcome.failure is None
        told_of, stored = outcome.reading.pair, row()
        assert told_of is not None
        for column in (
            "generation",
            "access_sealed",
            "refresh_sealed",
            "expires_at",
            "lease_until",
        ):
            assert getattr(told_of, column) == getattr(stored, column), column

    @pytest.mark.parametrize(
        ("answer", "code"),
        [
            (ValueError("old-refresh was not accepted"), "issuer_raised"),
            (RefreshTokenRefused("of another one", service="idp", code="gone"), "issuer_raised"),
            (RefreshTokenRefused("hers", service="billing", user_id=-1), "issuer_raised"),
            (RefreshTokenRefused("not returned", service="billing"), "issuer_raised"),
            (None, "issuer_returned_nonsense"),
            ("new", "issuer_returned_nonsense"),
            (Answer.granted(""), "issuer_returned_nonsense"),
        ],
    )
    def test_an_issuer_of_ones_own_that_misbehaves_is_an_ambiguous_outage(
        self,
        user: User,
        told: Tell,
        row: Row,
        caplog: pytest.LogCaptureFixture,
        answer: Any,
        code: str,
    ) -> None:
        told(answer)
        with caplog.at_level(logging.DEBUG):
            failure = failed(run(user))
        assert failure.kind is IssuerUnavailable
        assert failure.attributes["ambiguous"]
        assert (row().presented, TokenPairEvent.objects.latest("at").code) == (True, code)
        assert "old-refresh" not in caplog.text
        assert at_the_issuer.get() is None

    def test_nothing_is_sent_on_a_lease_that_is_too_old(self, user: User, told: Tell) -> None:
        issuer = told(GRANTED)
        with connection.execute_wrapper(Slow("lease_host", seconds=12)):
            assert run(user).failure is None
        assert len(issuer.asked) == 1
        kinds = TokenPairEvent.objects.order_by("at").values_list("kind", flat=True)
        assert list(kinds) == ["stored", "unsent", "refreshed"]
        assert not TokenPairEvent.objects.get(kind="refreshed").replay

    def test_a_pair_that_cannot_be_opened_is_not_leased(
        self, user: User, told: Tell, row: Row, configure: Configure
    ) -> None:
        issuer = told(GRANTED)
        configure(ENCRYPTION_KEYS=["A" * 43 + "="])
        assert failed(run(user)).kind is TokenPairUnreadable
        assert (issuer.asked, row().lease_id) == ([], 0)

    def test_nobodys_pair(self, user: User, told: Tell) -> None:
        told(GRANTED)
        TokenPair.objects.all().delete()
        assert failed(run(user)).kind is TokenPairNotFound


class TestADatabaseThatFails:
    @pytest.mark.parametrize("query", ["SELECT", "lease_host"])
    def test_before_the_lease_is_committed_nothing_is_sent(
        self, user: User, told: Tell, query: str
    ) -> None:
        issuer = told(GRANTED)
        with failing(query):
            failure = failed(run(user))
        assert failure.kind is TokenStoreUnavailable
        assert failure.attributes["retry_after"] > 0
        assert issuer.asked == []

    def test_after_the_answer_it_is_asked_until_the_pair_is_stored(
        self, user: User, told: Tell, row: Row
    ) -> None:
        issuer = told(GRANTED)
        with failing("UPDATE", "access_sealed", times=3) as broken:
            assert run(user).failure is None
        assert broken.failed == 3
        assert (row().generation, len(issuer.asked)) == (2, 1)

    def test_in_the_callers_own_transaction_the_asking_has_an_end(
        self, user: User, told: Tell
    ) -> None:
        told(GRANTED)
        with transaction.atomic():
            with failing("UPDATE", "access_sealed", times=99):
                assert failed(run(user)).kind is TokenStoreUnavailable
            transaction.set_rollback(True)

    def test_history_that_cannot_be_written_costs_nothing(
        self, user: User, told: Tell, row: Row, heard: Heard
    ) -> None:
        told(GRANTED)
        with failing("INSERT INTO", times=9):
            assert run(user).failure is None
        assert row().generation == 2
        assert [name for name, _ in heard] == ["refreshed"]


class TestAfterwards:
    def test_the_committed_pair_is_told_before_the_receivers_are(
        self, user: User, told: Tell, heard: Heard
    ) -> None:
        told(GRANTED)
        order: list[Any] = []
        run(
            user,
            committed=lambda outcome: order.append((outcome.reading.pair.generation, [*heard])),
        )
        assert order == [(2, [])]
        assert len(heard) == 1

    def test_a_user_who_is_gone_is_none(self, user: User, told: Tell, heard: Heard) -> None:
        issuer = told(GRANTED)
        issuer.meanwhile = lambda: User.objects.filter(pk=user.pk)._raw_delete("default")
        run(user)
        assert heard[0][1]["user"] is None

    @pytest.mark.parametrize("answer", [Answer.granted(""), OSError("next is not known")])
    def test_a_pair_that_came_after_a_revocation_is_revoked_at_the_issuer(
        self, user: User, told: Tell, row: Row, caplog: pytest.LogCaptureFixture, answer: Any
    ) -> None:
        issuer = told(Answer.granted(""), GRANTED, answer)
        issuer.meanwhile = lambda: TokenPair.objects.revoke(user=user, service="billing")
        with caplog.at_level(logging.ERROR):
            failed(run(user))
        assert issuer.asked[1:] == ["revoke old-refresh", "revoke next"]
        assert row().revoked_at > 0
        assert ("was not revoked" in caplog.text) is isinstance(answer, Exception)
        assert "next is not known" not in caplog.text
