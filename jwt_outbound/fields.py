"""The database's clock, as one expression for every database."""

from typing import Any

from django.db import NotSupportedError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BigIntegerField, Func
from django.db.models.sql.compiler import SQLCompiler

from jwt_outbound import clock

_EPOCH_MICROSECONDS = {
    "postgresql": "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint",
    # Not UNIX_TIMESTAMP(): that reads its argument in the session's time zone.
    "mysql": "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))",
    "sqlite": "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000",
}


class DatabaseNow(Func):
    """The database's time in microseconds since 1970 UTC: the one clock all hosts share.

    Not Django's `Now()`: that is the transaction's start on PostgreSQL, follows MariaDB's session
    time zone, has milliseconds as text on SQLite and depends on `USE_TZ`.
    """

    output_field = BigIntegerField()

    def as_sql(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[str, tuple[str | int, ...]]:
        """The reading, as an expression without parameters."""
        return now_sql(connection.vendor), ()


def now_sql(vendor: str) -> str:
    """The reading, moved by what `testing.shift_clock` says."""
    try:
        sql = _EPOCH_MICROSECONDS[vendor]
    except KeyError:
        raise NotSupportedError(
            f"jwt_outbound keeps tokens in PostgreSQL, MariaDB, MySQL or SQLite, not in {vendor}."
        ) from None
    moved = clock.shift()
    return f"({sql} + {moved:d})" if moved else sql
