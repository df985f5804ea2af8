"""The outcomes of flights that did nothing: what those who wait for one get."""

from typing import Final

from jwt_outbound.exceptions import TokenStoreUnavailable
from jwt_outbound.refresh.steps import Outcome
from jwt_outbound.refresh.words import Failure
from jwt_outbound.rows import IssuerHealth, Reading


def _undone(message: str) -> Outcome:
    failure = Failure(kind=TokenStoreUnavailable, message=message)
    return Outcome(reading=Reading(pair=None, issuer=IssuerHealth(), now=0, at=0), failure=failure)


BROKEN: Final = _undone("The refresh could not be carried out; the log says why. The pair stays.")
CALLED_OFF: Final = _undone("This process is ending, so no refresh was begun. The pair stays.")
PUT_OFF: Final = _undone("Many refreshes ahead wait already, so this one was not begun.")
