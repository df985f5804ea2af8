"""A worker's lanes: how many pairs it takes in hand, and how fast it goes."""

from typing import Any

import pytest

from jwt_outbound import clock
from jwt_outbound.clock import SECOND
from jwt_outbound.conf import Service
from jwt_outbound.fleet.due import CLAIM, Due
from jwt_outbound.fleet.lanes import Lane
from jwt_outbound.fleet.plans import Do, Plan
from jwt_outbound.rows import IssuerHealth, Reading
from jwt_outbound.testing import FakeIssuer, shift_clock
from tests.refresh.pairs import a_pair


def a_lane(most: int = 4, **options: Any) -> Lane:
    return Lane(Service(name="billing", issuer=FakeIssuer(), **options), most)


def fill(lane: Lane, number: int) -> None:
    lane.fill([a_due()] * number)


def a_due() -> Due:
    pair, at = a_pair(), clock.monotonic()
    reading = Reading(pair=pair, issuer=IssuerHealth(), now=0, at=at)
    return Due(pair=pair, reading=reading, plan=Plan(do=Do.REFRESH), ends_at=at + CLAIM)


def test_so_many_begin_at_once() -> None:
    lane = a_lane()
    assert lane.room == 8
    fill(lane, 8)
    assert lane.room == 0
    assert len([due for _ in range(8) if (due := lane.take())]) == 4
    assert lane.wait is None
    lane.landed()
    assert lane.wait == 0


@pytest.mark.parametrize(("at_once", "room"), [(1, 2), (100, 8)])
def test_no_more_than_the_service_allows(at_once: int, room: int) -> None:
    assert a_lane(exchanges_at_once=at_once).room == room


def test_one_alone_tries_whether_an_issuer_is_back() -> None:
    lane = a_lane()
    lane.look(IssuerHealth(failures=3), 0)
    assert lane.room == 2
    lane.look(IssuerHealth(failures=3, cooling_until=9 * SECOND), 8 * SECOND)
    assert (lane.room, lane.is_cooling) == (0, True)


@pytest.mark.parametrize(("rate", "room"), [(20, 8), (0.2, 2), (0.01, 1), (None, 8)])
def test_no_more_is_taken_in_hand_than_can_begin_before_the_claim_is_half_over(
    rate: float | None, room: int
) -> None:
    assert a_lane(exchanges_per_second=rate).room == room


def test_what_was_crowded_out_comes_first_again_but_ever_slower() -> None:
    lane = a_lane(exchanges_per_second=20)
    fill(lane, 3)
    due = lane.take()
    assert due is not None
    assert lane.take() is None
    for _ in range(40):
        lane.put_back(due)
        assert lane.queue.popleft() is due
    assert lane.wait is not None
    assert 1 < lane.wait <= 2


def test_what_has_queued_for_longer_than_its_claim_is_given_up() -> None:
    lane = a_lane()
    fill(lane, 3)
    lane.is_exhausted = True
    lane.drop_lapsed()
    assert len(lane.queue) == 3
    assert lane.is_exhausted
    with shift_clock(20):
        fill(lane, 1)
    with shift_clock(31):
        lane.drop_lapsed()
        assert len(lane.queue) == 1
        assert not lane.is_exhausted


def test_the_sooner_it_was_needed_the_more_is_taken_in_hand() -> None:
    lane = a_lane()
    rooms = []
    for _ in range(6):
        rooms.append(lane.room)
        fill(lane, lane.room)
        while lane.take() is not None:
            lane.landed()
    assert rooms == [8, 8, 12, 20, 36, 36]
    lane.look(IssuerHealth(failures=3), 0)
    assert lane.room == 2, "one alone tries"
    lane.look(IssuerHealth(), 0)
    assert lane.room == 5


def test_a_reading_is_believed_while_it_is_new_and_nothing_has_gone_wrong_since() -> None:
    lane, due = a_lane(), a_due()
    assert lane.believes(due.reading)
    with shift_clock(3):
        assert not lane.believes(due.reading)
    lane.doubt()
    assert not lane.believes(due.reading)
    with shift_clock(0.001):
        assert lane.believes(a_due().reading)


def test_with_a_budget_each_flight_reads_for_itself() -> None:
    assert not a_lane(exchanges_per_second=20).believes(a_due().reading)
