"""Requests between us and the issuer: what leaves, what arrives, what comes back, and when.

A request that is on its way belongs to nobody here: it arrives whether or not its sender lives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jwt_outbound.issuers import answers
from jwt_outbound.issuers.answers import Answer, Profile
from tests.simulation.issuer import Issued
from tests.simulation.scenes import DEADLINE, draw_trouble, granted_terms

if TYPE_CHECKING:
    from tests.simulation.records import Attempt
    from tests.simulation.world import Actor, World

PROFILE: Final = Profile()
NOT_REACHED: Final = {
    "unreachable": ("not_connected", False),
    "cut before": ("connection_lost", True),
}
"""Trouble on the way there: the code that the real transport gives, and whether it is ambiguous."""
UNTOUCHED: Final = {
    "error before": (503, b"<html>down</html>"),
    "busy": (429, b""),
    "client rejected": (401, b'{"error": "invalid_client"}'),
}
"""The issuer answers, and has not looked at the token."""
SPOILT: Final = {
    "error after": (502, b""),
    "garbage": (200, b"<html>welcome</html>"),
}
"""The issuer has granted or refused, and something else comes back."""


@dataclass(eq=False)
class Request:
    """One request and, once it is there, its answer."""

    world: World
    actor: Actor
    attempt: Attempt
    trouble: str
    answer: Answer | None = None
    given_up: bool = False

    def leave(self) -> None:
        """The first byte is out."""
        world, trouble = self.world, self.trouble
        way = self._way()
        if trouble in NOT_REACHED:
            code, ambiguous = NOT_REACHED[trouble]
            self._come_back(Answer.unavailable(ambiguous=ambiguous, code=code), way)
        elif trouble == "late":
            self.attempt.late = True
            world.at(world.now + DEADLINE + way, self._arrive)
        elif trouble != "swallowed":
            world.at(world.now + way, self._arrive)

    def _way(self) -> int:
        return 2_000 + int(self.world.rng.random() ** 3 * 200_000)

    def _arrive(self) -> None:
        world, attempt = self.world, self.attempt
        attempt.arrived_at = world.now
        if self.trouble in UNTOUCHED:
            status, body = UNTOUCHED[self.trouble]
            self._come_back(answers.read_answer(status, {}, body, PROFILE), self._way())
            return
        issued = self._decide()
        attempt.spent, attempt.issued = issued is not None, issued
        world.say(f"the issuer {_word(issued)} {attempt.token or 'a first pair'}", self.actor)
        if self.trouble in ("lost", "late"):
            attempt.lost = attempt.spent
            return
        self._come_back(self._answer(issued), self._way_back())

    def _decide(self) -> Issued | None:
        issuer, now = self.world.issuer, self.world.now
        if self.attempt.token:
            return issuer.exchange(self.attempt.token, now, self.attempt)
        return None if issuer.first_pairs_refused else issuer.log_in(now)

    def _answer(self, issued: Issued | None) -> Answer:
        if self.trouble == "cut after":
            return Answer.unavailable(ambiguous=True, code="connection_lost")
        if self.trouble in SPOILT:
            return answers.read_answer(*_spoilt(self.trouble), PROFILE)
        if issued is None:
            return answers.read_answer(400, {}, b'{"error": "invalid_grant"}', PROFILE)
        refresh = issued.refresh.text if issued.refresh else None
        terms = granted_terms(self.world.issuer.kind)
        return Answer.granted(issued.access.text, refresh, **terms)

    def _way_back(self) -> int:
        slow = int(DEADLINE * 0.8) if self.trouble == "slow" else 0
        return slow + self._way() // 2

    def _come_back(self, answer: Answer, way: int) -> None:
        world = self.world
        world.at(world.now + way, lambda: self._receive(answer))

    def _receive(self, answer: Answer) -> None:
        attempt = self.attempt
        if attempt.spent and (self.given_up or not answer.is_grant):
            attempt.lost = True
        if not self.given_up:
            self.answer = attempt.answer = answer
            self.world.wake(self.actor)


def ask(world: World, actor: Actor, attempt: Attempt) -> Request:
    request = Request(world, actor, attempt, draw_trouble(world.rng, world.scene))
    if request.trouble not in ("", "slow"):
        world.faults[f"exchange: {request.trouble}"] += 1
    world.ledger.sent(attempt)
    world.say(f"sends {attempt.token or 'for a first pair'} {_meets(request.trouble)}", actor)
    request.leave()
    return request


def _meets(trouble: str) -> str:
    return f"({trouble})" if trouble else ""


def _word(issued: Issued | None) -> str:
    return "refuses" if issued is None else f"grants {issued.access.text} for"


def _spoilt(trouble: str) -> tuple[int, dict[str, str], bytes]:
    status, body = SPOILT[trouble]
    return status, {}, body
