"""Whose call it is: an instance or a primary key, and nobody who may not make one."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from pytest_django import DjangoAssertNumQueries, Settings

from jwt_outbound.exceptions import LoginRequired
from jwt_outbound.users import active_among, ensure_active, find_user, user_id_of


@pytest.mark.parametrize("given", [7, "7", User(pk=7)])
def test_a_user_or_a_key_is_the_key(given: object) -> None:
    assert user_id_of(given, "billing") == 7


@pytest.mark.parametrize("nobody", [None, AnonymousUser()])
def test_nobody_has_to_log_in(nobody: object) -> None:
    with pytest.raises(LoginRequired, match="'billing'") as caught:
        user_id_of(nobody, "billing")
    assert type(caught.value) is LoginRequired
    assert caught.value.service == "billing"


@pytest.mark.parametrize("given", [User(), "alice", object(), ["7"], Group(pk=7), True, 7.0, b"7"])
def test_what_is_no_user_is_a_mistake_of_the_program(given: object) -> None:
    with pytest.raises(ValueError, match="primary key"):
        user_id_of(given)


class ReplicaRouter:
    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "a replica, which the tests have not got"


@pytest.mark.django_db
class TestActive:
    def test_a_key_is_looked_up(self, user: User) -> None:
        ensure_active(user.pk, user.pk, "billing")
        User.objects.update(is_active=False)
        with pytest.raises(LoginRequired, match="not active") as caught:
            ensure_active(user.pk, user.pk, "billing")
        assert caught.value.user_id == user.pk

    def test_an_instance_is_taken_at_its_word(
        self, user: User, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_num_queries(0):
            ensure_active(user, user.pk, "billing")
            user.is_active = False
            with pytest.raises(LoginRequired):
                ensure_active(user, user.pk, "billing")

    def test_a_replica_is_not_asked(self, user: User, settings: Settings) -> None:
        settings.DATABASE_ROUTERS = [f"{__name__}.ReplicaRouter"]
        assert find_user(user.pk) == user
        assert active_among([user.pk]) == {user.pk}

    def test_who_is_gone_is_not_active(self) -> None:
        assert find_user(404) is None
        with pytest.raises(LoginRequired):
            ensure_active(404, 404, "billing")
