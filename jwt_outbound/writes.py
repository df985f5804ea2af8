"""The writes of a refresh as the statements that they are: a swap, and a line of history.

To put one together takes the ORM many times as long as the database takes for it, and a worker of
the fleet makes hundreds in a second. So its text is kept, as that of `row_query` is: there are few
shapes of them. What a swap says in words, and values such as 0 and "", are part of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from jwt_outbound import clock
from jwt_outbound.compare_and_swap import Next, Now, Over, Set, Swap
from jwt_outbound.fields import now_sql
from jwt_outbound.row_query import field_of

MOST_STATEMENTS: Final = 256
"""A swap has a shape for each set of columns that it sets to something, and not to nothing."""

PLACE: Final = "%({place})s"

_LITERALS: Final = {
    (type(value), value): text
    for value, text in (
        (None, "NULL"),
        (False, "FALSE"),
        (True, "TRUE"),
        (0, "0"),
        (-1, "-1"),
        ("", "''"),
    )
}

Shape = tuple[tuple[str, str], ...]
"""Of some columns: the name, and the text with the holes `column`, `now` and `place`."""
Prepare = Callable[[Any, BaseDatabaseWrapper], Any]


@dataclass(frozen=True)
class Statement:
    """One UPDATE or INSERT, and what the ORM does to each value on its way in."""

    sql: str
    places: tuple[tuple[str, Prepare], ...]

    def execute(self, alias: str, values: Iterable[Any]) -> int:
        """On this thread's connection; how many rows there were."""
        connection = connections[alias]
        filled = {
            place: prepare(value, connection)
            for (place, prepare), value in zip(self.places, values, strict=True)
        }
        with transaction.mark_for_rollback_on_error(using=alias), connection.cursor() as cursor:
            cursor.execute(self.sql, filled)
            return int(cursor.rowcount)


def carry_out(model: type[Model], alias: str, swap: Swap, which: Mapping[str, Any]) -> bool:
    """One UPDATE of the row that `which` names, on this thread's connection; whether it held."""
    values: list[Any] = []
    changes = tuple((name, _change(value, values)) for name, value in swap.changes.items())
    where = {**which, **swap.where}
    conditions = tuple((name, _condition(value, values)) for name, value in where.items())
    backend: Any = type(connections[alias])
    statement = _update(model, changes, conditions, alias, backend, clock.shift())
    return statement.execute(alias, values) > 0


def insert(model: type[Model], alias: str, line: Mapping[str, Any]) -> None:
    """One INSERT; what `line` leaves out has its field's default."""
    values: list[Any] = []
    columns = []
    for field in model._meta.concrete_fields:
        name = field.attname
        value = line[name] if name in line else field.get_default()
        columns.append((name, _change(value, values)))
    backend: Any = type(connections[alias])
    _insert(model, tuple(columns), alias, backend, clock.shift()).execute(alias, values)


def _change(value: Any, values: list[Any]) -> str:
    """What a column becomes; a value that has a place in it is added to `values`."""
    literal = _LITERALS.get((type(value), value))
    if literal is not None:
        return literal
    match value:
        case Now(0):
            return "{now}"
        case Now(plus):
            values.append(plus)
            return f"{{now}} + {PLACE}"
        case Next():
            return "{column} + 1"
    values.append(value)
    return PLACE


def _condition(value: Any, values: list[Any]) -> str:
    """What a column must be for the swap to hold; as `_change`."""
    match value:
        case None:
            return "{column} IS NULL"
        case Over():
            return "{column} <= {now}"
        case Set():
            return "{column} > 0"
    return f"{{column}} = {_change(value, values)}"


@lru_cache(maxsize=MOST_STATEMENTS)
def _update(
    model: type[Model],
    changes: Shape,
    conditions: Shape,
    alias: str,
    backend: type[BaseDatabaseWrapper],
    shift: int,
) -> Statement:
    """`backend` and `shift` only tell one statement from another: its text depends on them."""
    text = _Text(model, connections[alias])
    becomes = ", ".join(f"{text.column(name)} = {text.of(name, form)}" for name, form in changes)
    where = " AND ".join(text.of(name, form) for name, form in conditions)
    sql = f"UPDATE {text.table} SET {becomes} WHERE {where}"  # noqa: S608 - names of our columns
    return Statement(sql, tuple(text.places))


@lru_cache(maxsize=MOST_STATEMENTS)
def _insert(
    model: type[Model],
    columns: Shape,
    alias: str,
    backend: type[BaseDatabaseWrapper],
    shift: int,
) -> Statement:
    text = _Text(model, connections[alias])
    names = ", ".join(text.column(name) for name, _ in columns)
    values = ", ".join(text.of(name, form) for name, form in columns)
    sql = f"INSERT INTO {text.table} ({names}) VALUES ({values})"  # noqa: S608 - as above
    return Statement(sql, tuple(text.places))


class _Text:
    """A statement's fragments, and their places for values in their order."""

    def __init__(self, model: type[Model], connection: BaseDatabaseWrapper) -> None:
        self._model = model
        self._quote = connection.ops.quote_name
        self._now = now_sql(connection.vendor)
        self.table = self._quote(model._meta.db_table)
        self.places: list[tuple[str, Prepare]] = []

    def column(self, name: str) -> str:
        return str(self._quote(field_of(self._model, name).column))

    def of(self, name: str, form: str) -> str:
        """`form` with its holes filled. Places have names: on SQLite, Django looks for nameless
        ones with a regular expression at each call."""
        place = f"v{len(self.places)}"
        if PLACE in form:
            self.places.append((place, field_of(self._model, name).get_db_prep_save))
        return form.format(column=self.column(name), now=self._now, place=place)
