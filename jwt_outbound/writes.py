"""The writes of a refresh as the statements that they are: a swap, and a line of history.

To put one together takes the ORM many times as long as the database takes for it, and a worker of
the fleet makes hundreds in a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from jwt_outbound.compare_and_swap import Next, Now, Over, Set, Swap
from jwt_outbound.fields import now_sql
from jwt_outbound.row_query import field_of


def carry_out(model: type[Model], alias: str, swap: Swap, which: Mapping[str, Any]) -> bool:
    """One UPDATE of the row that `which` names, on this thread's connection; whether it held."""
    connection = connections[alias]
    update = _Update(model, connection)
    changes = ", ".join(update.change(*item) for item in swap.changes.items())
    where = " AND ".join(update.condition(*item) for item in {**which, **swap.where}.items())
    table = connection.ops.quote_name(model._meta.db_table)
    sql = f"UPDATE {table} SET {changes} WHERE {where}"  # noqa: S608 - names of our own columns
    with transaction.mark_for_rollback_on_error(using=alias), connection.cursor() as cursor:
        cursor.execute(sql, update.values)
        return bool(cursor.rowcount)


def insert(model: type[Model], alias: str, values: Mapping[str, Any]) -> None:
    """One INSERT; what `values` leave out has its field's default."""
    connection = connections[alias]
    quote = connection.ops.quote_name
    names: list[str] = []
    prepared: list[Any] = []
    for field in model._meta.concrete_fields:
        value = values[field.attname] if field.attname in values else field.get_default()
        names.append(quote(str(field.column)))
        prepared.append(field.get_db_prep_save(value, connection))
    places = ", ".join(["%s"] * len(names))
    table = quote(model._meta.db_table)
    sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})"  # noqa: S608 - as above
    with transaction.mark_for_rollback_on_error(using=alias), connection.cursor() as cursor:
        cursor.execute(sql, prepared)


class _Update:
    """The fragments of one UPDATE, and the values for its placeholders in their order."""

    def __init__(self, model: type[Model], connection: BaseDatabaseWrapper) -> None:
        self._model, self._connection = model, connection
        self._now = now_sql(connection.vendor)
        self.values: list[Any] = []

    def change(self, name: str, value: Any) -> str:
        """`column = ...`."""
        field, column = self._column(name)
        match value:
            case Now(plus):
                return f"{column} = {self._now} + {plus:d}"
            case Next():
                return f"{column} = {column} + 1"
            case _:
                self.values.append(field.get_db_prep_save(value, self._connection))
                return f"{column} = %s"

    def condition(self, name: str, value: Any) -> str:
        """What the column must be for the swap to hold."""
        field, column = self._column(name)
        match value:
            case Over():
                return f"{column} <= {self._now}"
            case Set():
                return f"{column} > 0"
            case None:
                return f"{column} IS NULL"
            case _:
                self.values.append(field.get_db_prep_value(value, self._connection))
                return f"{column} = %s"

    def _column(self, name: str) -> tuple[Any, str]:
        field = field_of(self._model, name)
        return field, self._connection.ops.quote_name(field.column)
