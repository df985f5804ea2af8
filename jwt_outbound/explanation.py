"""What is done about a pair and why, in words: decided as a call decides it, but without acting."""

from dataclasses import dataclass, replace
from typing import Any

from jwt_outbound.conf import Service
from jwt_outbound.freshness import Freshness
from jwt_outbound.inspection import freshness_of, state_of, words_for
from jwt_outbound.models import IssuerState, TokenPair
from jwt_outbound.refresh.decisions import decide
from jwt_outbound.refresh.policies import policy_of
from jwt_outbound.refresh.words import Act, Ask, Policy
from jwt_outbound.rows import Pair, Reading


@dataclass(frozen=True)
class Plan:
    """What a call does about the token first, and why."""

    why: str
    refreshes: bool = True


def read_pair(service: Service, user: Any) -> Reading:
    """The pair, what is known of its issuer, and the clocks, on this thread's connection."""
    reading: Reading = TokenPair.objects.read(user_id=user.pk, service=service.name)
    return replace(reading, issuer=IssuerState.objects.health(service.name))


def pair_in_words(reading: Reading) -> str:
    """One line: state, generation, how long the access token is still good."""
    pair = reading.pair
    if pair is None:
        return "none stored"
    state = state_of(pair, reading.now, reading.issuer)
    words = [state.value, f"generation {pair.generation}"]
    if pair.access_sealed and pair.expires_at is not None:
        left = pair.expires_at - reading.now
        words.append(f"{_end_in_words(left)}")
    return ", ".join(words)


REASONS = {
    Act.INSERT: "there is no pair: the issuer is asked for a first one",
    Act.EXPIRE: "the refresh token has run out: the login is over",
    Act.FINALIZE: "a pending refusal becomes final: the login is over",
    Act.ANNOUNCE: "a refusal that was never announced is announced: the login is over",
}


def plan_of(reading: Reading, service: Service, user: Any) -> Plan:
    """Decided as the call itself decides.

    Raises what the call would raise without asking the issuer.
    """
    policy = policy_of(service)
    ask = Ask(service=service.name, user_id=user.pk)
    verdict = decide(reading, ask, policy, reading.now)
    if verdict.failure is not None:
        raise verdict.failure.error(ask)
    if verdict.wait:
        return Plan("another flight is refreshing it: its result is waited for")
    if verdict.act in REASONS or reading.pair is None:
        return Plan(REASONS[verdict.act or Act.INSERT])
    if verdict.serve:
        ahead = verdict.act is not None
        return Plan(_why_served(reading.pair, reading.now, ahead=ahead), ahead)
    return Plan(_why_presented(reading.pair, policy, reading.now))


def _end_in_words(left: int) -> str:
    length = words_for(left)
    return f"access token ends in {length}" if left > 0 else f"access token ended {length} ago"


def _why_served(pair: Pair, now: int, *, ahead: bool) -> str:
    if ahead:
        return "the access token is stale: it is sent, and refreshed in the background"
    if pair.expires_at is None:
        return "the access token's lifetime is unknown: it is sent, and a 401 would tell"
    if freshness_of(pair, now) is Freshness.FRESH:
        return "the access token is fresh"
    return "the access token is still good, and it is not the time to refresh it"


def _why_presented(pair: Pair, policy: Policy, now: int) -> str:
    why = "is expired" if pair.access_sealed else "is missing"
    if policy.needs_first_pair(pair, now):
        return f"the access token {why}: the issuer is asked for a first pair"
    if pair.presented:
        return f"the access token {why}; the answer to an earlier refresh was lost"
    return f"the access token {why}"
