"""A table of an SQLite database in memory that is locked: SQLite does not wait for it by itself."""

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, transaction

from jwt_outbound.models import TokenPair
from jwt_outbound.refresh import store
from jwt_outbound.refresh.words import Ask
from tests.refresh.breaking import failing
from tests.settings import ENGINE

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(ENGINE != "sqlite", reason="only SQLite locks a table so"),
]

LOCKED = "database table is locked: jwt_outbound_tokenpair"


@pytest.fixture
def ask(user: User) -> Ask:
    TokenPair.objects.store(user=user, service="billing", access="a", refresh="b")
    return Ask(service="billing", user_id=user.pk)


def test_is_tried_again(ask: Ask) -> None:
    with failing("tokenpair", times=3, message=LOCKED) as wrapper:
        assert store.read(ask, renewable=False).pair is not None
    assert wrapper.failed == 3


def test_but_not_for_ever(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LOCKED_PATIENCE", 0)
    with failing("tokenpair", times=99, message=LOCKED), pytest.raises(OperationalError):
        store.read(ask, renewable=False)


def test_nor_in_a_transaction_where_it_would_stay_locked(ask: Ask) -> None:
    with transaction.atomic(), failing("tokenpair", times=99, message=LOCKED) as wrapper:
        with pytest.raises(OperationalError):
            store.read(ask, renewable=False)
        assert wrapper.failed == 1


def test_nor_is_another_error(ask: Ask) -> None:
    with failing("tokenpair", times=99, message="disk I/O error") as wrapper:
        with pytest.raises(OperationalError):
            store.read(ask, renewable=False)
        assert wrapper.failed == 1
