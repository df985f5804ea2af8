"""No copy in memory outlives what this process has seen change."""

from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from pytest_django import DjangoAssertNumQueries

from jwt_outbound import seen
from jwt_outbound.clients import ServiceClient
from jwt_outbound.exceptions import LoginRequired
from jwt_outbound.models import TokenPair


def test_each_change_of_a_pair_is_another_version_of_that_pair_alone() -> None:
    mine, theirs = ("billing", "mine"), ("billing", "theirs")
    before, others = seen.version(*mine), [seen.version(*theirs), seen.version("crm", "mine")]
    seen.change(*mine)
    changed = seen.version(*mine)
    assert changed != before
    assert [seen.version(*theirs), seen.version("crm", "mine")] == others
    seen.change(*mine)
    assert seen.version(*mine) not in (before, changed)


def test_when_memory_is_full_all_versions_are_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "_changes", {})
    monkeypatch.setattr(seen, "MOST_KEYS", 3)
    before = {user: seen.version("billing", user) for user in range(9)}
    for user in range(9):
        seen.change("billing", user)
    assert all(seen.version("billing", user) != before[user] for user in range(9))
    assert len(seen._changes) <= 3


@pytest.mark.parametrize("way", ["the row", "a query set", "its user"])
def test_a_pair_that_was_deleted_is_not_remembered(user: User, issuer: Any, way: str) -> None:
    TokenPair.objects.store(user=user, service="billing", **issuer.pair_for("alice"))
    client = ServiceClient("billing", user=user)
    assert client.get("invoices/").status_code == 200
    if way == "the row":
        TokenPair.objects.get(user=user).delete()
    elif way == "a query set":
        TokenPair.objects.filter(service="billing").delete()
    else:
        type(user).objects.filter(pk=user.pk).delete()
    with pytest.raises(LoginRequired):
        client.get("invoices/")


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_remembered(
    user: User, issuer: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    alice, bob = issuer.pair_for("alice"), issuer.pair_for("bob")
    TokenPair.objects.store(user=user, service="billing", **alice)
    client = ServiceClient("billing", user=user)
    with suppress(ZeroDivisionError), transaction.atomic():
        TokenPair.objects.store(user=user, service="billing", **bob)
        assert client.get("invoices/").json()["user"] == "bob"
        raise ZeroDivisionError
    assert client.get("invoices/").json()["user"] == "alice"
    TokenPair.objects.store(user=user, service="billing", **bob)
    assert client.get("invoices/").json()["user"] == "bob"
    with django_assert_num_queries(0):
        client.get("invoices/")


def test_outside_a_request_nobody_has_logged_in_anew() -> None:
    assert seen.logged_in_anew.get() is None
