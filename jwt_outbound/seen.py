"""What this process has seen change, so that no copy in memory outlives it."""

from contextvars import ContextVar
from itertools import count
from typing import Any

MOST_KEYS = 10_000

_numbers = count(1)
_epoch = 0
_changes: dict[tuple[str, Any], int] = {}
_uncertain: set[tuple[str, Any]] = set()
"""Those that were last changed in a transaction which may yet be rolled back, or has been."""


def version(service: str, user_id: Any) -> tuple[int, int]:
    """Differs once this process has stored, replaced or ended that pair; each time, while it is
    not certain that this will stay so."""
    if (service, user_id) in _uncertain:
        return _epoch, next(_numbers)
    return _epoch, _changes.get((service, user_id), 0)


def change(service: str, user_id: Any, *, certain: bool = True) -> None:
    """That pair was stored, replaced or ended: copies in memory must be read anew. If this may yet
    be rolled back, no copy is kept until the next change that is certain."""
    global _epoch
    if len(_changes) >= MOST_KEYS:
        _epoch += 1
        _changes.clear()
        _uncertain.clear()
    _changes[service, user_id] = next(_numbers)
    if certain:
        _uncertain.discard((service, user_id))
    else:
        _uncertain.add((service, user_id))


logged_in_anew: ContextVar[set[Any] | None] = ContextVar("logged_in_anew", default=None)
"""The users for whom the current request has stored a pair; None outside a request."""
