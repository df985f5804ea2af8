"""A database that fails when it is told to, and a thread in which a flight's connection lives."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import OperationalError, connections

from jwt_outbound.refresh.connections import own_connection
from jwt_outbound.testing import shift_clock

Result = TypeVar("Result")


class Failing:
    """For `connection.execute_wrapper`: queries with all `words` in them fail, so many times."""

    def __init__(
        self, *words: str, times: int = 1, message: str = "server closed the connection"
    ) -> None:
        self.words, self.times, self.message = words, times, message
        self.failed = 0

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        if self.failed < self.times and all(word in sql for word in self.words):
            self.failed += 1
            raise OperationalError(self.message)
        return execute(sql, params, many, context)


@contextmanager
def failing(*words: str, **how: Any) -> Iterator[Failing]:
    """This thread's connection fails."""
    wrapper = Failing(*words, **how)
    with connections["default"].execute_wrapper(wrapper):
        yield wrapper


class Slow:
    """For `connection.execute_wrapper`: the first query with `word` in it takes so many seconds."""

    def __init__(self, word: str, seconds: float) -> None:
        self.word, self.seconds = word, seconds

    def __call__(self, execute: Callable[..., Any], sql: str, *more: Any) -> Any:
        result = execute(sql, *more)
        if self.word and self.word in sql:
            self.word = ""
            shift_clock(self.seconds)
        return result


def in_a_flight(function: Callable[[], Result], alias: str = "default", **more: Any) -> Result:
    """The result of `function` in a thread with a flight's own connection."""

    def fly() -> Result:
        with own_connection(alias, **more):
            return function()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(fly).result(30)
