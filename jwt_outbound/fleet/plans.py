"""What is to be done with a pair that is due. Pure; microseconds by the database's clock."""

from dataclasses import dataclass
from enum import StrEnum

from jwt_outbound.freshness import idle_at
from jwt_outbound.refresh.decisions import calm_at
from jwt_outbound.refresh.words import Policy, has_run_out
from jwt_outbound.rows import IssuerHealth, Pair


class Do(StrEnum):
    """As the command's lines name it."""

    REFRESH = "refresh"
    FINISH = "finish"
    """A refusal that is pending, or was never announced: a crash left it behind."""
    PUT_OFF = "put off"
    """Its issuer is in a cool-down, or has just returned from an outage and is not to be met by
    all at once."""
    PARK = "leave alone"
    """Nobody uses it."""
    FORGET = "nothing to do"
    """There is nothing that it could be refreshed with, or its login is over."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`until`: for what is left alone or put off, when it is due again; None: not by itself."""

    do: Do
    until: int | None = None


def plan_for(
    pair: Pair, issuer: IssuerHealth, policy: Policy, now: int, *, active: bool, chance: float
) -> Plan:
    """The plan for a pair whose `refresh_at` has come.

    `active`: its user is there and may log in. `chance`: from 0 to 1, spreads what was made
    together.
    """
    if pair.refused_at:
        return Plan(do=Do.FORGET if pair.announced_at else Do.FINISH)
    if pair.pending_until:
        return Plan(do=Do.FINISH)
    exchangeable = pair.refresh_sealed and policy.exchanges and not has_run_out(pair, now)
    if not (exchangeable or policy.makes_first_pair):
        return Plan(do=Do.FORGET)
    if not active:
        return Plan(do=Do.PARK)
    if pair.used_generation < pair.generation:
        return _unused(pair, now, chance)
    calm = calm_at(pair, issuer, policy)
    return Plan(do=Do.PUT_OFF, until=calm) if calm > now else Plan(do=Do.REFRESH)


def _unused(pair: Pair, now: int, chance: float) -> Plan:
    """Refreshed only where its refresh token would idle out; unless just that has not helped."""
    idle = idle_at(pair.refresh_expires_at, pair.refresh_lifetime, chance)
    earliest = idle_at(pair.refresh_expires_at, pair.refresh_lifetime, 0)
    if idle is None or earliest is None or pair.obtained_at >= earliest:
        return Plan(do=Do.PARK)
    return Plan(do=Do.PARK, until=idle) if now < idle else Plan(do=Do.REFRESH)
