"""A flow taken by the hand: each step is seen, and what comes of it is said, by the test."""

from random import Random
from typing import Any, TypeVar

from jwt_outbound.clock import SECOND
from jwt_outbound.issuers.answers import Answer
from jwt_outbound.refresh import steps
from jwt_outbound.refresh.flow import Refresh
from jwt_outbound.refresh.words import Ask, Policy
from jwt_outbound.rows import Reading
from jwt_outbound.secret import Secret
from tests.refresh.pairs import HERE, a_policy, an_ask

StepType = TypeVar("StepType")

PREPARED = steps.Prepared(
    refresh=Secret("refresh"), seal=lambda token, kind: f"{kind}:{token}".encode()
)


class Walk:
    """`step` is what the flow asks for, `outcome` how it ended."""

    def __init__(self, ask: Ask | None = None, policy: Policy | None = None) -> None:
        self.monotonic = HERE
        self.step: steps.Step | None = None
        self.outcome: steps.Outcome | None = None
        self.flow = Refresh(
            ask=ask or an_ask(),
            policy=policy or a_policy(),
            monotonic=lambda: self.monotonic,
            chance=Random(1),
            holder={"lease_host": "here", "lease_pid": 1},
        ).run()
        self.send(None)

    def pass_time(self, seconds: float) -> None:
        self.monotonic += int(seconds * SECOND)

    def send(self, result: Any) -> None:
        """What came of the step; the next one is there then, or the outcome."""
        try:
            self.step = self.flow.send(result)
        except StopIteration as stop:
            self.step, self.outcome = None, stop.value

    def take(self, kind: type[StepType], result: Any = None) -> StepType:
        """The step must be of this kind; `result` comes of it."""
        step = self.step
        assert isinstance(step, kind), f"{step or self.outcome}, not {kind.__name__}"
        self.send(result)
        return step

    def exchange(self, reading: Reading, answer: Answer | None) -> steps.Exchange:
        """Up to the issuer's answer: read, prepared, leased, asked."""
        self.take(steps.Read, reading)
        self.take(steps.Prepare, PREPARED)
        self.take(steps.Change, True)
        reply = steps.Reply(answer=answer, started=self.monotonic, ended=self.monotonic + SECOND)
        return self.take(steps.Exchange, reply)
