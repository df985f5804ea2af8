"""Databases of our own for a run, and what their servers say of the connections to them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

ALIASES = ("default", "tokens")
TABLE = "jwt_outbound_tokenpair"


class Databases(Protocol):
    """One for each alias; `create` and `drop` them, and look at them from outside."""

    names: dict[str, str]

    def create(self) -> None: ...
    def drop(self) -> None: ...
    def open_transactions(self) -> int:
        """Connections to them that are in a transaction right now."""

    def connections(self) -> int:
        """Open connections to them, on SQLite: processes' open files."""

    def cut(self) -> int:
        """Cuts all connections to them; how many there were."""

    def row_lock(self, alias: str, pk: str) -> AbstractContextManager[None]:
        """A stranger's transaction that has written the pair's row and goes on."""


@contextmanager
def created(engine: str) -> Iterator[Databases]:
    """New, empty databases of this engine, gone in the end."""
    kinds: dict[str, type[SQLiteFiles | PostgreSQL | MariaDB]] = {
        "sqlite": SQLiteFiles,
        "postgresql": PostgreSQL,
        "mariadb": MariaDB,
    }
    databases: Databases = kinds[engine]()
    databases.create()
    try:
        yield databases
    finally:
        databases.drop()


def eventually(reached: Callable[[], bool], seconds: float = 30) -> bool:
    """Looks again and again: a server ends a connection in its own time and tells nobody when."""
    until = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def _own_names() -> dict[str, str]:
    return {alias: f"jwt_outbound_race_{os.getpid()}_{alias}" for alias in ALIASES}


class SQLiteFiles:
    """Two files in a folder of their own."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.gettempdir()) / f"jwt_outbound_race_{os.getpid()}"
        self.names = {alias: str(self._folder / f"{alias}.sqlite3") for alias in ALIASES}

    def create(self) -> None:
        self.drop()
        self._folder.mkdir()

    def drop(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def open_transactions(self) -> int:
        return sum(self._writes(name) + self._reads(name) for name in self.names.values())

    def _writes(self, name: str) -> bool:
        with self._session(name) as session:
            try:
                session.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            session.execute("ROLLBACK")
            return False

    def _reads(self, name: str) -> bool:
        """A checkpoint that can't finish is kept from it by somebody's snapshot."""
        with self._session(name) as session:
            (busy, _, _) = session.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return bool(busy)

    def connections(self) -> int:
        files = {os.path.realpath(name) for name in self.names.values()}
        return sum(target in files for target in _open_files())

    def cut(self) -> int:
        raise NotImplementedError("A file has no connection that could be cut.")

    @contextmanager
    def row_lock(self, alias: str, pk: str) -> Iterator[None]:
        with self._session(self.names[alias]) as session:
            session.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                session.execute("ROLLBACK")

    @contextmanager
    def _session(self, name: str) -> Iterator[sqlite3.Connection]:
        session = sqlite3.connect(name, timeout=0, isolation_level=None)
        try:
            yield session
        finally:
            session.close()


def _open_files() -> Iterator[str]:
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        # Processes and files come and go while we look, and some are not ours to see.
        with suppress(OSError):
            yield str(link.readlink())


class Server:
    """What both servers do alike, over a session that is outside of the databases looked at."""

    def __init__(self) -> None:
        self.names = _own_names()

    def _ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._session("") as session, session.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall()) if cursor.description else []

    def _session(self, name: str, *, autocommit: bool = True) -> AbstractContextManager[Any]:
        raise NotImplementedError

    def _databases(self) -> list[str]:
        return list(self.names.values())

    @contextmanager
    def row_lock(self, alias: str, pk: str) -> Iterator[None]:
        with (
            self._session(self.names[alias], autocommit=False) as session,
            session.cursor() as cursor,
        ):
            sql = f"UPDATE {TABLE} SET holds = holds + 1 WHERE id = %s"  # noqa: S608
            cursor.execute(sql, [self._key(pk)])
            assert cursor.rowcount == 1
            try:
                yield
            finally:
                session.rollback()

    def _key(self, pk: str) -> Any:
        raise NotImplementedError


class PostgreSQL(Server):
    def create(self) -> None:
        self.drop()
        for name in self._databases():
            self._ask(f'CREATE DATABASE "{name}"')

    def drop(self) -> None:
        for name in self._databases():
            self._ask(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def open_transactions(self) -> int:
        sql = "SELECT pid FROM pg_stat_activity WHERE datname = ANY(%s) AND xact_start IS NOT NULL"
        return len(self._ask(sql, self._databases()))

    def connections(self) -> int:
        sql = "SELECT pid FROM pg_stat_activity WHERE datname = ANY(%s)"
        return len(self._ask(sql, self._databases()))

    @contextmanager
    def away(self) -> Iterator[None]:
        """All connections are cut, and no new one can be made."""
        self._allow_connections("false")
        self.cut()
        try:
            yield
        finally:
            self._allow_connections("true")

    def _allow_connections(self, allowed: str) -> None:
        for name in self._databases():
            self._ask(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS {allowed}')

    def cut(self) -> int:
        sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s)"
        return len(self._ask(sql, self._databases()))

    def _session(self, name: str, *, autocommit: bool = True) -> AbstractContextManager[Any]:
        import psycopg

        return psycopg.connect(
            host="127.0.0.1", user="postgres", dbname=name or "postgres", autocommit=autocommit
        )

    def _key(self, pk: str) -> Any:
        return UUID(pk)


class MariaDB(Server):
    def create(self) -> None:
        self.drop()
        for name in self._databases():
            self._ask(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")

    def drop(self) -> None:
        for name in self._databases():
            self._ask(f"DROP DATABASE IF EXISTS `{name}`")

    def open_transactions(self) -> int:
        sql = (
            "SELECT p.id FROM information_schema.innodb_trx t "
            "JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id "
            "WHERE p.db IN %s"
        )
        return len(self._ask(sql, self._databases()))

    def connections(self) -> int:
        return len(self._ids())

    def cut(self) -> int:
        ids = self._ids()
        for each in ids:
            self._ask(f"KILL CONNECTION {each:d}")
        return len(ids)

    def _ids(self) -> list[int]:
        sql = "SELECT id FROM information_schema.processlist WHERE db IN %s"
        return [int(row[0]) for row in self._ask(sql, self._databases())]

    def _session(self, name: str, *, autocommit: bool = True) -> AbstractContextManager[Any]:
        import pymysql  # type: ignore[import-untyped]

        session: AbstractContextManager[Any] = pymysql.connect(
            host="127.0.0.1", user="root", database=name or None, autocommit=autocommit
        )
        return session

    def _key(self, pk: str) -> Any:
        return UUID(pk)
