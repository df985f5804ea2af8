"""What receivers are told: once, after the commit, in the flight, and never a token."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User

from jwt_outbound.exceptions import LoginRequired
from jwt_outbound.models import TokenPair, TokenPairEvent
from jwt_outbound.rows import Pair
from jwt_outbound.signals import token_pair_refreshed, token_refresh_failed
from jwt_outbound.testing import drain
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import EXPIRED_AFTER, STALE_AFTER, Heard
from tests.issuer_server import StrictIssuer

pytestmark = pytest.mark.django_db(transaction=True)

Row = Callable[[], Pair]
Later = Callable[[float], None]

ARGUMENTS = {"signal", "sender", "user", "service", "reason", "code", "generation", "event_id"}


def fetch(user: User, **asked: Any) -> str:
    return fetch_valid_access_token("billing", user, **asked)


class TestRefreshed:
    @pytest.mark.parametrize("reason", ["expired", "stale", "rejected"])
    def test_says_whose_pair_was_replaced_and_why(
        self, user: User, stored: dict[str, str], heard: Heard, row: Row, later: Later, reason: str
    ) -> None:
        later({"expired": EXPIRED_AFTER, "stale": STALE_AFTER, "rejected": 60}[reason])
        fetch(user, rejected=stored["access"] if reason == "rejected" else None)
        assert drain()
        ((name, said),) = heard
        assert name == "refreshed"
        assert set(said) == ARGUMENTS
        assert said["sender"] is TokenPair
        assert said["signal"] is token_pair_refreshed
        assert (said["user"], said["service"]) == (user, "billing")
        assert (said["reason"], said["code"], said["generation"]) == (reason, "", 2)
        assert said["event_id"] == TokenPairEvent.objects.get(kind="refreshed").pk

    @pytest.mark.usefixtures("stored")
    def test_comes_after_the_commit_and_in_the_flights_thread(
        self, user: User, row: Row, later: Later
    ) -> None:
        found: list[tuple[int, threading.Thread]] = []

        def look(**_: Any) -> None:
            found.append((row().generation, threading.current_thread()))

        token_pair_refreshed.connect(look)
        try:
            later(EXPIRED_AFTER)
            fetch(user)
            assert drain()
        finally:
            token_pair_refreshed.disconnect(look)
        ((generation, thread),) = found
        assert generation == 2
        assert thread is not threading.current_thread()

    @pytest.mark.usefixtures("stored")
    def test_a_stored_pair_is_none(self, heard: Heard) -> None:
        assert heard == []


class TestFailed:
    @pytest.mark.usefixtures("stored")
    def test_says_whose_login_is_over_and_why(
        self, user: User, issuer: StrictIssuer, heard: Heard, later: Later
    ) -> None:
        issuer.refuse("alice")
        later(EXPIRED_AFTER)
        for _ in range(3):
            with pytest.raises(LoginRequired):
                fetch(user)
        ((name, said),) = heard
        assert name == "failed"
        assert set(said) == ARGUMENTS
        assert said["sender"] is TokenPair
        assert said["signal"] is token_refresh_failed
        assert (said["user"], said["service"]) == (user, "billing")
        assert (said["reason"], said["code"]) == ("refused", "token_not_valid")
        assert said["generation"] == 1
        assert isinstance(said["event_id"], UUID)
        assert said["event_id"] == TokenPairEvent.objects.get(kind="refused").pk

    def test_each_refusal_has_an_id_of_its_own(
        self, user: User, issuer: StrictIssuer, heard: Heard, later: Later
    ) -> None:
        issuer.pair_for("alice")
        issuer.refuse("alice")
        for _ in range(2):
            TokenPair.objects.store(user=user, service="billing", **issuer.pair_for("alice"))
            later(EXPIRED_AFTER)
            with pytest.raises(LoginRequired):
                fetch(user)
        assert len({said["event_id"] for _, said in heard}) == len(heard) == 2


@pytest.mark.parametrize("refuses", [False, True])
def test_no_argument_holds_a_token(
    user: User,
    stored: dict[str, str],
    issuer: StrictIssuer,
    heard: Heard,
    later: Later,
    refuses: bool,
) -> None:
    issuer.refuse("alice", on=refuses)
    later(EXPIRED_AFTER)
    new = ""
    try:
        new = fetch(user)
    except LoginRequired:
        assert refuses
    shown = repr([{**said, "user": vars(said["user"])} for _, said in heard])
    assert heard
    for token in (*stored.values(), new or "none"):
        assert token not in shown
