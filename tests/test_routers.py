from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import router
from django.test import override_settings

from jwt_outbound.models import IssuerState, TokenPair, TokenPairEvent
from jwt_outbound.routers import TokenRouter

BOTH = pytest.mark.django_db(databases=["default", "tokens"])


class Library:
    """A project's own router: users are in a database of theirs."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        self.asked.append(hints)
        return "people" if model is User else None


@pytest.fixture(autouse=True)
def own_alias() -> Iterator[None]:
    service = {"ISSUER": "jwt_outbound.issuers.CallableIssuer", "OPTIONS": {"refresh": str}}
    raw = {"DATABASE": "tokens", "SERVICES": {"billing": service}}
    routers = ["jwt_outbound.routers.TokenRouter"]
    with override_settings(JWT_OUTBOUND=raw, DATABASE_ROUTERS=routers):
        yield


def test_our_tables_are_on_their_alias() -> None:
    for model in (TokenPair, TokenPairEvent, IssuerState):
        assert router.db_for_read(model) == "tokens"
        assert router.db_for_write(model) == "tokens"


def test_other_models_are_left_alone() -> None:
    assert router.db_for_read(User) == "default"
    assert router.db_for_write(Group, instance=User()) == "default"
    assert TokenRouter().db_for_read(User) is None


def test_tables_are_made_where_they_belong() -> None:
    ours = TokenRouter()
    assert ours.allow_migrate("tokens", "jwt_outbound") is True
    assert ours.allow_migrate("default", "jwt_outbound") is False
    assert ours.allow_migrate("tokens", "auth") is None
    assert ours.allow_migrate("default", "auth") is None


def test_a_pair_may_point_to_a_user_elsewhere() -> None:
    ours = TokenRouter()
    assert ours.allow_relation(TokenPair(), User()) is True
    assert ours.allow_relation(User(), TokenPair()) is True
    assert ours.allow_relation(User(), Group()) is None


def test_the_user_of_a_pair_is_not_looked_for_among_the_tokens() -> None:
    pair = TokenPair(user_id=7, service="billing")
    pair._state.db = "tokens"
    assert router.db_for_read(User, instance=pair) == "default"
    assert router.db_for_write(User, instance=pair) == "default"


def test_other_routers_are_asked_about_the_user_without_the_hint() -> None:
    library = Library()
    with override_settings(DATABASE_ROUTERS=[TokenRouter(), library]):
        assert router.db_for_read(User, instance=TokenPair()) == "people"
        assert router.db_for_write(User, instance=TokenPair()) == "default"
    assert library.asked == [{}]


def test_the_setting_is_read_on_use() -> None:
    with override_settings(JWT_OUTBOUND={"DATABASE": "default"}):
        assert router.db_for_read(TokenPair) == "default"
        assert TokenRouter().allow_migrate("tokens", "jwt_outbound") is False


@BOTH
@pytest.mark.database
def test_pairs_and_users_in_two_databases() -> None:
    user = User.objects.create_user("alice")
    pair = TokenPair.objects.store(user=user, service="billing", access="opaque", refresh="opaque")
    assert pair._state.db == "tokens"
    assert not TokenPair.objects.using("default").exists()
    found = TokenPair.objects.get(user=user)
    assert found.user == user
    assert found.user._state.db == "default"
    assert found.events.get().pair == found
    assert found.events.get()._state.db == "tokens"


@BOTH
@pytest.mark.database
def test_the_manager_finds_its_alias_without_the_router() -> None:
    user = User.objects.create_user("alice")
    with override_settings(DATABASE_ROUTERS=[]):
        TokenPair.objects.store(user=user, service="billing", access="opaque", refresh="opaque")
        assert TokenPair.objects.get(user=user)._state.db == "tokens"
    assert TokenPair.objects.using("tokens").count() == 1
