"""The invariants by name. What each checks stands where it is checked."""

from __future__ import annotations

from enum import StrEnum
from typing import NoReturn


class Rule(StrEnum):
    # The row
    GENERATION_GROWS = "a generation never comes back"
    LEASE_ID_GROWS = "lease ids only grow"
    GENERATION_MOVES = "what replaces or ends a pair moves its generation"
    REVOKED_STAYS = "what was revoked stays revoked"
    CLEAN_LOGIN = "a login begins with a clean row"
    LINEAGE = "a row moves only to the successor of its own pair"
    FIRST_PAIR = "a first pair replaces no pair that could be refreshed"
    NEVER_OLDER = "the row never holds a pair older than one acknowledged"
    ONE_LEASE = "one lease at a time"
    OWN_RELEASE = "a lease is released by its holder alone"
    COOLDOWN = "an ambiguous answer is followed by a cool-down"
    PROOF = "only a proof takes a presentation out of the journal"
    # The exchange
    LEASED = "nothing is sent without a lease"
    IN_ITS_LEASE = "an exchange ends within its lease"
    ALONE = "one refresh in flight per pair and generation"
    NOT_ENDED = "nobody presents what is refused or revoked"
    NOT_PENDING = "nobody presents while a refusal is pending"
    YOUNG = "a 401 to a young token is an answer, not an expiry"
    ONE_REPLAY = "one replay at most while the access token serves"
    IN_ITS_WINDOW = "no replay outside its window while the access token serves"
    NOT_COOLING = "no replay in a cool-down"
    ONE_REFRESH = "one refresh for each generation where nothing goes wrong"
    KEPT = "a pair that has arrived is never dropped"
    REVOKED_TOO = "a pair that comes after its revocation is revoked at the issuer"
    # The end of a login
    REFUSED = "only a refusal of the current token ends a login"
    RUN_OUT = "only a token that has run out for good counts as expired"
    SAME_GENERATION = "a refusal does not move the generation"
    HELD = "a refused replay is held for one more lease"
    SUSPENDED = "nobody is logged out while logouts are suspended"
    CAUSED = "nobody is logged out without a cause"
    NOT_LOGGED_OUT = "nobody is logged out without a refusal"
    LATER_LOGIN = "a login that came later is not ended by an old refusal"
    ENDED_ONCE = "one refusal ends the sessions once"
    SESSIONS_END = "a refusal ends the sessions that it finds"
    # Words to the outside
    AFTER_COMMIT = "the signal comes after the commit"
    WOKEN_AFTER_COMMIT = "waiters are woken after the commit"
    REFUSAL_ONCE = "a refusal is announced once"
    REFUSAL_IN_THE_END = "a refusal is announced in the end"
    REFRESH_ONCE = "a refresh is announced once"
    REFRESH_ANNOUNCED = "a refresh is announced once it is stored"
    # The callers
    LAST_LOOK = "who gives up reads a last time"
    NEVER_SERVED_OLDER = "nobody is served a pair older than one that he has read"
    SERVED_ALIVE = "what is refused or revoked is not served"
    SERVED_GOOD = "no access token is sent after its end"
    CALM = "nothing fails where nothing goes wrong"
    PATIENCE = "every caller ends within his wait budget"
    AN_END = "everything comes to an end"


class Violation(AssertionError):
    """An invariant was broken."""

    def __init__(self, rule: Rule, details: str = "") -> None:
        super().__init__(f"{rule}: {details}" if details else str(rule))
        self.rule, self.details = rule, details

    def __reduce__(self) -> tuple[type[Violation], tuple[Rule, str]]:
        return Violation, (self.rule, self.details)


def violated(rule: Rule, details: str = "") -> NoReturn:
    raise Violation(rule, details)
