"""Calls of one tenant's users: on the caller's connection, its schema is set."""

from __future__ import annotations

from typing import Any

from tests.concurrency import tenants
from tests.concurrency.jobs import calls, rows
from tests.concurrency.worker import Stage


def make_schemas(stage: Stage) -> None:
    tenants.make_schemas()


def drop_schemas(stage: Stage) -> None:
    tenants.drop_schemas()


def make_user(stage: Stage, schema: str, service: str, name: str, pair: dict[str, Any]) -> int:
    """The tenant's first user, with an expired token: in every schema it has the same id."""
    tenants.enter(schema)
    (user,) = rows.make_users(stage, service, {name: pair}).values()
    rows.expire(stage, service, [user])
    return user


def fetch_one(stage: Stage, schema: str, service: str, user: int) -> calls.Outcome:
    tenants.enter(schema)
    return calls.fetch_one(stage, service, user)


def row(stage: Stage, schema: str, service: str, user: int) -> dict[str, Any]:
    tenants.enter(schema)
    return rows.row(stage, service, user)
