"""What is shown of an exception: its message, arguments and frames may hold a token."""

import sys
import traceback
from collections.abc import Callable, Iterator
from functools import wraps
from inspect import iscoroutinefunction
from types import FrameType, TracebackType
from typing import Any, Final, ParamSpec, TypeVar, cast

from django.views.decorators.debug import sensitive_variables

P = ParamSpec("P")
R = TypeVar("R")

LIBRARIES: Final = frozenset(
    {"jwt_outbound", "requests", "urllib3", "http", "httpx", "httpx2", "httpcore", "httpcore2"}
    | {"h11", "h2", "hpack", "anyio", "gql"}
)
"""Whose frames may hold the header of a call: packages by their first name."""


def describe(error: BaseException) -> str:
    """Type and place of `error`, and nothing that it says."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None:
        return type(error).__name__
    return f"{type(error).__name__} at {last.tb_frame.f_code.co_filename}:{last.tb_lineno}"


def clear_frames_of(error: BaseException, *, but: BaseException | None = None) -> None:
    """Empties the local variables of all finished frames of `error` and of those behind it.

    `but`: one that was being handled already, and so is none of ours.
    """
    for found in _tracebacks_of(error, but):
        traceback.clear_frames(found)


def clear_frames_of_libraries(error: BaseException) -> None:
    """As `clear_frames_of`, but leaves the project's own frames alone."""
    for found in _tracebacks_of(error, None):
        for frame, _ in traceback.walk_tb(found):
            if _is_of_a_library(frame):
                try:
                    frame.clear()
                except RuntimeError:
                    continue  # it is still running


def discreet(function: Callable[P, R]) -> Callable[P, R]:
    """For what is handed a token, or may hold one, and is called by the project's own code.

    `sensitive_variables()` hides local variables from error mails, but not from the page that
    DEBUG shows, nor from other error reporters. So what is raised leaves without them.
    """
    inner: Callable[P, Any] = sensitive_variables()(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Any:
        before = sys.exception()
        try:
            return inner(*args, **kwargs)
        except Exception as error:
            clear_frames_of(error, but=before)
            del args, kwargs
            raise

    @wraps(function)
    async def acall(*args: P.args, **kwargs: P.kwargs) -> Any:
        before = sys.exception()
        try:
            return await inner(*args, **kwargs)
        except Exception as error:
            clear_frames_of(error, but=before)
            del args, kwargs
            raise

    return cast(Callable[P, R], acall if iscoroutinefunction(function) else call)


def _is_of_a_library(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    # Django's own wrapper has the arguments of what it guards.
    wraps_secrets = frame.f_code.co_name == "sensitive_variables_wrapper"
    return wraps_secrets or name.partition(".")[0] in LIBRARIES


def _tracebacks_of(error: BaseException, but: BaseException | None) -> Iterator[TracebackType]:
    """Those of `error`, of its causes, and of those that it wraps as libraries do."""
    seen = {id(but)}
    waiting: list[Any] = [error]
    while waiting:
        current = waiting.pop()
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        if current.__traceback__ is not None:
            yield current.__traceback__
        waiting += [current.__cause__, current.__context__, *current.args]
        waiting += getattr(current, "exceptions", ())
        waiting.append(getattr(current, "reason", None))
