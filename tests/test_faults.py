"""What is raised leaves without its local variables, where they could hold a token."""

import asyncio
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from django.views.debug import ExceptionReporter

from jwt_outbound.faults import (
    clear_frames_of,
    clear_frames_of_libraries,
    describe,
    discreet,
)

TOKEN = "nekot-emases"[::-1]  # error pages show source lines as well


def caught(function: Callable[[], Any]) -> BaseException:
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return error
    raise AssertionError("nothing was raised")


def page_of(error: BaseException) -> str:
    return ExceptionReporter(None, type(error), error, error.__traceback__).get_traceback_html()


def inner(token: str) -> None:
    copy = token
    raise LookupError(f"no {len(copy)}")


def outer(token: str) -> None:
    inner(token)


def wrapped(token: str) -> None:
    try:
        inner(token)
    except LookupError as error:
        raise RuntimeError("another") from error


def swallowed(token: str) -> None:
    try:
        inner(token)
    except LookupError:
        raise RuntimeError("another") from None


class Reasoned(Exception):
    reason: Exception


def with_a_reason(token: str) -> None:
    error = Reasoned(caught(lambda: inner(token)))
    error.reason = LookupError()
    raise error


def in_a_group(token: str) -> None:
    raise ExceptionGroup("two", [LookupError(), caught(lambda: inner(token))])  # type: ignore[list-item]


WAYS = [inner, outer, wrapped, swallowed, with_a_reason, in_a_group]


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_a_discreet_function_raises_nothing_but_the_error(
    way: Callable[[str], None], debug: bool, settings: Any
) -> None:
    settings.DEBUG = debug
    error = caught(lambda: discreet(way)(TOKEN))
    assert TOKEN not in page_of(error)
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert TOKEN not in "".join(told.format())


@pytest.mark.parametrize("way", WAYS)
def test_without_it_the_page_would_show_the_token(
    way: Callable[[str], None], settings: Any
) -> None:
    settings.DEBUG = True
    assert TOKEN in page_of(caught(lambda: way(TOKEN)))


def test_the_traceback_itself_stays() -> None:
    error = caught(lambda: discreet(outer)(TOKEN))
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert names[-2:] == ["outer", "inner"]


def test_keyword_arguments_too_and_what_it_returns() -> None:
    assert TOKEN not in page_of(caught(lambda: discreet(outer)(token=TOKEN)))
    assert discreet(lambda a, *, b: a + b)(1, b=2) == 3  # type: ignore[misc]
    assert discreet(outer).__name__ == "outer"


def test_async_functions() -> None:
    @discreet
    async def call(token: str, fine: bool = False) -> str:
        await asyncio.sleep(0)
        if not fine:
            inner(token)
        return "fine"

    assert asyncio.run(call("", fine=True)) == "fine"
    error = caught(lambda: asyncio.run(call(TOKEN)))
    assert isinstance(error, LookupError)
    assert TOKEN not in page_of(error)


def test_what_was_being_handled_already_is_left_alone() -> None:
    def project() -> None:
        mine = "a variable of the project"
        raise ValueError(f"{len(mine)}")

    before = caught(project)

    def while_handling() -> None:
        try:
            raise before
        except ValueError:
            discreet(inner)(TOKEN)

    error = caught(while_handling)
    assert error.__context__ is before
    told = traceback.TracebackException.from_exception(before, capture_locals=True)
    assert "mine = 'a variable of the project'" in "".join(told.format())


def test_frames_that_are_still_running_are_no_trouble() -> None:
    mine = "still here"
    try:
        inner(TOKEN)
    except LookupError as error:
        clear_frames_of(error)
        clear_frames_of_libraries(error)
    assert mine == "still here"


def test_of_libraries_alone() -> None:
    source = "def call(header):\n    fail(header)\n"
    library: dict[str, Any] = {"__name__": "urllib3.connectionpool", "fail": inner}
    exec(source, library)  # noqa: S102 - a frame whose module is a library's

    def project() -> None:
        mine = "a variable of the project"
        library["call"]("header-" + "of-the-call")
        raise AssertionError(mine)

    error = caught(project)
    clear_frames_of_libraries(error)
    told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "mine = 'a variable of the project'" in told
    assert "header = " not in told


def test_errors_that_go_round_in_circles_are_looked_at_once() -> None:
    one, two = LookupError(), ValueError()
    one.__cause__, two.__context__ = two, one
    clear_frames_of(one)
    clear_frames_of_libraries(two)


def test_a_description_says_type_and_place() -> None:
    words = describe(caught(lambda: inner(TOKEN)))
    assert words.startswith("LookupError at ")
    assert words.endswith(f"{__file__}:{inner.__code__.co_firstlineno + 2}")
    assert describe(KeyError(TOKEN)) == "KeyError"
