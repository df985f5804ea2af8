"""What a project's `FLIGHT_CONTEXT` names: state that a flight must take along from its caller."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

caller = threading.local()
entered: list[str] = []


def take_along() -> AbstractContextManager[None]:
    """Called in the caller, entered in the flight."""
    return _inside(getattr(caller, "tenant", "nobody"))


@contextmanager
def _inside(tenant: str) -> Iterator[None]:
    entered.append(tenant)
    yield
