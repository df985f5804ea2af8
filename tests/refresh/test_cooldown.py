"""How long an issuer is left alone."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_outbound.clock import SECOND
from jwt_outbound.compare_and_swap import NEXT, NOW, Now
from jwt_outbound.issuers.answers import Answer
from jwt_outbound.refresh.cooldown import (
    LONGEST_AHEAD,
    SHAKY_FOR,
    cooldown,
    due_after,
    is_shaky,
    service_changes,
)
from jwt_outbound.rows import IssuerHealth
from tests.refresh.pairs import NOW as HERE
from tests.refresh.pairs import a_pair, a_reading

AWAY = Answer.unavailable(ambiguous=False)
UNCLEAR = Answer.unavailable(ambiguous=True)
WRONG = Answer.misconfigured("invalid_client")


class Longest(Random):
    """Chance at its upper end."""

    def uniform(self, a: float, b: float) -> float:
        return b


def cool(
    answer: Answer,
    failures: int = 0,
    window: int = 0,
    *,
    left: int = -1,
    chance: Random | None = None,
) -> int:
    """Of a pair whose access token has so many seconds left."""
    pair = a_pair(failures=failures, expires_at=HERE + left * SECOND)
    return cooldown(answer, pair, window, HERE, chance or Longest())[0]


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 2), (1, 4), (2, 8), (3, 16), (4, 32), (5, 60), (1000, 60)]
)
def test_it_doubles_up_to_a_minute(failures: int, seconds: int) -> None:
    assert cool(AWAY, failures) == seconds * SECOND


@pytest.mark.parametrize(("failures", "seconds"), [(0, 15), (1, 30), (4, 240), (5, 300), (99, 300)])
def test_for_the_operators_fault_it_is_longer(failures: int, seconds: int) -> None:
    assert cool(WRONG, failures) == seconds * SECOND


@given(failures=st.integers(0, 50), seed=st.integers())
def test_jitter_only_shortens_it(failures: int, seed: int) -> None:
    longest = cool(AWAY, failures)
    assert 0.75 * longest <= cool(AWAY, failures, chance=Random(seed)) <= longest


def test_retry_after_is_honoured() -> None:
    answer = Answer.unavailable(ambiguous=False, retry_after=3600.0)
    assert cool(answer) == 3600 * SECOND
    soon = Answer.unavailable(ambiguous=False, retry_after=0.0)
    assert cool(soon) == 2 * SECOND


def test_after_an_ambiguous_answer_the_replay_must_still_come_in_time() -> None:
    window = 4 * SECOND
    assert cool(UNCLEAR, 9, window) == SECOND
    assert cool(AWAY, 9, window) == 60 * SECOND
    late = Answer.unavailable(ambiguous=True, retry_after=3600.0)
    assert cool(late, 0, window) == SECOND
    assert cool(UNCLEAR, 9, 1) == 1


def test_while_the_token_is_good_there_is_another_try_in_time() -> None:
    assert cool(AWAY, left=9) == 2 * SECOND
    assert cool(AWAY, left=3) == SECOND
    assert cool(AWAY, 5, left=30) == 10 * SECOND
    assert cool(AWAY, 5, left=0) == 60 * SECOND
    assert cool(WRONG, left=3) == 15 * SECOND
    assert cool(UNCLEAR, left=3) == 2 * SECOND
    asked = Answer.unavailable(ambiguous=False, retry_after=20.0)
    assert cool(asked, left=3) == 20 * SECOND
    assert cool(AWAY, left=1) == SECOND // 3


@pytest.mark.parametrize(
    ("answer", "failures", "left", "counted"),
    [
        (AWAY, 0, 9, 1),
        (AWAY, 0, 3, 1),
        (AWAY, 1, 3, 1),
        (AWAY, 4, 3, 4),
        (AWAY, 4, 300, 5),
        (AWAY, 4, 0, 5),
        (UNCLEAR, 4, 3, 5),
        (WRONG, 4, 3, 5),
    ],
)
def test_hasty_tries_for_a_token_that_is_about_to_run_out_count_as_one(
    answer: Answer, failures: int, left: int, counted: int
) -> None:
    pair = a_pair(failures=failures, expires_at=HERE + left * SECOND)
    assert cooldown(answer, pair, 0, HERE, Longest())[1] == counted


class TestWhatIsDueAgain:
    def test_is_so_after_its_cool_down(self) -> None:
        assert due_after(a_pair(refresh_at=HERE - 1), 5, HERE) == 5
        assert due_after(a_pair(refresh_at=HERE + 5), 5, HERE) == 5

    def test_is_not_what_was_not_due(self) -> None:
        assert due_after(a_pair(refresh_at=None), 5, HERE) == 0
        assert due_after(a_pair(refresh_at=HERE + 6), 5, HERE) == 0

    def test_pauses_longer_and_longer_once_it_is_stuck(self) -> None:
        def after(failures: int) -> int:
            return due_after(a_pair(refresh_at=HERE, failures=failures), 60 * SECOND, HERE)

        minutes = [after(failures) // (60 * SECOND) for failures in range(3, 12)]
        assert minutes == [1, 1, 2, 4, 8, 16, 32, 60, 60]
        assert after(1000) == LONGEST_AHEAD


class TestTheService:
    def test_the_third_pair_in_a_row_cools_it(self) -> None:
        for answer in (AWAY, UNCLEAR):
            once = service_changes(answer, a_pair(), IssuerHealth(failures=1), 5)
            again = service_changes(answer, a_pair(), IssuerHealth(failures=2), 5)
            assert once == {"failures": NEXT}
            assert again == {"failures": NEXT, "cooling_until": Now(5)}

    def test_one_pair_that_always_fails_counts_once(self) -> None:
        health = IssuerHealth(failures=2)
        assert service_changes(UNCLEAR, a_pair(failures=1), health, 5) == {}

    @pytest.mark.parametrize("answer", [WRONG, Answer.refused()])
    def test_what_is_no_outage_does_not_count(self, answer: Answer) -> None:
        assert service_changes(answer, a_pair(), IssuerHealth(failures=2), 5) == {}

    def test_a_yes_proves_it_and_ends_its_cool_down(self) -> None:
        healthy = {"failures": 0, "cooling_until": 0, "proven": True}
        granted = Answer.granted("access")
        for health in (IssuerHealth(), IssuerHealth(proven=True, failures=2)):
            assert service_changes(granted, a_pair(), health, 0) == healthy
        down = IssuerHealth(proven=True, failures=3, cooling_until=9)
        assert service_changes(granted, a_pair(), down, 0) == {**healthy, "recovered_at": NOW}

    @pytest.mark.parametrize(
        ("health", "shaky"),
        [
            (IssuerHealth(proven=True, failures=2), False),
            (IssuerHealth(proven=True, failures=3), True),
            (IssuerHealth(proven=True, recovered_at=HERE - SHAKY_FOR + 1), True),
            (IssuerHealth(proven=True, recovered_at=HERE - SHAKY_FOR), False),
        ],
    )
    def test_it_is_shaky_while_it_is_away_and_for_a_time_after(
        self, health: IssuerHealth, shaky: bool
    ) -> None:
        assert is_shaky(a_reading(a_pair(), health)) is shaky

    def test_a_healthy_one_is_not_written(self) -> None:
        healthy = IssuerHealth(proven=True)
        assert service_changes(Answer.granted("access"), a_pair(), healthy, 0) == {}
