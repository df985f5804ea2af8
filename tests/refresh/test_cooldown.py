"""How long an issuer is left alone."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_outbound.clock import SECOND
from jwt_outbound.issuers.answers import Answer
from jwt_outbound.refresh.cooldown import cooldown, service_changes
from jwt_outbound.rows import IssuerHealth
from jwt_outbound.swaps import NEXT, Now
from tests.refresh.pairs import a_pair

AWAY = Answer.unavailable(ambiguous=False)
UNCLEAR = Answer.unavailable(ambiguous=True)
WRONG = Answer.misconfigured("invalid_client")


class Longest(Random):
    """Chance at its upper end."""

    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 2), (1, 4), (2, 8), (3, 16), (4, 32), (5, 60), (1000, 60)]
)
def test_it_doubles_up_to_a_minute(failures: int, seconds: int) -> None:
    assert cooldown(AWAY, failures, 0, Longest()) == seconds * SECOND


@pytest.mark.parametrize(("failures", "seconds"), [(0, 15), (1, 30), (4, 240), (5, 300), (99, 300)])
def test_for_the_operators_fault_it_is_longer(failures: int, seconds: int) -> None:
    assert cooldown(WRONG, failures, 0, Longest()) == seconds * SECOND


@given(failures=st.integers(0, 50), seed=st.integers())
def test_jitter_only_shortens_it(failures: int, seed: int) -> None:
    longest = cooldown(AWAY, failures, 0, Longest())
    assert 0.75 * longest <= cooldown(AWAY, failures, 0, Random(seed)) <= longest


def test_retry_after_is_honoured() -> None:
    answer = Answer.unavailable(ambiguous=False, retry_after=3600.0)
    assert cooldown(answer, 0, 0, Longest()) == 3600 * SECOND
    soon = Answer.unavailable(ambiguous=False, retry_after=0.0)
    assert cooldown(soon, 0, 0, Longest()) == 2 * SECOND


def test_after_an_ambiguous_answer_the_replay_must_still_come_in_time() -> None:
    window = 4 * SECOND
    assert cooldown(UNCLEAR, 9, window, Longest()) == SECOND
    assert cooldown(AWAY, 9, window, Longest()) == 60 * SECOND
    late = Answer.unavailable(ambiguous=True, retry_after=3600.0)
    assert cooldown(late, 0, window, Longest()) == SECOND
    assert cooldown(UNCLEAR, 9, 1, Longest()) == 1


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
        for health in (IssuerHealth(), IssuerHealth(proven=True, failures=3, cooling_until=9)):
            assert service_changes(granted, a_pair(), health, 0) == healthy

    def test_a_healthy_one_is_not_written(self) -> None:
        healthy = IssuerHealth(proven=True)
        assert service_changes(Answer.granted("access"), a_pair(), healthy, 0) == {}
