"""How many connections to the test's databases are open."""

import gc

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

QUERIES = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()",
    "mysql": "SELECT count(*) FROM information_schema.processlist WHERE db = database()",
}


def count_open_connections() -> int:
    """At the server; with SQLite, Django's in this process, whichever thread they belong to."""
    if connection.vendor == "sqlite":
        return _count_here()
    with connection.cursor() as cursor:
        cursor.execute(QUERIES[connection.vendor])
        return int(cursor.fetchone()[0])


def _count_here() -> int:
    gc.collect()
    # By type(): isinstance() would wake the lazy objects among them.
    found = [each for each in gc.get_objects() if issubclass(type(each), BaseDatabaseWrapper)]
    return sum(each.connection is not None for each in found)
