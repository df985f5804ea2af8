"""What is to be done about a pair, decided from one reading of its row. Pure; microseconds.

The caller and the flight ask the same function, so there is one order of precedence: marks,
then a pending refusal, then the access token, then lease, cool-down and replay.
"""

from typing import Final

from jwt_outbound.clock import SECOND
from jwt_outbound.exceptions import RefreshTokenExpired, RefreshTokenRefused
from jwt_outbound.freshness import Freshness, assess
from jwt_outbound.refresh.cooldown import SERVICE_AFTER
from jwt_outbound.refresh.failures import login_required, logouts_suspended, not_found, unavailable
from jwt_outbound.refresh.words import SERVE, WAIT, Act, Ask, Policy, Verdict, has_run_out
from jwt_outbound.rows import SUSPENDED, IssuerHealth, Pair, Reading

RETURN_SPREAD: Final = 30 * SECOND
"""For refreshes ahead after an outage."""


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
    troubled = cooling > now or pair.failures > 0 or _is_troubled(reading.issuer, now)
    good = _is_good(pair, ask, policy, now, troubled)
    if pair.pending_until and (suspended or pair.reason != SUSPENDED):
        return _pending(pair, policy, now, good, suspended)
    if not pair.refresh_sealed and not policy.makes_first_pair:
        return SERVE if good else Verdict(failure=not_found(policy))
    if good and pair.generation not in (ask.rejected, ask.renew):
        return _ahead(pair, policy, now, ahead_not_before(pair, reading.issuer, policy))
    return _demand(pair, ask, policy, now, cooling, suspended)


def ahead_not_before(pair: Pair, issuer: IssuerHealth, policy: Policy) -> int:
    """When a refresh ahead of `pair` may begin, as far as its issuer has been of no use; 0: now."""
    cooling = issuer.cooling_until
    if pair.expires_at is not None and pair.expires_at <= cooling + SECOND:
        cooling = 0  # it hardly outlives the service's cool-down: worth a try of its own
    return max(pair.cooldown_until, cooling, calm_at(pair, issuer, policy))


def _is_troubled(issuer: IssuerHealth, now: int) -> bool:
    """Whether the issuer is away, or has been until just now and has a backlog: then a token is
    served to its real end rather than have its caller wait."""
    return issuer.failures >= SERVICE_AFTER or now < issuer.recovered_at + RETURN_SPREAD


def _is_good(pair: Pair, ask: Ask, policy: Policy, now: int, to_the_end: bool) -> bool:
    """Whether the access token serves this caller; `to_the_end`: without its late leeway."""
    if not pair.access_sealed:
        return False
    freshness = _freshness(pair, policy, now, to_the_end=to_the_end)
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


def _ahead(pair: Pair, policy: Policy, now: int, not_before: int) -> Verdict:
    """The token is good: at most, a refresh ahead is started beside it."""
    due = _freshness(pair, policy, now) is not Freshness.FRESH
    due = pair.parked or (due and pair.expires_at is not None)
    if not due or not_before > now or pair.lease_until > now:
        return SERVE
    if has_run_out(pair, now) and not policy.makes_first_pair:
        return SERVE
    if not may_present(pair, policy, now, serving=True):
        return SERVE
    return Verdict(serve=True, act=Act.PRESENT)


def calm_at(pair: Pair, issuer: IssuerHealth, policy: Policy) -> int:
    """When a refresh ahead may meet an issuer that has just returned from an outage; 0: now.

    All that came due meanwhile is spread over half a minute, or over half of what the token is
    still good for. Those who need a new token now do not wait for this.
    """
    if not issuer.recovered_at or pair.expires_at is None:
        return 0
    left = pair.expires_at - policy.rules.windows.late(pair.lifetime or 0) - issuer.recovered_at
    share = pair.pk.int % 1024 / 1024
    return issuer.recovered_at + int(share * min(RETURN_SPREAD, max(left, 0) // 2))


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
