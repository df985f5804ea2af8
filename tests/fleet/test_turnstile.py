"""Few threads at the database at once, and no answer that waits for long."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jwt_outbound.fleet import turnstile
from jwt_outbound.fleet.turnstile import Turnstile

LONG = 30


def test_no_more_are_inside_than_have_a_place() -> None:
    gate, lock, inside, most = Turnstile(2), threading.Lock(), 0, 0
    meeting = threading.Barrier(2)

    def come() -> None:
        nonlocal inside, most
        with gate.inside():
            with lock:
                inside += 1
                most = max(most, inside)
            meeting.wait(LONG)  # two are in here, or nobody goes on
            with lock:
                inside -= 1

    with ThreadPoolExecutor(8) as pool:
        for job in [pool.submit(come) for _ in range(8)]:
            job.result(LONG)
    assert most == 2


def test_who_waits_outside_leaves_the_place_to_another() -> None:
    gate, been = Turnstile(1), threading.Event()

    def come() -> None:
        with gate.inside():
            been.set()

    with ThreadPoolExecutor(1) as pool, gate.inside():
        job = pool.submit(come)
        assert not been.is_set()
        with gate.outside():
            job.result(LONG)
        assert not gate._free.acquire(blocking=False)
    assert gate._free.acquire(blocking=False)


def test_who_comes_back_goes_on_without_a_place_where_none_gets_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turnstile, "PATIENCE", 0.01)
    gate, taken, over = Turnstile(1), threading.Event(), threading.Event()

    def stay() -> None:
        with gate.inside():
            taken.set()
            assert over.wait(LONG)

    with ThreadPoolExecutor(1) as pool, gate.inside():
        with gate.outside():
            job = pool.submit(stay)
            assert taken.wait(LONG)
        over.set()
        job.result(LONG)
    # Each place was given back once: there is one, as in the beginning.
    assert gate._free.acquire(blocking=False)
    assert not gate._free.acquire(blocking=False)


def test_a_place_is_free_again_where_something_was_raised() -> None:
    gate = Turnstile(1)
    with pytest.raises(ZeroDivisionError), gate.inside(), gate.outside():
        raise ZeroDivisionError
    with gate.inside():
        pass
