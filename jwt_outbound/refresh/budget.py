"""An issuer's budget of exchanges, shared by all hosts: those who wait come first. Without I/O.

The places are moments, `Policy.spacing` apart; the next free one stands in the issuer's row.
A caller may line up for a place that is still to come, as long as it fits into his lease. What
nobody waits for takes one only while hardly anybody is in line: the very next one, or the issuer
would stand idle while the workers of several hosts miss each free moment by a hair.
"""

from typing import Final

from jwt_outbound.clock import SECOND
from jwt_outbound.refresh import steps
from jwt_outbound.refresh.decisions import decide
from jwt_outbound.refresh.failures import crowded
from jwt_outbound.refresh.steps import Flow
from jwt_outbound.refresh.words import WAIT, Act, Ask, Policy, Verdict
from jwt_outbound.rows import Reading

HASTE: Final = SECOND // 2
"""That much of the lease must be left when a place comes."""


def in_budget(reading: Reading, ask: Ask, policy: Policy) -> Verdict:
    """As everyone decides, or what becomes of that while the places are taken."""
    verdict = decide(reading, ask, policy, reading.now)
    crowd = reading.issuer.next_exchange_at - reading.now
    if not policy.spacing or verdict.act is not Act.PRESENT or crowd <= 0:
        return verdict
    if verdict.serve and not ask.ahead:
        return verdict
    if crowd > (_patience_ahead(policy) if ask.ahead else policy.wait):
        return Verdict(failure=crowded(policy, crowd, ahead=ask.ahead))
    return verdict if crowd <= policy.lease - policy.deadline - HASTE else WAIT


def take_place(ask: Ask, policy: Policy, left: int) -> Flow[bool]:
    """Whether the issuer may be asked now: waits for a place, but no longer than `left`.

    The lease is held meanwhile, so that of many callers for one pair only one takes a place.
    """
    if not policy.spacing:
        return True
    patience = max(0, left - HASTE)
    if ask.ahead:
        patience = min(patience, _patience_ahead(policy))
    wait: int | None = yield steps.Admit(spacing=policy.spacing, patience=patience)
    if wait:
        yield steps.Pause(wait)
    return wait is not None


def _patience_ahead(policy: Policy) -> int:
    """How far away a place may be for what nobody waits for: not behind another one."""
    return min(policy.spacing, HASTE)
