"""Each write of the protocol is the same thing as data, on a `Pair`, and as SQL, on a row."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from hypothesis import given, settings
from hypothesis import strategies as st

from jwt_outbound import swaps
from jwt_outbound.clock import SECOND
from jwt_outbound.compare_and_swap import Next, Now, Swap, applied, holds
from jwt_outbound.models import TokenPair
from jwt_outbound.querysets import database_now
from jwt_outbound.rows import SUSPENDED, Pair

FAR = 10_000 * SECOND
HOLDER = {"lease_host": "here", "lease_pid": 1}
NEW = {"access_sealed": b"new", "refresh_sealed": b"next", "expires_at": 5, "lifetime": None}
EVENT = UUID(int=5)

counts = st.integers(0, 3)
lengths = st.integers(1, FAR)
flags = st.booleans()
sealed = st.sampled_from([b"", b"sealed"])


times = st.sampled_from([0, 1, 2**60])
"""Not at all, long ago, in many years."""

PAIRS = st.fixed_dictionaries(
    {
        "generation": counts,
        "lease_id": counts,
        "lease_until": times,
        "presented_generation": st.integers(-1, 3),
        "presented_at": times,
        "presentations": counts,
        "access_sealed": sealed,
        "refresh_sealed": sealed,
        "unended": flags,
        "pending_until": times,
        "refused_at": times,
        "reason": st.sampled_from(["", "refused"]),
        "event_id": st.sampled_from([None, EVENT]),
        "lifetime": st.sampled_from([None, 300]),
        "learned_lifetime": st.sampled_from([None, 300]),
        "expires_at": st.sampled_from([None, 7]),
        "holds": counts,
        "failures": counts,
        "refresh_at": st.none() | times,
        "used_generation": st.integers(-1, 3),
        "parked": flags,
    }
)


def ways(draw: st.DrawFn, pair: Pair) -> dict[str, Callable[[], Swap]]:
    """Every swap there is, as it is made for `pair`."""
    return {
        "stored": lambda: swaps.stored(NEW),
        "revoked": lambda: swaps.revoked(pair),
        "leased": lambda: swaps.leased(pair, draw(lengths), present=draw(flags), holder=HOLDER),
        "saved": lambda: swaps.saved(pair, NEW),
        "released": lambda: swaps.released(
            pair,
            spent=draw(flags),
            outcome="unavailable",
            cooldown=draw(st.just(0) | lengths),
            failures=draw(counts),
            due_after=draw(st.just(0) | lengths),
            in_hand=draw(flags),
        ),
        "used": lambda: swaps.used(pair),
        "parked": lambda: swaps.parked(pair, draw(st.none() | lengths)),
        "postponed": lambda: swaps.postponed(
            pair, draw(st.none() | lengths | st.builds(Now, lengths))
        ),
        "held": lambda: swaps.held(
            pair, draw(lengths), "code", draw(st.sampled_from(["", SUSPENDED]))
        ),
        "refused": lambda: swaps.refused(pair, reason="refused", code="code", event_id=EVENT),
        "announced": lambda: swaps.announced(pair, EVENT),
        "unhelped": lambda: swaps.unhelped(pair, draw(lengths)),
        "reconnect": lambda: Swap(
            where=swaps.standing(pair.generation), changes={"reconnect": True}
        ),
    }


@st.composite
def builders(draw: st.DrawFn, pair: Pair) -> Swap:
    """One of them."""
    found = ways(draw, pair)
    return found[draw(st.sampled_from(sorted(found)))]()


@pytest.mark.database
@pytest.mark.django_db
@settings(deadline=None, max_examples=150)
@given(data=st.data(), columns=PAIRS, other=PAIRS)
def test_the_data_and_the_update_are_one(
    data: st.DataObject, columns: dict[str, Any], other: dict[str, Any]
) -> None:
    row = TokenPair.objects.create(id=uuid4(), user_id=1, service=str(uuid4()), **columns)
    pair = read(row.pk)
    # A swap made for the row as it is, or for what somebody else has seen of it.
    seen = dataclasses.replace(pair, **data.draw(st.sampled_from([{}, other])))
    swap = data.draw(builders(seen))
    before = database_now()
    held = TokenPair.objects.swap(swap, pk=row.pk)
    after = database_now()
    assert held is holds(pair, swap, before)
    expected = applied(pair, swap, before) if held else pair
    assert_same(read(row.pk), expected, swap if held else None, after - before)
    if held and "lease_host" in swap.changes:
        row.refresh_from_db()
        assert (row.lease_host, row.lease_pid) == ("here", 1)


def test_every_swap_is_among_them(pair: Pair) -> None:
    made = {
        name
        for name, builder in inspect.getmembers(swaps, inspect.isfunction)
        if inspect.signature(builder).return_annotation is Swap
    }
    assert made
    assert made <= set(ways(lambda strategy: pytest.fail("nothing is drawn"), pair))


def read(pk: UUID) -> Pair:
    pair = TokenPair.objects.read(pk=pk).pair
    assert isinstance(pair, Pair)
    return pair


def assert_same(pair: Pair, expected: Pair, swap: Swap | None, passed: int) -> None:
    """Columns that the swap sets to the time may lie as late as it took."""
    timed = {name for name, value in (swap.changes if swap else {}).items() if is_time(value)}
    for name, value in vars(pair).items():
        if name in timed:
            assert 0 <= value - getattr(expected, name) <= passed, name
        else:
            assert value == getattr(expected, name), name


def is_time(value: object) -> bool:
    return isinstance(value, Now)


@pytest.fixture
def pair(db: None) -> Pair:
    user = get_user_model().objects.create_user("alice")
    return read(TokenPair.objects.create(user_id=user.pk, service="billing", generation=3).pk)


@pytest.mark.database
@pytest.mark.django_db
class TestFences:
    def test_a_lease_is_had_by_one(self, pair: Pair) -> None:
        lease = swaps.leased(pair, FAR, present=True, holder=HOLDER)
        assert [TokenPair.objects.swap(lease, pk=pair.pk) for _ in range(3)] == [True, False, False]

    def test_who_releases_clears_his_own_lease_alone(self, pair: Pair) -> None:
        mine = swaps.leased(pair, 0, present=True, holder=HOLDER)
        assert TokenPair.objects.swap(mine, pk=pair.pk)
        other = read(pair.pk)
        assert TokenPair.objects.swap(
            swaps.leased(other, FAR, present=True, holder=HOLDER), pk=pair.pk
        )
        assert not TokenPair.objects.swap(
            swaps.released(pair, spent=False, outcome="unsent"), pk=pair.pk
        )
        assert read(pair.pk).lease_until > 0
        assert TokenPair.objects.swap(
            swaps.released(other, spent=False, outcome="unsent"), pk=pair.pk
        )
        assert read(pair.pk).lease_until == 0

    def test_of_two_saves_for_one_generation_the_first_stays(self, pair: Pair) -> None:
        first, second = ({"access_sealed": name} for name in (b"first", b"second"))
        assert TokenPair.objects.swap(swaps.saved(pair, first), pk=pair.pk)
        assert not TokenPair.objects.swap(swaps.saved(pair, second), pk=pair.pk)
        assert read(pair.pk).access_sealed == b"first"

    @pytest.mark.parametrize("between", ["store", "revoke"])
    def test_a_refusal_is_believed_only_of_the_current_generation(
        self, pair: Pair, between: str
    ) -> None:
        came = swaps.stored(NEW) if between == "store" else swaps.revoked(pair)
        assert TokenPair.objects.swap(came, pk=pair.pk)
        refusal = swaps.refused(pair, reason="refused", code="", event_id=EVENT)
        assert not TokenPair.objects.swap(refusal, pk=pair.pk)
        assert read(pair.pk).refused_at == 0

    def test_the_lease_id_only_grows(self, pair: Pair) -> None:
        for _ in range(3):
            old = read(pair.pk)
            TokenPair.objects.swap(swaps.leased(old, 0, present=False, holder={}), pk=pair.pk)
            TokenPair.objects.swap(swaps.stored(NEW), pk=pair.pk)
            assert read(pair.pk).lease_id == old.lease_id + 1


@pytest.mark.parametrize("write", ["stored", "revoked", "saved"])
def test_what_replaces_or_ends_a_pair_moves_its_generation(write: str) -> None:
    old = Pair(pk=UUID(int=1), user_id=7, service="billing")
    made = {
        "stored": swaps.stored(NEW),
        "revoked": swaps.revoked(old),
        "saved": swaps.saved(old, NEW),
    }[write]
    assert isinstance(made.changes["generation"], Next)
    assert swaps.UNMARKED.items() <= {**made.changes, "revoked_at": 0}.items()
