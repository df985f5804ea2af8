"""httpx and its successor httpx2: two libraries alike in all that we use, of unrelated classes."""

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Final, Literal

Name = Literal["httpx2", "httpx"]

NAMES: Final[tuple[Name, ...]] = ("httpx2", "httpx")
"""The one that new code should take comes first."""


@cache
def installed() -> tuple[ModuleType, ...]:
    """Those of the two that are there, imported. Raises ModuleNotFoundError if none is."""
    found = tuple(filter(None, map(_imported, NAMES)))
    if not found:
        raise ModuleNotFoundError(
            "This client needs httpx2 or httpx, and neither is installed: "
            "pip install 'jwt-outbound[httpx2]', or jwt-outbound[httpx].",
            name=NAMES[0],
        )
    return tuple(dict.fromkeys(found))


def choose(name: Name | None) -> ModuleType:
    """The library called `name`; without one httpx2 if it is installed, else httpx."""
    if name is None:
        return installed()[0]
    if name not in NAMES:
        raise ValueError(f"library must be one of {', '.join(map(repr, NAMES))}, not {name!r}.")
    return import_module(name)


def _imported(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None
