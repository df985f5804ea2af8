"""Sealing anew, beside everything else that goes on."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from jwt_outbound import rotation
from jwt_outbound.ciphers import ACCESS, REFRESH, key_ids, sealer
from jwt_outbound.models import TokenPair
from jwt_outbound.rotation import rotate, rows_by_key
from jwt_outbound.testing import FakeIssuer
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import Configure
from tests.sealed_pairs import NEW, OLD, OTHER, columns, store

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


@pytest.fixture(autouse=True)
def old_key(configure: Configure) -> None:
    configure(ENCRYPTION_KEYS=[OLD])


def both() -> Counter[str]:
    return sum(rotate(), Counter())


def test_all_is_sealed_anew_and_nothing_else_is_touched(configure: Configure) -> None:
    for number in range(7):
        store(f"user-{number}")
    before = columns()
    configure(ENCRYPTION_KEYS=[NEW, OLD])
    new, old = key_ids()
    assert rows_by_key() == {old: 7}
    assert both() == {"rotated": 7}
    assert rows_by_key() == {new: 7}
    configure(ENCRYPTION_KEYS=[NEW])
    for row, earlier in zip(columns(), before, strict=True):
        assert {c for c in row if row[c] != earlier[c]} == {"access_sealed", "refresh_sealed"}
        own, name = sealer("billing", row["user_id"]), User.objects.get(pk=row["user_id"])
        assert own.open(row["access_sealed"], ACCESS).reveal() == f"access-of-{name}"
        assert own.open(row["refresh_sealed"], REFRESH).reveal() == f"refresh-of-{name}"


def test_another_run_finds_nothing_to_do(configure: Configure) -> None:
    store("alice")
    configure(ENCRYPTION_KEYS=[NEW, OLD])
    both()
    after = columns()
    assert both() == {"current": 1}
    assert columns() == after


def test_an_interrupted_run_is_taken_up(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)
    for number in range(5):
        store(f"user-{number}")
    configure(ENCRYPTION_KEYS=[NEW, OLD])
    going = rotate()
    assert next(going) == {"rotated": 2}
    going.close()
    assert sorted(rows_by_key().values()) == [2, 3]
    assert [sum(batch.values()) for batch in rotate()] == [2, 2, 1]
    assert set(rows_by_key()) == {key_ids()[0]}


def test_half_a_pair_and_an_empty_row(configure: Configure) -> None:
    store("access only", access="a")
    store("refresh only", refresh="r")
    TokenPair.objects.create(user=User.objects.create_user("nothing"), service="billing")
    configure(ENCRYPTION_KEYS=[NEW, OLD])
    assert both() == {"rotated": 2, "current": 1}
    assert rows_by_key() == {key_ids()[0]: 2}
    assert {(len(r["access_sealed"]), len(r["refresh_sealed"])) for r in columns()} == {
        (34, 0),
        (0, 34),
        (0, 0),
    }


def test_what_no_key_opens_is_left_as_it_is(configure: Configure) -> None:
    store("lost")
    configure(ENCRYPTION_KEYS=[OTHER])
    store("found")
    configure(ENCRYPTION_KEYS=[NEW, OTHER])
    before = {row["user_id"]: row for row in columns()}
    assert both() == {"rotated": 1, "unreadable": 1}
    lost = User.objects.get(username="lost").pk
    assert before[lost] in columns()
    configure(ENCRYPTION_KEYS=[NEW, OTHER, OLD])
    assert both() == {"rotated": 1, "current": 1}


class Interrupted(FakeIssuer):
    """Does something while it is asked, before the flight can save the answer."""

    meanwhile: Any = None

    def exchange(self, refresh_token: str, deadline: float) -> Any:
        answer = super().exchange(refresh_token, deadline)
        self.meanwhile()
        return answer


def in_a_thread_of_its_own(work: Any) -> Any:
    def work_and_close() -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work_and_close).result(30)


def test_a_refresh_under_way_survives_the_rotation(user: User, configure: Configure) -> None:
    """The flight has leased the pair and asked the issuer; then its row is sealed anew."""
    found: list[Any] = []
    issuer = Interrupted()
    with issuer.serving("billing"):
        issuer.pair_for(user)
        issuer.expire(user)
        configure(ENCRYPTION_KEYS=[NEW, OLD])
        issuer.meanwhile = lambda: found.append(in_a_thread_of_its_own(both))
        with issuer.serving("billing"):
            token = fetch_valid_access_token("billing", user)
            assert found == [{"rotated": 1}]
            assert token == fetch_valid_access_token("billing", user)
            assert len(issuer.presentations) == 1
            pair = TokenPair.objects.get()
            assert (pair.generation, pair.lease_until, pair.refused_at) == (2, 0, 0)
            assert rows_by_key() == {key_ids()[0]: 1}
            issuer.expire(user)
            assert fetch_valid_access_token("billing", user) != token, "the new pair is good"


def test_a_pair_replaced_meanwhile_is_not_put_back(
    user: User, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rotation has read the row; then a refresh replaces the pair; then it would write."""
    store("alice")
    configure(ENCRYPTION_KEYS=[NEW, OLD])
    seal_anew = rotation.sealer

    def replaced_first(service: str, user_id: Any) -> Any:
        store("alice", access="newer", refresh="newer-too")
        return seal_anew(service, user_id)

    monkeypatch.setattr(rotation, "sealer", replaced_first)
    assert both() == {"changed": 1}
    assert fetch_valid_access_token("billing", user) == "newer"
    assert TokenPair.objects.get().generation == 2


def test_two_at_once_do_no_harm(configure: Configure) -> None:
    for number in range(4):
        store(f"user-{number}")
    configure(ENCRYPTION_KEYS=[NEW, OLD])
    first, second = rotate(), rotate()
    assert next(first) == {"rotated": 4}
    assert next(second) == {"current": 4}
    assert rows_by_key() == {key_ids()[0]: 4}


def test_callers_are_served_under_every_step_of_a_rotation(
    user: User, configure: Configure
) -> None:
    """As hosts are deployed one after another: no order of steps leaves a caller without."""
    store("alice", access="good")
    for keys in ([OLD, NEW], [NEW, OLD], [OLD, NEW], [NEW, OLD]):
        configure(ENCRYPTION_KEYS=keys)
        assert fetch_valid_access_token("billing", user) == "good"
        both()
        for others in ([OLD, NEW], [NEW, OLD]):
            configure(ENCRYPTION_KEYS=others)
            assert fetch_valid_access_token("billing", user) == "good"
    configure(ENCRYPTION_KEYS=[NEW, OLD])
    both()
    configure(ENCRYPTION_KEYS=[NEW])
    assert fetch_valid_access_token("billing", user) == "good"
