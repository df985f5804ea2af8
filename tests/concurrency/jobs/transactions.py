"""Calls in the middle of a caller's own transaction, which then ends in one way or another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connections, transaction
from django.test import Client

from jwt_outbound.models import TokenPair
from jwt_outbound.tokens import fetch_valid_access_token
from tests.concurrency.jobs.calls import Outcome, outcome_of
from tests.concurrency.worker import Stage

MARK = "written in the transaction"


class ChangedItsMind(Exception):
    """What the caller raises."""


@contextmanager
def _atomic_that_raises() -> Iterator[None]:
    with suppress(ChangedItsMind), transaction.atomic():
        yield
        raise ChangedItsMind


@contextmanager
def _inner_block_that_raises() -> Iterator[None]:
    with transaction.atomic(), suppress(ChangedItsMind), transaction.atomic():
        yield
        raise ChangedItsMind


@contextmanager
def _outer_block_that_raises() -> Iterator[None]:
    with suppress(ChangedItsMind), transaction.atomic():
        with transaction.atomic():
            yield
        raise ChangedItsMind


@contextmanager
def _savepoint_that_is_rolled_back() -> Iterator[None]:
    with transaction.atomic():
        savepoint = transaction.savepoint()
        yield
        transaction.savepoint_rollback(savepoint)


@contextmanager
def _no_autocommit() -> Iterator[None]:
    transaction.set_autocommit(False)
    try:
        yield
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)


BLOCKS: dict[str, Callable[[], Any]] = {
    "atomic that raises": _atomic_that_raises,
    "inner block that raises": _inner_block_that_raises,
    "outer block that raises": _outer_block_that_raises,
    "savepoint that is rolled back": _savepoint_that_is_rolled_back,
    "no autocommit, rolled back": _no_autocommit,
    "atomic that commits": transaction.atomic,
}


def call_inside(stage: Stage, service: str, user: int, block: str) -> dict[str, Any]:
    """What the call came to, and whether the caller's own write has survived the block."""
    users = get_user_model().objects.filter(pk=user)
    with BLOCKS[block]():
        users.update(first_name=MARK)
        outcome = outcome_of(partial(fetch_valid_access_token, service, user))
    return {"outcome": outcome, "kept": users.get().first_name == MARK}


def call_with_the_row_locked(stage: Stage, service: str, user: int) -> Outcome:
    with transaction.atomic():
        TokenPair.objects.select_for_update().get(user_id=user, service=service)
        return outcome_of(partial(fetch_valid_access_token, service, user))


def store_and_call(stage: Stage, service: str, user: int, refresh: str, commit: bool) -> Outcome:
    """A pair without an access token is stored and refreshed in one transaction."""
    with BLOCKS["atomic that commits" if commit else "atomic that raises"]():
        TokenPair.objects.store(user=user, service=service, refresh=refresh)
        return outcome_of(partial(fetch_valid_access_token, service, user))


def store_and_wait(stage: Stage, service: str, user: int, refresh: str) -> None:
    """A pair is stored, and not committed before the test says so."""
    with transaction.atomic():
        TokenPair.objects.store(user=user, service=service, refresh=refresh)
        stage.tell("stored")
        stage.wait("commit")


def get(stage: Stage, path: str) -> int:
    """The status of one of `site`'s pages, as Django's handler answers under ATOMIC_REQUESTS."""
    connections.settings["default"]["ATOMIC_REQUESTS"] = True
    return Client(raise_request_exception=False).get(path).status_code
