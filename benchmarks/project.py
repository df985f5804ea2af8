"""A Django project for a benchmark: settings as in production, and a database that goes again."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

VAR = Path(__file__).resolve().parent.parent / "var" / "benchmarks"
SHARED = "JWT_OUTBOUND_BENCHMARK_DATABASE"
"""Environment: the database that the benchmark has made, for the processes that it starts."""

DATABASES = ("sqlite", "postgresql")


def configure(database: str, **jwt_outbound: Any) -> None:
    """Sets Django up with `JWT_OUTBOUND` and an empty, migrated database that is gone at the end.

    On SQLite the token tables have a file of their own, as in the demo. A process that the
    benchmark has started, and that calls this too, gets the same database.
    """
    owner = SHARED not in os.environ
    if owner:
        os.environ[SHARED] = _make(database)
    _set_up(database, os.environ[SHARED], jwt_outbound)
    if owner:
        from django.core.management import call_command

        for alias in _aliases(database):
            call_command("migrate", verbosity=0, database=alias)
        atexit.register(_drop, database, os.environ[SHARED], os.getpid())


def _aliases(database: str) -> tuple[str, ...]:
    return ("default", "tokens") if database == "sqlite" else ("default",)


def _set_up(database: str, name: str, jwt_outbound: dict[str, Any]) -> None:
    import django
    from django.conf import settings

    aliases = _aliases(database)
    kind = _sqlite if database == "sqlite" else _postgresql
    settings.configure(
        DEBUG=False,
        SECRET_KEY="a benchmark has no secret, but HS256 wants 32 bytes",
        USE_TZ=True,
        DATABASES={alias: kind(name, alias) for alias in aliases},
        DATABASE_ROUTERS=["jwt_outbound.routers.TokenRouter"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "jwt_outbound",
        ],
        JWT_OUTBOUND={"DATABASE": aliases[-1], **jwt_outbound},
    )
    django.setup()


def _sqlite(name: str, alias: str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(name) / f"{alias}.sqlite3",
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    }


def _postgresql(name: str, alias: str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "USER": "postgres",
        "NAME": name,
    }


def _make(database: str) -> str:
    if database == "sqlite":
        VAR.mkdir(parents=True, exist_ok=True)
        return tempfile.mkdtemp(dir=VAR, prefix="sqlite-")
    name = f"jwt_outbound_benchmark_{os.getpid()}"
    _ask_server(f"DROP DATABASE IF EXISTS {name}")
    _ask_server(f"CREATE DATABASE {name}")
    return name


def _drop(database: str, name: str, owner: int) -> None:
    if os.getpid() != owner:
        return  # a fork of the benchmark's
    if database == "sqlite":
        shutil.rmtree(name, ignore_errors=True)
    else:
        _ask_server(f"DROP DATABASE {name} WITH (FORCE)")


def _ask_server(sql: str) -> None:
    import psycopg

    with psycopg.connect("host=127.0.0.1 user=postgres dbname=postgres", autocommit=True) as server:
        server.execute(sql)
