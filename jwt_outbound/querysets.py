"""Rows read and swapped: where the protocol's data meets the tables."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from django.conf import settings
from django.db import connections, models
from django.db.models import F
from django.utils import timezone

from jwt_outbound import clock
from jwt_outbound.compare_and_swap import Next, Now, Over, Set, Swap
from jwt_outbound.conf import get_settings
from jwt_outbound.fields import DatabaseNow, now_sql
from jwt_outbound.row_query import fetch_row
from jwt_outbound.rows import IssuerHealth, Pair, Reading
from jwt_outbound.writes import carry_out, insert

COLUMNS: Final = tuple(f.name for f in dataclasses.fields(Pair))
HEALTH: Final = tuple(f.name for f in dataclasses.fields(IssuerHealth))
PLACE_TRIES: Final = 100
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
    """A protocol time as a datetime for display: aware, or in `TIME_ZONE` where `USE_TZ` is off."""
    moment = UNIX_EPOCH + timedelta(microseconds=microseconds)
    if settings.USE_TZ:
        return moment
    return timezone.make_naive(moment, timezone.get_default_timezone())


def place() -> dict[str, Any]:
    """This host and process, for display."""
    return {"host": _host(), "pid": os.getpid()}


@cache
def _host() -> str:
    return socket.gethostname()[:100]


class AliasedManager(models.Manager[Any]):
    """A manager that is always on the token tables' alias, with or without the router."""

    def get_queryset(self) -> models.QuerySet[Any]:
        """On the configured alias, unless `db_manager()` or `using()` says another."""
        return self._queryset_class(self.model, using=self._db or alias())  # type: ignore[attr-defined, no-any-return]


class RowManager(AliasedManager):
    """Reads and swaps single rows, on whichever connection this thread has. No query set is made
    for that: it takes little more than the database takes for it."""

    def read(self, **which: Any) -> Reading:
        """The row that `which` names (`pk=`, or `user_id=` and `service=`) and the clocks."""
        at = clock.monotonic()
        row = fetch_row(self.model, COLUMNS, self._db or alias(), which)
        took = clock.monotonic() - at
        if row is None:
            return Reading(pair=None, issuer=IssuerHealth(), now=database_now(), at=at, took=took)
        now = row.pop()
        return Reading(pair=_pair(row), issuer=IssuerHealth(), now=now, at=at, took=took)

    def swap(self, swap: Swap, **which: Any) -> bool:
        """Carries out `swap` on the row that `which` names, as one UPDATE; whether it held."""
        return carry_out(self.model, self._db or alias(), swap, which)


class TokenPairQuerySet(models.QuerySet[Any]):
    """Many pairs at once."""

    def pairs(self, limit: int) -> list[Pair]:
        """At most `limit` of these rows."""
        return [_pair(values) for values in self.values_list(*COLUMNS)[:limit]]

    def each_pair(self, chunk_size: int) -> Iterator[Pair]:
        """All of these rows, fetched in chunks."""
        rows = self.values_list(*COLUMNS).iterator(chunk_size=chunk_size)
        return (_pair(values) for values in rows)

    def matching(self, where: Mapping[str, Any], **which: Any) -> TokenPairQuerySet:
        """The rows that `which` names, as far as they are as `where` says, in a `Swap`'s words."""
        return self.filter(**which, **dict(_condition(*item) for item in where.items()))


class TokenPairEventQuerySet(models.QuerySet[Any]):
    """The history."""

    def record(self, pair: Pair, now: int, **line: Any) -> None:
        """Writes one line about `pair`, dated by the database's clock."""
        insert(self.model, self.db, _line(pair, now, line))

    def record_all(self, lines: Iterable[tuple[Pair, int, Mapping[str, Any]]]) -> None:
        """The same for many: each is a pair, a time and what else is to be said."""
        self.bulk_create([self.model(**_line(*each)) for each in lines])


class IssuerStateQuerySet(models.QuerySet[Any]):
    """What all hosts know of an issuer."""

    def health(self, service: str) -> IssuerHealth:
        """The health of the issuer of `service`; a missing row is a healthy, unproven one."""
        row = fetch_row(self.model, HEALTH, self.db, {"service": service})
        return IssuerHealth(**dict(zip(HEALTH, row[:-1], strict=True))) if row else IssuerHealth()

    def health_of_all(self, services: Collection[str]) -> dict[str, IssuerHealth]:
        """The same for many; those without a row are left out."""
        rows = self.filter(service__in=services).values_list("service", *HEALTH)
        return {name: IssuerHealth(**dict(zip(HEALTH, row, strict=True))) for name, *row in rows}

    def change(self, service: str, changes: Mapping[str, Any]) -> None:
        """Writes `changes`, in the words of a `Swap`; makes the row if there is none."""
        self.get_or_create(service=service)
        self.filter(service=service).update(**{k: _sql(k, v) for k, v in changes.items()})

    def take_place(self, service: str, spacing: int, patience: int) -> int | None:
        """Takes the next free place in the budget, `spacing` after the last one: how long to wait
        for it, in microseconds. None, and nothing taken, if that is more than `patience`, or if
        others were always quicker: to the snapshot of a caller's transaction it looks so for ever.
        """
        for _ in range(PLACE_TRIES):
            row = self.filter(service=service).values_list("next_exchange_at", DatabaseNow())
            found = row.first()
            if found is None:
                self.get_or_create(service=service)
                continue
            taken, now = found
            place = max(taken, now)
            if place - now > patience:
                return None
            free = self.filter(service=service, next_exchange_at=taken)
            if free.update(next_exchange_at=place + spacing):
                return int(place - now)
        return None


def _line(pair: Pair, now: int, said: Mapping[str, Any]) -> dict[str, Any]:
    about = {"pair_id": pair.pk, "user_id": pair.user_id, "service": pair.service}
    return {"generation": pair.generation, **said, **about, "at": shown(now), **place()}


def _pair(values: Sequence[Any]) -> Pair:
    """As `Pair(...)`, which sets a frozen instance's many fields one by one."""
    pair = object.__new__(Pair)
    columns = vars(pair)
    columns.update(zip(COLUMNS, values, strict=True))
    columns["access_sealed"] = bytes(columns["access_sealed"])
    columns["refresh_sealed"] = bytes(columns["refresh_sealed"])
    return pair


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
