"""What is to be done about a row: the order of precedence, and each branch of it."""

from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from jwt_outbound.clock import SECOND
from jwt_outbound.exceptions import (
    IssuerUnavailable,
    RefreshTokenExpired,
    RefreshTokenRefused,
    TokenPairNotFound,
)
from jwt_outbound.refresh.decisions import calm_at, decide, may_present
from jwt_outbound.refresh.words import SERVE, WAIT, Act, Failure, Verdict
from jwt_outbound.rows import IssuerHealth, Pair
from tests.refresh.pairs import (
    COOLING,
    EXPIRED,
    LEASE_RAN_OUT,
    LEASED,
    NOW,
    OVER,
    PRESENTED,
    STALE,
    UNKNOWN,
    a_pair,
    a_policy,
    a_reading,
    an_ask,
)

REFUSED = {"refused_at": NOW - SECOND, "announced_at": NOW, "reason": "refused", "code": "gone"}
UNANNOUNCED = {**REFUSED, "announced_at": 0}
RUN_OUT = {"refresh_expires_at": NOW - 3601 * SECOND, "refresh_lifetime": 86_400 * SECOND // 10}
PENDING = {"pending_until": NOW + 4 * SECOND}
SERVE_AND_PRESENT = Verdict(serve=True, act=Act.PRESENT)
PRESENT = Verdict(act=Act.PRESENT)


def verdict(
    *states: dict[str, Any],
    asked: dict[str, Any] | None = None,
    cooling: int = 0,
    suspended: bool = False,
    issuer: dict[str, Any] | None = None,
    **policy: Any,
) -> Verdict:
    health = IssuerHealth(cooling_until=cooling, suspended=suspended, **(issuer or {}))
    reading = a_reading(a_pair(*states), health)
    return decide(reading, an_ask(**(asked or {})), a_policy(**policy), NOW)


def failure(decided: Verdict) -> Failure:
    assert decided.failure is not None
    assert (decided.serve, decided.act, decided.wait) == (False, None, False)
    return decided.failure


class TestMarksComeFirst:
    @pytest.mark.parametrize("access", [{}, STALE, EXPIRED, OVER, UNKNOWN, LEASED, COOLING])
    def test_a_refused_pair_is_over_even_while_its_access_token_is_good(
        self, access: dict[str, Any]
    ) -> None:
        said = failure(verdict(access, REFUSED))
        assert said.kind is RefreshTokenRefused
        assert said.attributes == {"reason": "refused", "code": "gone"}

    def test_one_that_ran_out_has_a_type_of_its_own(self) -> None:
        said = failure(verdict(REFUSED, {"reason": "expired"}))
        assert said.kind is RefreshTokenExpired

    def test_a_revoked_pair_is_over(self) -> None:
        said = failure(verdict({"revoked_at": NOW}))
        assert (said.kind, said.attributes["reason"]) == (RefreshTokenRefused, "revoked")

    def test_what_a_crash_left_unannounced_is_announced_once_its_lease_is_over(self) -> None:
        assert verdict(UNANNOUNCED).act is Act.ANNOUNCE
        assert verdict(UNANNOUNCED, LEASE_RAN_OUT).act is Act.ANNOUNCE
        assert failure(verdict(UNANNOUNCED, LEASED)).kind is RefreshTokenRefused


class TestAPendingRefusal:
    def test_the_good_token_is_served_and_nobody_presents(self) -> None:
        for state in ({}, STALE, UNKNOWN):
            assert verdict(state, PENDING, PRESENTED) == SERVE

    def test_the_others_come_back_when_it_is_over(self) -> None:
        said = failure(verdict(EXPIRED, PENDING, PRESENTED))
        assert (said.kind, said.attributes["retry_after"]) == (IssuerUnavailable, 4.0)

    def test_then_it_is_final(self) -> None:
        over = {"pending_until": NOW}
        assert verdict(over).act is Act.FINALIZE
        assert verdict(over, LEASE_RAN_OUT).act is Act.FINALIZE
        assert verdict(over, LEASED) == WAIT


class TestTheAccessToken:
    def test_fresh_or_unknown_is_served(self) -> None:
        assert verdict() == verdict(UNKNOWN) == SERVE

    def test_stale_is_served_while_a_flight_refreshes_it(self) -> None:
        assert verdict(STALE) == SERVE_AND_PRESENT

    @pytest.mark.parametrize(
        "reason_not_to", [LEASED, COOLING, RUN_OUT, PRESENTED, {"refresh_sealed": b""}]
    )
    def test_stale_alone_is_no_reason_to_insist(self, reason_not_to: dict[str, Any]) -> None:
        assert verdict(STALE, reason_not_to) == SERVE

    def test_stale_waits_for_a_cool_down_of_the_service(self) -> None:
        assert verdict(STALE, cooling=NOW + SECOND) == SERVE

    def test_expired_is_refreshed_first(self) -> None:
        for state in (EXPIRED, OVER, {"access_sealed": b""}):
            assert verdict(state) == PRESENT

    def test_a_live_lease_is_waited_for(self) -> None:
        assert verdict(EXPIRED, LEASED) == WAIT
        assert verdict(EXPIRED, LEASE_RAN_OUT) == PRESENT

    def test_without_a_refresh_token_it_serves_to_its_end(self) -> None:
        alone = {"refresh_sealed": b""}
        assert verdict(alone) == verdict(UNKNOWN, alone) == SERVE
        assert failure(verdict(EXPIRED, alone)).kind is TokenPairNotFound

    def test_min_validity_counts_up_to_half_of_the_lifetime(self) -> None:
        assert verdict(asked={"min_validity": 200 * SECOND}) == SERVE
        late = {"expires_at": NOW + 149 * SECOND}
        assert verdict(late, asked={"min_validity": 149 * SECOND}) == SERVE
        assert verdict(late, asked={"min_validity": 100_000 * SECOND}) == PRESENT


class TestNoPair:
    def test_nothing_stored_is_not_found(self) -> None:
        said = failure(decide(a_reading(None), an_ask(), a_policy(), NOW))
        assert said.kind is TokenPairNotFound
        assert "'billing'" in said.message

    def test_where_the_issuer_can_make_one_a_row_is_made_for_it(self) -> None:
        decided = decide(a_reading(None), an_ask(), a_policy(makes_first_pair=True), NOW)
        assert decided == Verdict(act=Act.INSERT)

    def test_and_a_pair_that_has_nothing_left_gets_a_first_one_again(self) -> None:
        for state in ({"refresh_sealed": b""}, RUN_OUT):
            assert verdict(OVER, state, makes_first_pair=True) == PRESENT


class TestTheRefreshTokensOwnEnd:
    def test_it_has_run_out_only_past_all_doubt_about_clocks(self) -> None:
        assert verdict(OVER, RUN_OUT) == Verdict(act=Act.EXPIRE)
        near = {**RUN_OUT, "refresh_expires_at": NOW - 3599 * SECOND}
        assert verdict(OVER, near) == PRESENT

    def test_a_tenth_of_a_long_life_is_doubt_too(self) -> None:
        month = 30 * 86_400 * SECOND
        ended = {"refresh_lifetime": month, "refresh_expires_at": NOW - month // 10}
        assert verdict(OVER, ended) == PRESENT
        ended["refresh_expires_at"] -= SECOND
        assert verdict(OVER, ended) == Verdict(act=Act.EXPIRE)

    def test_a_good_access_token_is_served_to_its_end(self) -> None:
        assert verdict(RUN_OUT) == SERVE


class TestACoolDown:
    @pytest.mark.parametrize("shared_by", ["row", "service"])
    def test_a_token_counts_as_good_to_its_real_end(self, shared_by: str) -> None:
        until = NOW + 2 * SECOND
        row = {"cooldown_until": until} if shared_by == "row" else {}
        cooling = until if shared_by == "service" else 0
        assert verdict(EXPIRED, row, cooling=cooling) == SERVE
        said = failure(verdict(OVER, row, cooling=cooling))
        assert (said.kind, said.attributes["retry_after"]) == (IssuerUnavailable, 2.0)

    def test_the_longer_one_counts(self) -> None:
        said = failure(verdict(OVER, COOLING, cooling=NOW + 9 * SECOND))
        assert said.attributes["retry_after"] == 9.0

    def test_when_it_is_over_the_issuer_is_asked(self) -> None:
        assert verdict(OVER, {"cooldown_until": NOW}) == PRESENT


class TestTrouble:
    """While the issuer is away, and when it has just come back."""

    @pytest.mark.parametrize(
        "known",
        [
            {"issuer": {"failures": 3}},
            {"issuer": {"recovered_at": NOW - 29 * SECOND}},
        ],
    )
    def test_a_token_in_its_last_seconds_is_served_while_it_is_refreshed(
        self, known: dict[str, Any]
    ) -> None:
        assert verdict(EXPIRED, STALE) == PRESENT
        assert verdict(EXPIRED, STALE, {"failures": 1}) == SERVE_AND_PRESENT
        assert verdict(EXPIRED, STALE, **known) == SERVE_AND_PRESENT
        assert verdict(OVER, STALE, **known) == PRESENT

    @pytest.mark.parametrize(
        "over",
        [
            {"issuer": {"failures": 2}},
            {"issuer": {"recovered_at": NOW - 30 * SECOND}},
        ],
    )
    def test_and_not_for_less_or_for_longer(self, over: dict[str, Any]) -> None:
        assert verdict(EXPIRED, STALE, **over) == PRESENT

    def test_what_hardly_outlives_the_services_cool_down_is_worth_a_try(self) -> None:
        soon = {"expires_at": NOW + 5 * SECOND}
        assert verdict(soon, STALE, cooling=NOW + 4 * SECOND) == SERVE_AND_PRESENT
        assert verdict(soon, STALE, cooling=NOW + 3 * SECOND) == SERVE
        assert verdict(soon, STALE, COOLING, cooling=NOW + 4 * SECOND) == SERVE

    def test_what_came_due_meanwhile_does_not_come_all_at_once(self) -> None:
        policy = a_policy()
        back = IssuerHealth(recovered_at=NOW)
        waits = [
            calm_at(a_pair(STALE, pk=UUID(int=number)), back, policy) - NOW
            for number in range(1024)
        ]
        assert (min(waits), max(waits)) == (0, 30 * SECOND * 1023 // 1024)
        in_a_second = Counter(wait // SECOND for wait in waits)
        assert max(in_a_second.values()) <= 35
        last = verdict(STALE, {"pk": UUID(int=1023)}, issuer={"recovered_at": NOW})
        assert last == SERVE
        assert verdict(OVER, {"pk": UUID(int=1023)}, issuer={"recovered_at": NOW}) == PRESENT

    def test_and_comes_in_time(self) -> None:
        short = a_pair(STALE, expires_at=NOW + 40 * SECOND, pk=UUID(int=1023))
        assert calm_at(short, IssuerHealth(recovered_at=NOW), a_policy()) <= NOW + 5 * SECOND


class TestAPairThatWasLeftAlone:
    def test_is_due_at_its_next_use(self) -> None:
        assert verdict({"parked": True, "refresh_at": None}) == SERVE_AND_PRESENT
        assert verdict(UNKNOWN, {"parked": True}) == SERVE_AND_PRESENT
        assert verdict({"parked": True}, COOLING) == SERVE
        assert verdict({"parked": True, "refresh_sealed": b""}) == SERVE


class TestARejectedToken:
    REJECTED = {"rejected": 3}

    def test_an_older_one_is_past(self) -> None:
        assert verdict(asked={"rejected": 2}) == SERVE

    def test_a_live_lease_comes_before_all_else(self) -> None:
        young = {"young_until": NOW + SECOND}
        assert verdict(LEASED, young, COOLING, asked=self.REJECTED) == WAIT

    @pytest.mark.parametrize("mark", ["young_until", "hold_until"])
    def test_young_or_held_it_is_an_answer_and_no_expiry(self, mark: str) -> None:
        assert verdict({mark: NOW + SECOND}, COOLING, asked=self.REJECTED) == SERVE
        assert verdict({mark: NOW}, asked=self.REJECTED) == PRESENT

    def test_in_a_cool_down_there_is_nothing_to_send(self) -> None:
        assert failure(verdict(COOLING, asked=self.REJECTED)).kind is IssuerUnavailable

    def test_else_it_is_refreshed_also_where_its_lifetime_is_unknown(self) -> None:
        assert verdict(asked=self.REJECTED) == verdict(UNKNOWN, asked=self.REJECTED) == PRESENT

    def test_nothing_is_left_to_lose_by_a_replay(self) -> None:
        assert verdict(PRESENTED, asked=self.REJECTED) == PRESENT


class TestReplays:
    def presented(self, ago: float, times: int = 1, generation: int = 3) -> Pair:
        at = NOW - int(ago * SECOND)
        return a_pair(presented_generation=generation, presented_at=at, presentations=times)

    @pytest.mark.parametrize(
        ("ago", "times", "window", "allowed"),
        [(5, 1, 0, False), (5, 1, 10, True), (10, 1, 10, True), (11, 1, 10, False),
         (5, 2, 10, False)],
    )  # fmt: skip
    def test_while_the_token_serves_one_inside_the_window(
        self, ago: float, times: int, window: int, allowed: bool
    ) -> None:
        policy = a_policy(replay_window=window * SECOND)
        assert may_present(self.presented(ago, times), policy, NOW, serving=True) is allowed
        assert may_present(self.presented(ago, times), policy, NOW, serving=False)

    def test_another_generations_presentation_is_none_of_this_one(self) -> None:
        assert may_present(self.presented(5, 9, generation=2), a_policy(), NOW, serving=True)

    def test_a_token_in_its_last_seconds_is_served_and_not_risked(self) -> None:
        assert verdict(EXPIRED, PRESENTED) == SERVE
        assert verdict(OVER, PRESENTED) == PRESENT

    def test_one_that_is_good_but_too_short_for_the_caller_is_not_risked_either(self) -> None:
        late = {"expires_at": NOW + 100 * SECOND}
        said = failure(verdict(late, PRESENTED, asked={"min_validity": 140 * SECOND}))
        assert (said.kind, said.attributes["retry_after"]) == (IssuerUnavailable, 100.0)


class TestSuspendedLogouts:
    HELD = {"pending_until": NOW - SECOND, "reason": "suspended"}

    @pytest.mark.parametrize("state", [UNANNOUNCED, HELD, {"pending_until": NOW}, RUN_OUT])
    def test_nothing_ends_a_login(self, state: dict[str, Any]) -> None:
        assert verdict(OVER, state).act is not None, "else it would end, or be asked again"
        said = failure(verdict(OVER, state, suspended=True))
        assert said.kind is IssuerUnavailable
        assert "suspended" in said.message
        assert said.attributes["retry_after"] == 30

    def test_what_is_over_and_announced_stays_so(self) -> None:
        assert failure(verdict(REFUSED, suspended=True)).kind is RefreshTokenRefused

    def test_a_good_token_is_served_and_refreshed_as_ever(self) -> None:
        assert verdict(suspended=True) == SERVE
        assert verdict(STALE, suspended=True) == SERVE_AND_PRESENT
        assert verdict(OVER, suspended=True) == PRESENT
        assert verdict(STALE, self.HELD, suspended=True) == SERVE, "nobody presents meanwhile"

    def test_lifted_the_issuer_is_asked_again(self) -> None:
        assert verdict(OVER, self.HELD) == PRESENT
        assert verdict(STALE, self.HELD) == SERVE_AND_PRESENT


class TestARefreshThatStaffAskFor:
    ASKED = {"renew": 3}

    def test_replaces_a_token_that_is_still_good(self) -> None:
        assert verdict(asked=self.ASKED) == PRESENT
        assert verdict(asked={"renew": 2}) == SERVE, "it has been replaced meanwhile"

    def test_does_not_touch_what_would_be_a_risky_replay(self) -> None:
        assert verdict(PRESENTED, asked=self.ASKED) == SERVE
        assert verdict(PRESENTED, asked=self.ASKED, replay_window=10 * SECOND) == PRESENT

    def test_waits_for_a_lease_and_a_cool_down(self) -> None:
        assert verdict(LEASED, asked=self.ASKED).wait
        assert failure(verdict(COOLING, asked=self.ASKED)).kind is IssuerUnavailable
