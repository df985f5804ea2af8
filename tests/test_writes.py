"""A write whose text is kept does what the ORM would do, for every shape and value."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection

from jwt_outbound import writes
from jwt_outbound.compare_and_swap import NEXT, NOW, OVER, SET, Now, Swap
from jwt_outbound.models import TokenPair, TokenPairEvent
from jwt_outbound.querysets import alias, database_now
from jwt_outbound.testing import shift_clock
from jwt_outbound.writes import carry_out, insert

pytestmark = [pytest.mark.database, pytest.mark.django_db]

HOUR = 3600 * 1_000_000
NASTY = ("", "'; --", "%s", "%(v0)s", "{column}", "%%", "\\")


@pytest.fixture
def pair() -> TokenPair:
    return TokenPair.objects.create(user_id=7, service="billing", generation=3)


def swapped(pair: TokenPair, where: dict[str, Any], **changes: Any) -> bool:
    return carry_out(TokenPair, alias(), Swap(where=where, changes=changes), {"pk": pair.pk})


@pytest.mark.parametrize(
    "values",
    [
        {"event_id": uuid.uuid4()}, {"event_id": None}, {"unended": True}, {"unended": False},
        {"presented_generation": -1}, {"presented_generation": 0}, {"presented_generation": 1},
        {"expires_at": None}, {"expires_at": 0}, {"expires_at": -5}, {"expires_at": 1 << 52},
        {"access_sealed": b""}, {"access_sealed": b"\x00\xff%s%%"},
        *({"reason": text} for text in NASTY),
    ],
)  # fmt: skip
def test_a_value_arrives_as_it_is_and_is_found_by_it(
    pair: TokenPair, values: dict[str, Any]
) -> None:
    filled = {"event_id": uuid.uuid4(), "unended": None, "presented_generation": 9}
    other = filled | {"expires_at": 9, "access_sealed": b"9", "reason": "9"}
    other["unended"] = not values.get("unended", False)
    for name in values:
        TokenPair.objects.filter(pk=pair.pk).update(**{name: other[name]})
        assert not swapped(pair, values, holds=1)
    assert swapped(pair, {}, **values)
    assert TokenPair.objects.filter(pk=pair.pk, **values).exists()
    assert swapped(pair, values, holds=5)
    pair.refresh_from_db()
    assert pair.holds == 5


def test_statements_of_one_shape_and_other_values_are_one(pair: TokenPair) -> None:
    before = writes._update.cache_info().misses
    for length in (1, 7, HOUR):
        assert swapped(pair, {"generation": 3}, lease_until=Now(length), failures=length % 99)
    assert writes._update.cache_info().misses <= before + 1
    pair.refresh_from_db()
    assert pair.failures == HOUR % 99
    assert 0 < pair.lease_until - database_now() <= HOUR  # the same moment, on a clock of ms


def test_nothing_and_something_are_not_mixed_up(pair: TokenPair) -> None:
    for failures in (0, 1, 0, 2, 0):
        assert swapped(pair, {}, failures=failures)
        assert TokenPair.objects.filter(pk=pair.pk, failures=failures).exists()


def test_the_words_of_a_swap(pair: TokenPair) -> None:
    assert swapped(pair, {"lease_until": OVER}, generation=NEXT, lease_until=Now(HOUR))
    assert not swapped(pair, {"lease_until": OVER}, generation=NEXT)
    assert not swapped(pair, {"refused_at": SET}, generation=NEXT)
    assert swapped(pair, {"generation": 4, "refused_at": 0}, refused_at=NOW)
    assert swapped(pair, {"refused_at": SET}, generation=NEXT)
    pair.refresh_from_db()
    assert pair.generation == 5
    assert abs(pair.refused_at - database_now()) < HOUR


def test_a_moved_clock_is_another_statement(pair: TokenPair) -> None:
    for seconds in (0, 7200, -7200, 0):
        with shift_clock(seconds):
            assert swapped(pair, {}, refused_at=NOW)
            pair.refresh_from_db()
            assert abs(pair.refused_at - database_now()) < HOUR


@pytest.mark.parametrize("reason", NASTY)
def test_a_line_of_history(reason: str) -> None:
    at = datetime(2026, 11, 29, 12, 0, 0, 123456, tzinfo=UTC)
    line = {"pair_id": uuid.uuid4(), "user_id": 7, "service": "billing", "generation": 0, "at": at}
    insert(TokenPairEvent, alias(), {**line, "reason": reason, "ambiguous": True})
    found = TokenPairEvent.objects.get()
    expected = TokenPairEvent(id=found.pk, **line, reason=reason, ambiguous=True)
    columns = [field.attname for field in TokenPairEvent._meta.concrete_fields]
    assert all(getattr(found, name) == getattr(expected, name) for name in columns)


def test_whoever_watches_djangos_queries_sees_it(pair: TokenPair) -> None:
    seen: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        seen.append(sql)
        return execute(sql, *arguments)

    with connection.execute_wrapper(note):
        swapped(pair, {}, holds=1)
    assert len(seen) == 1
    assert seen[0].startswith("UPDATE")
