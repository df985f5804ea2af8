"""Where a run took place: figures mean little without it."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import django
import requests


def describe(databases: list[str]) -> dict[str, str]:
    """Machine, versions and date, in the order in which they are shown."""
    return {
        "date": f"{datetime.now(UTC):%d %B %Y}".lstrip("0"),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": _memory(),
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Django": django.get_version(),
        "requests": requests.__version__,
        **{name: version for name in databases for name, version in [_version(name)]},
    }


def _processor() -> str:
    names = _lines("/proc/cpuinfo", "model name")
    return names[0] if names else platform.processor() or platform.machine()


def _memory() -> str:
    kilobytes = _lines("/proc/meminfo", "MemTotal")
    return f"{int(kilobytes[0].split()[0]) / 1024**2:.1f} GiB" if kilobytes else "unknown"


def _lines(path: str, name: str) -> list[str]:
    """What /proc says under `name`; nothing where there is no /proc."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return []
    return [line.partition(":")[2].strip() for line in lines if line.startswith(name)]


def _version(database: str) -> tuple[str, str]:
    if database == "sqlite":
        import sqlite3

        return "SQLite", sqlite3.sqlite_version
    import psycopg

    with psycopg.connect("host=127.0.0.1 user=postgres dbname=postgres") as server:
        return "PostgreSQL", server.info.parameter_status("server_version") or "unknown"
