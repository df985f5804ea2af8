"""Somebody else, who comes at a bad moment or has rows locked."""

import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import transaction

from jwt_outbound.models import TokenPair
from jwt_outbound.refresh.connections import own_connection

LONG = 30


class At:
    """For `connection.execute_wrapper`: does something once, after (or `before`) a query that has
    `word` in it."""

    def __init__(self, word: str, action: Callable[[], Any], *, before: bool = False) -> None:
        self.word, self.action, self.before, self.done = word, action, before, False

    def __call__(self, execute: Callable[..., Any], sql: str, *more: Any) -> Any:
        if self.done or self.word not in sql:
            return execute(sql, *more)
        self.done = True
        if self.before:
            self.action()
            return execute(sql, *more)
        result = execute(sql, *more)
        self.action()
        return result


@contextmanager
def locked(keys: Collection[UUID]) -> Iterator[None]:
    """A stranger's transaction has written these rows, and goes on."""
    ready, over = threading.Event(), threading.Event()

    def hold() -> None:
        with own_connection("default"), transaction.atomic():
            TokenPair.objects.filter(pk__in=keys).update(holds=1)
            ready.set()
            assert over.wait(LONG)

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(hold)
        try:
            assert ready.wait(LONG)
            yield
        finally:
            over.set()
            job.result(LONG)
