from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management.base import CommandError

from jwt_outbound.management.commands import forget_token_pairs
from jwt_outbound.models import TokenPair, TokenPairEvent
from tests.conftest import Configure
from tests.sealed_pairs import NEW, OLD, run, store

pytestmark = [pytest.mark.django_db(databases=["default", "tokens"]), pytest.mark.database]

COMMAND = "forget_token_pairs"
NOW = "--no-input"


@pytest.fixture(autouse=True)
def pairs(configure: Configure) -> None:
    """Alice's is sealed by a key that is gone, Bob's is not."""
    configure(ENCRYPTION_KEYS=[OLD])
    store("alice")
    configure(ENCRYPTION_KEYS=[NEW])
    store("bob")


def left() -> set[str]:
    ids = TokenPair.objects.values_list("user_id", flat=True)
    return set(User.objects.filter(pk__in=list(ids)).values_list("username", flat=True))


def answer(monkeypatch: pytest.MonkeyPatch, said: str) -> list[str]:
    asked: list[str] = []

    def reply(question: str) -> str:
        asked.append(question)
        return said

    monkeypatch.setattr("builtins.input", reply)
    return asked


def test_the_unreadable_ones_go_with_their_history() -> None:
    assert run(COMMAND, "--unreadable", NOW) == "1 token pairs were deleted.\n"
    assert left() == {"bob"}
    assert TokenPairEvent.objects.count() == 1
    assert run(COMMAND, "--unreadable", NOW) == "There is no such token pair.\n"


def test_one_whose_refresh_token_alone_is_unreadable(configure: Configure) -> None:
    bob = TokenPair.objects.get(user__username="bob")
    TokenPair.objects.filter(pk=bob.pk).update(refresh_sealed=b"\x01" + bytes(60))
    assert run(COMMAND, "--unreadable", NOW) == "2 token pairs were deleted.\n"
    assert left() == set()


def test_of_one_user_by_name_and_by_key() -> None:
    run(COMMAND, "--user", "alice", NOW)
    assert left() == {"bob"}
    run(COMMAND, "--user", str(User.objects.get(username="bob").pk), NOW)
    assert left() == set()


def test_of_a_user_who_is_gone() -> None:
    TokenPair.objects.filter(user__username="bob").update(user_id=987_654)
    assert run(COMMAND, "--user", "987654", NOW) == "1 token pairs were deleted.\n"


def test_of_one_service_even_one_that_is_configured_no_more(configure: Configure) -> None:
    TokenPair.objects.filter(user__username="bob").update(service="archive")
    assert run(COMMAND, "--service", "archive", NOW) == "1 token pairs were deleted.\n"
    assert left() == {"alice"}


def test_conditions_are_all_to_be_met() -> None:
    assert run(COMMAND, "--unreadable", "--user", "bob", NOW) == "There is no such token pair.\n"
    assert run(COMMAND, "--service", "archive", "--user", "bob", NOW).startswith("There is no")
    assert left() == {"alice", "bob"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Say which"),
        ((NOW,), "Say which"),
        (("--user", "nobody", NOW), "There is no user 'nobody'"),
    ],
)
def test_all_at_once_is_never_meant(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run(COMMAND, *arguments)
    assert left() == {"alice", "bob"}


def test_it_asks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(monkeypatch, "y")
    with pytest.raises(CommandError, match="Nothing was deleted"):
        run(COMMAND, "--unreadable")
    assert asked == ["Delete 1 of 2 token pairs with their history? Type 'yes': "]
    assert left() == {"alice", "bob"}
    answer(monkeypatch, "Yes")
    run(COMMAND, "--unreadable")
    assert left() == {"bob"}


@pytest.mark.parametrize("keys", ["no.such.provider", ["sesame"]])
def test_without_any_key_nothing_is_called_unreadable(configure: Configure, keys: Any) -> None:
    configure(ENCRYPTION_KEYS=keys)
    with pytest.raises(CommandError, match="ENCRYPTION_KEYS") as raised:
        run(COMMAND, "--unreadable", NOW)
    assert "Nothing was deleted" in str(raised.value)
    assert "sesame" not in str(raised.value)
    assert left() == {"alice", "bob"}


def test_a_login_in_the_meantime_is_not_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    def log_in_while_it_asks(question: str) -> str:
        store("alice", access="new")
        return "yes"

    monkeypatch.setattr("builtins.input", log_in_while_it_asks)
    assert run(COMMAND, "--unreadable") == "0 token pairs were deleted.\n"
    assert left() == {"alice", "bob"}


def test_it_works_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forget_token_pairs, "BATCH", 2)
    for number in range(5):
        store(f"user-{number}")
    assert run(COMMAND, "--service", "billing", NOW) == "7 token pairs were deleted.\n"
    assert (left(), TokenPairEvent.objects.count()) == (set(), 0)
