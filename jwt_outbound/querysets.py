"""Rows read and swapped: the only place where the protocol's data meets SQL."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import connections, models
from django.db.models import F

from jwt_outbound import clock
from jwt_outbound.conf import get_settings
from jwt_outbound.fields import DatabaseNow, now_sql
from jwt_outbound.rows import IssuerHealth, Pair, Reading
from jwt_outbound.swaps import Next, Now, Over, Set, Swap

COLUMNS: Final = tuple(f.name for f in dataclasses.fields(Pair))
UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def alias() -> str:
    """The database alias of the token tables."""
    return get_settings().database


def database_now() -> int:
    """The database's time, in a SELECT of its own, on the caller's connection."""
    connection = connections[alias()]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {now_sql(connection.vendor)}")
        row = cursor.fetchone()
    return int(row[0])


def shown(microseconds: int) -> datetime:
    """A protocol time as a datetime for display, aware or not as the project's `USE_TZ` says."""
    moment = UNIX_EPOCH + timedelta(microseconds=microseconds)
    return moment if settings.USE_TZ else moment.replace(tzinfo=None)


def place() -> dict[str, Any]:
    """This host and process, for display."""
    return {"host": socket.gethostname()[:100], "pid": os.getpid()}


class AliasedManager(models.Manager[Any]):
    """A manager that is always on the token tables' alias, with or without the router."""

    def get_queryset(self) -> models.QuerySet[Any]:
        """On the configured alias, unless `db_manager()` or `using()` says another."""
        return self._queryset_class(self.model, using=self._db or alias())  # type: ignore[attr-defined, no-any-return]


class TokenPairQuerySet(models.QuerySet[Any]):
    """Readings and compare-and-swaps, on whichever connection this thread has."""

    def read(self, **which: Any) -> Reading:
        """The row that `which` names (`pk=`, or `user_id=` and `service=`) and the clocks."""
        at = clock.monotonic()
        rows = list(self.filter(**which).values_list(*COLUMNS, DatabaseNow())[:1])
        took = clock.monotonic() - at
        if not rows:
            return Reading(pair=None, issuer=IssuerHealth(), now=database_now(), at=at, took=took)
        *values, now = rows[0]
        columns = dict(zip(COLUMNS, values, strict=True))
        columns["access_sealed"] = bytes(columns["access_sealed"])
        columns["refresh_sealed"] = bytes(columns["refresh_sealed"])
        return Reading(pair=Pair(**columns), issuer=IssuerHealth(), now=now, at=at, took=took)

    def swap(self, swap: Swap, **which: Any) -> bool:
        """Carries out `swap` on the row that `which` names, as one UPDATE; whether it held."""
        changes = {column: _sql(column, value) for column, value in swap.changes.items()}
        return bool(self.matching(swap.where, **which).update(**changes))

    def matching(self, where: Mapping[str, Any], **which: Any) -> TokenPairQuerySet:
        """The rows that `which` names, as far as they are as `where` says, in a `Swap`'s words."""
        return self.filter(**which, **dict(_condition(*item) for item in where.items()))


class TokenPairEventQuerySet(models.QuerySet[Any]):
    """The history."""

    def record(self, pair: Pair, now: int, **line: Any) -> Any:
        """Writes one line about `pair`, dated by the database's clock."""
        return self.create(
            **{"generation": pair.generation, **line},
            pair_id=pair.pk,
            user_id=pair.user_id,
            service=pair.service,
            at=shown(now),
            **place(),
        )


class IssuerStateQuerySet(models.QuerySet[Any]):
    """What all hosts know of an issuer."""

    def health(self, service: str) -> IssuerHealth:
        """The health of the issuer of `service`; a missing row is a healthy, unproven one."""
        names = [f.name for f in dataclasses.fields(IssuerHealth)]
        rows = list(self.filter(service=service).values_list(*names)[:1])
        return IssuerHealth(**dict(zip(names, rows[0], strict=True))) if rows else IssuerHealth()

    def change(self, service: str, changes: Mapping[str, Any]) -> None:
        """Writes `changes`, in the words of a `Swap`; makes the row if there is none."""
        self.get_or_create(service=service)
        self.filter(service=service).update(**{k: _sql(k, v) for k, v in changes.items()})


def _condition(column: str, value: Any) -> tuple[str, Any]:
    match value:
        case Over():
            return f"{column}__lte", DatabaseNow()
        case Set():
            return f"{column}__gt", 0
        case _:
            return column, value


def _sql(column: str, value: Any) -> Any:
    match value:
        case Now(plus):
            return DatabaseNow() + plus if plus else DatabaseNow()
        case Next():
            return F(column) + 1
        case _:
            return value
