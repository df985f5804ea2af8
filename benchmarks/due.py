"""How long it takes to find what is due: `python -m benchmarks.due [--rows 1000000]`.

A table in which one pair in a thousand is due, more than half come due within the next minutes,
and the others have been left alone, as nobody uses them. The query is the fleet's own, for as many
pairs as a worker with 32 threads takes in hand, over the connection that it would use; also while
a tenth of all pairs, of another service whose issuer is down, is due and waits.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

from django.db import connections

from benchmarks.figures import Figure, parser_of, progress, report
from benchmarks.people import SERVICE
from benchmarks.project import configure

ROWS, QUICK_ROWS = 1_000_000, 10_000
RUNS, QUICK_RUNS = 300, 10
LIMIT = 64
"""Pairs in hand of a worker with 32 threads."""
OTHER = "other"
"""The service whose issuer is down."""
TARGET = 1.0
"""Milliseconds, on PostgreSQL."""

NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers "
    "WHERE n < {rows}) ",
    "postgresql": "WITH numbers(n) AS (SELECT generate_series(1, {rows})) ",
}
NEW_KEY = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "gen_random_uuid()"}
REFRESH_AT = """CASE
    WHEN n % 1000 = 0 THEN {now} - (n / 1000) * 1000
    WHEN n % 5 < 3 THEN {now} + 1000000 + CAST(n AS BIGINT) * 7919 % 240000000
    WHEN n % 5 = 3 THEN {now} + 86400000000 + CAST(n AS BIGINT) * 7919
END"""
"""Due now; within four minutes; when the refresh token would idle out; not at all."""


def fill(rows: int) -> None:
    """`rows` copies of one stored pair, each with a key, a user and a due time of its own."""
    from jwt_outbound.models import TokenPair
    from jwt_outbound.querysets import alias, database_now

    stored = TokenPair.objects.store(
        user=1, service=SERVICE, access="a" * 300, refresh="r" * 300, expires_in=300
    )
    connection = connections[alias()]
    names = [field.column for field in TokenPair._meta.concrete_fields]
    own = {
        "id": NEW_KEY[connection.vendor],
        "user_id": "n + 1",
        "refresh_at": REFRESH_AT.format(now=database_now()),
        "used_generation": "generation",
    }
    quoted = ", ".join(map(connection.ops.quote_name, names))
    values = ", ".join(own.get(name, connection.ops.quote_name(name)) for name in names)
    table = connection.ops.quote_name(TokenPair._meta.db_table)
    copied = f"INSERT INTO {table} ({quoted}) SELECT {values} FROM {table}, numbers"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(NUMBERS[connection.vendor].format(rows=rows) + copied + " WHERE user_id = 1")
    TokenPair.objects.filter(pk=stored.pk).update(refresh_at=None)


def let_another_wait(rows: int) -> None:
    """A tenth of the pairs is another service's, and has been due for a while."""
    from jwt_outbound.models import TokenPair
    from jwt_outbound.querysets import database_now

    away = TokenPair.objects.filter(user_id__gt=rows - rows // 10).exclude(refresh_at=None)
    away.update(service=OTHER, refresh_at=database_now() - 3_600_000_000)


def tidy() -> None:
    """What the databases do by themselves now and then."""
    from jwt_outbound.models import TokenPair
    from jwt_outbound.querysets import alias

    connection = connections[alias()]
    table = connection.ops.quote_name(TokenPair._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM ANALYZE {table}" if _is_server(connection) else "ANALYZE")


def _is_server(connection: Any) -> bool:
    return str(connection.vendor) != "sqlite"


def look() -> tuple[Callable[[], Any], str, Callable[[], float | None]]:
    """The fleet's query, compiled; how the database means to carry it out; and how many of the
    milliseconds are the database's by its own account, where it gives one."""
    from jwt_outbound.fleet.due import due_pairs
    from jwt_outbound.querysets import COLUMNS, alias, database_now

    query = due_pairs(database_now(), [SERVICE]).values_list(*COLUMNS)[:LIMIT]
    connection = connections[alias()]
    sql, values = query.query.get_compiler(connection=connection).as_sql()

    def once() -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())

    def inside() -> float | None:
        if not _is_server(connection):
            return None
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", values)
            [(told,)] = cursor.fetchall()
        (account,) = json.loads(told) if isinstance(told, str) else told
        return float(account["Planning Time"] + account["Execution Time"])

    return once, query.explain(), inside


def milliseconds(runs: int, database: str, what: str) -> Figure:
    """The median of many runs."""
    once, plan, inside = look()
    found = len(once())
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        once()
        times.append(1000 * (time.perf_counter() - began))
    progress(plan)
    theirs = [spent for _ in range(runs) if (spent := inside()) is not None]
    account = f", {median(theirs):.2f} ms of it in the database" if theirs else ""
    return Figure(
        benchmark="due",
        what=what,
        database=database,
        measured=median(times),
        unit="ms",
        target=TARGET if database == "postgresql" else None,
        note=f"{found} pairs with all their columns by {_index_of(plan)}{account}",
    )


def _index_of(plan: str) -> str:
    named = re.search(r"(?:USING|using|on|INDEX) +((?:jwt_outbound|sqlite_autoindex)\w+)", plan)
    return f"index {named[1]}" if named and "Seq Scan" not in plan else "no index"


def measure(database: str, rows: int, runs: int) -> list[Figure]:
    """With everything well, and with another service's pairs in the way."""
    configure(database, SERVICES={SERVICE: _service(), OTHER: _service()})
    progress(f"due, {database}: {rows} pairs are made")
    fill(rows)
    tidy()
    figures = [milliseconds(runs, database, f"the due query over {rows:,} pairs")]
    let_another_wait(rows)
    tidy()
    what = f"the same, {rows // 10:,} due pairs of another service before them"
    return [*figures, replace(milliseconds(runs, database, what), target=None)]


def _service() -> dict[str, Any]:
    """One whose issuer nobody asks."""
    return {
        "BASE_URL": "http://127.0.0.1:1/api/",
        "ISSUER": "jwt_outbound.issuers.SimpleJWTIssuer",
        "OPTIONS": {"refresh_url": "http://127.0.0.1:1/"},
    }


def main() -> None:
    parser = parser_of("due", __doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    given = parser.parse_args()
    report(given, lambda: _measured(given))


def _measured(given: argparse.Namespace) -> list[Figure]:
    if given.quick:
        return measure(given.database, QUICK_ROWS, QUICK_RUNS)
    return measure(given.database, given.rows, RUNS)


if __name__ == "__main__":
    main()
