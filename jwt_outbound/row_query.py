"""The SELECT of one row, put together once and then only carried out.

A caller reads its pair's row before it calls. To build a query of some forty columns takes the ORM
many times as long as it takes SQLite to answer it, and it is always the same query. So its text is
kept, and with it what the ORM does to the values on their way in and out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression, Field, Model

from jwt_outbound import clock
from jwt_outbound.fields import now_sql

Converter = Callable[[Any, Any, BaseDatabaseWrapper], Any]

MOST_QUERIES: Final = 64
"""There are a few for each alias; more only where tests move the clock, which is in the SQL."""


@dataclass(frozen=True)
class RowQuery:
    """One SELECT: some columns and the database's clock, of the row that other columns name."""

    sql: str
    keys: tuple[tuple[str, Field[Any, Any]], ...]
    """What names the row."""
    conversions: tuple[tuple[int, Converter, Expression], ...]
    """Of which value of the row, so that it comes back as from the ORM."""

    def fetch(self, connection: BaseDatabaseWrapper, which: Mapping[str, Any]) -> list[Any] | None:
        """The row's values, or None for no row; on the caller's own connection."""
        values = {
            name: field.get_db_prep_value(which[name], connection) for name, field in self.keys
        }
        with connection.cursor() as cursor:
            cursor.execute(self.sql, values)
            found = cursor.fetchone()
        if found is None:
            return None
        row = list(found)
        for at, convert, column in self.conversions:
            row[at] = convert(row[at], column, connection)
        return row


def fetch_row(
    model: type[Model], columns: tuple[str, ...], alias: str, which: Mapping[str, Any]
) -> list[Any] | None:
    """The `columns` of the row with the values `which`, then the database's time; None: no row."""
    connection = connections[alias]
    backend: Any = type(connection)
    query = _query(model, columns, tuple(which), alias, backend, clock.shift())
    return query.fetch(connection, which)


@lru_cache(maxsize=MOST_QUERIES)
def _query(
    model: type[Model],
    columns: tuple[str, ...],
    keys: tuple[str, ...],
    alias: str,
    backend: type[BaseDatabaseWrapper],
    shift: int,
) -> RowQuery:
    """`backend` and `shift` only tell one query from another: its text depends on them.

    It is made for a connection that is never opened: converters may hold on to theirs, and must
    not keep that of a thread alive that has ended.
    """
    connection = connections.create_connection(alias)
    quote = connection.ops.quote_name
    fields = [field_of(model, column) for column in columns]
    wanted = [*(quote(field.column) for field in fields), now_sql(connection.vendor)]
    # By name: on SQLite, Django replaces %s with a regular expression at each call.
    named = [(key, field_of(model, key)) for key in keys]
    condition = " AND ".join(f"{quote(field.column)} = %({key})s" for key, field in named)
    table = quote(model._meta.db_table)
    return RowQuery(
        sql=f"SELECT {', '.join(wanted)} FROM {table} WHERE {condition} LIMIT 1",  # noqa: S608
        keys=tuple((key, _of_value(field)) for key, field in named),
        conversions=tuple(_conversions(fields, connection)),
    )


def field_of(model: type[Model], name: str) -> Any:
    """The field called `name`; `pk` too."""
    return model._meta.pk if name == "pk" else model._meta.get_field(name)


def _of_value(field: Any) -> Any:
    """The field that knows the column's values: a foreign key would ask the one it points to."""
    return field.target_field if field.is_relation else field


def _conversions(
    fields: list[Any], connection: BaseDatabaseWrapper
) -> list[tuple[int, Converter, Expression]]:
    found = []
    for at, field in enumerate(fields):
        column = field.get_col(field.model._meta.db_table)
        converters = connection.ops.get_db_converters(column)
        converters += column.get_db_converters(connection)
        found += [(at, convert, column) for convert in converters]
    return found
