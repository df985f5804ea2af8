"""The outcomes of flights that did nothing: what those who wait for one get."""

from typing import Final

from jwt_outbound.exceptions import TokenStoreUnavailable
from jwt_outbound.refresh.steps import Outcome, undone
from jwt_outbound.refresh.words import Failure


def _undone(message: str) -> Outcome:
    return undone(Failure(kind=TokenStoreUnavailable, message=message))


BROKEN: Final = _undone("The refresh could not be carried out; the log says why. The pair stays.")
CALLED_OFF: Final = _undone("This process is ending, so no refresh was begun. The pair stays.")
PUT_OFF: Final = _undone("Many refreshes ahead wait already, so this one was not begun.")
