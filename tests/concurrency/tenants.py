"""Two tenants of one PostgreSQL database, each with tables of its own in a schema."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

SCHEMAS = ("acme", "globex")


def current_schema() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        (schema,) = cursor.fetchone()
    return str(schema)


def enter(schema: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('search_path', %s, false)", [schema])


def make_schemas() -> None:
    """Copies of all tables, without what is in them."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        for schema in SCHEMAS:
            cursor.execute(f"CREATE SCHEMA {schema}")
            for table in tables:
                cursor.execute(f"CREATE TABLE {schema}.{table} (LIKE public.{table} INCLUDING ALL)")


def drop_schemas() -> None:
    with connection.cursor() as cursor:
        for schema in SCHEMAS:
            cursor.execute(f"DROP SCHEMA {schema} CASCADE")


def flight_context() -> object:
    """`FLIGHT_CONTEXT`: called in the caller, entered in the flight."""
    return _in_schema(current_schema())


@contextmanager
def _in_schema(schema: str) -> Iterator[None]:
    enter(schema)
    try:
        yield
    finally:
        enter("public")
