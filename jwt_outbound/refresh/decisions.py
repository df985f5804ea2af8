"""What is to be done about a pair, decided from one reading of its row. Pure; microseconds.

The caller and the flight ask the same function, so there is one order of precedence: marks,
then a pending refusal, then the access token, then lease, cool-down and replay.
"""

from jwt_outbound.exceptions import RefreshTokenExpired, RefreshTokenRefused
from jwt_outbound.freshness import Freshness, assess
from jwt_outbound.refresh.failures import login_required, logouts_suspended, not_found, unavailable
from jwt_outbound.refresh.words import SERVE, WAIT, Act, Ask, Policy, Verdict, has_run_out
from jwt_outbound.rows import SUSPENDED, Pair, Reading


def decide(reading: Reading, ask: Ask, policy: Policy, now: int) -> Verdict:
    """What the caller behind `ask` gets at `now`, and what has to be done for it."""
    pair = reading.pair
    if pair is None:
        return (
            Verdict(act=Act.INSERT)
            if policy.makes_first_pair
            else Verdict(failure=not_found(policy))
        )
    suspended = reading.issuer.suspended
    if pair.refused_at:
        return _refused(pair, policy, now, suspended)
    if pair.revoked_at:
        return Verdict(failure=login_required(RefreshTokenRefused, policy, "revoked", ""))
    cooling = max(pair.cooldown_until, reading.issuer.cooling_until)
    good = _is_good(pair, ask, policy, now, cooling > now)
    if pair.pending_until and (suspended or pair.reason != SUSPENDED):
        return _pending(pair, policy, now, good, suspended)
    if not pair.refresh_sealed and not policy.makes_first_pair:
        return SERVE if good else Verdict(failure=not_found(policy))
    if good and pair.generation not in (ask.rejected, ask.renew):
        return _ahead(pair, policy, now, cooling)
    return _demand(pair, ask, policy, now, cooling, suspended)


def _is_good(pair: Pair, ask: Ask, policy: Policy, now: int, cooling: bool) -> bool:
    """Whether the access token serves this caller."""
    if not pair.access_sealed:
        return False
    freshness = _freshness(pair, policy, now, to_the_end=cooling)
    if freshness is Freshness.UNKNOWN:
        return True
    if freshness is Freshness.EXPIRED or pair.expires_at is None:
        return False
    wanted = min(ask.min_validity, (pair.lifetime or 0) // 2)
    return pair.expires_at - now >= wanted


def _freshness(pair: Pair, policy: Policy, now: int, *, to_the_end: bool = False) -> Freshness:
    return assess(
        expires_at=pair.expires_at,
        lifetime=pair.lifetime,
        refresh_at=pair.refresh_at,
        now=now,
        windows=policy.rules.windows,
        to_the_end=to_the_end,
    )


def _refused(pair: Pair, policy: Policy, now: int, suspended: bool) -> Verdict:
    if not pair.announced_at and pair.lease_until <= now:
        if suspended:
            return Verdict(failure=logouts_suspended(policy))
        return Verdict(act=Act.ANNOUNCE)
    kind = RefreshTokenExpired if pair.reason == "expired" else RefreshTokenRefused
    return Verdict(failure=login_required(kind, policy, pair.reason, pair.code))


def _pending(pair: Pair, policy: Policy, now: int, good: bool, suspended: bool) -> Verdict:
    if suspended:
        return SERVE if good else Verdict(failure=logouts_suspended(policy))
    if now >= pair.pending_until:
        return Verdict(act=Act.FINALIZE) if pair.lease_until <= now else WAIT
    if good:
        return SERVE
    message = (
        f"The issuer of service {policy.service!r} refused a repeated refresh; "
        "the answer to the first one may still arrive."
    )
    return Verdict(failure=unavailable(message, pair.pending_until - now))


def _ahead(pair: Pair, policy: Policy, now: int, cooling: int) -> Verdict:
    """The token is good: at most, a refresh ahead is started beside it."""
    due = _freshness(pair, policy, now) is not Freshness.FRESH
    due = due and pair.expires_at is not None
    if not due or cooling > now or pair.lease_until > now:
        return SERVE
    if has_run_out(pair, now) and not policy.makes_first_pair:
        return SERVE
    if not may_present(pair, policy, now, serving=True):
        return SERVE
    return Verdict(serve=True, act=Act.PRESENT)


def _demand(
    pair: Pair, ask: Ask, policy: Policy, now: int, cooling: int, suspended: bool
) -> Verdict:
    """The token does not serve this caller: it was rejected, is expired or lives too short."""
    if pair.lease_until > now:
        return WAIT
    if has_run_out(pair, now) and not policy.makes_first_pair:
        if suspended:
            return Verdict(failure=logouts_suspended(policy))
        return Verdict(act=Act.EXPIRE)
    rejected = ask.rejected == pair.generation
    if rejected and max(pair.young_until, pair.hold_until) > now:
        return SERVE
    if cooling > now:
        message = f"The issuer of service {policy.service!r} is in a cool-down."
        return Verdict(failure=unavailable(message, cooling - now))
    if not may_present(pair, policy, now, serving=_is_serving(pair, ask, policy, now)):
        if not rejected and _is_good(pair, ask, policy, now, True):
            return SERVE
        message = (
            f"The answer to a refresh at the issuer of service {policy.service!r} was lost; "
            "it is asked again when the access token has run out."
        )
        return Verdict(failure=unavailable(message, (pair.expires_at or now) - now))
    return Verdict(act=Act.PRESENT)


def may_present(pair: Pair, policy: Policy, now: int, *, serving: bool) -> bool:
    """The replay rule. `serving`: the access token is still of use.

    A second presentation is a replay, whoever made the first. While the access token serves, one
    is worth its risk, and only inside the window in which the issuer promises to forgive it. When
    nothing is left to lose it is always allowed; the cool-down spaces the tries.
    """
    if not pair.presented or not serving or not pair.refresh_sealed:
        return True
    return pair.presentations < 2 and now - pair.presented_at <= policy.replay_window


def presentable_until(pair: Pair, ask: Ask, policy: Policy, now: int) -> int | None:
    """When the replay window ends for a presentation that rests on it; None: it does not.

    Between the decision and the first byte this process may have been paused.
    """
    if not pair.presented or not _is_serving(pair, ask, policy, now):
        return None
    return pair.presented_at + policy.replay_window


def _is_serving(pair: Pair, ask: Ask, policy: Policy, now: int) -> bool:
    """Whether the access token is of use, to its very end: then a lost login would be a loss."""
    plain = Ask(service="", user_id=0)
    return ask.rejected != pair.generation and _is_good(pair, plain, policy, now, True)
