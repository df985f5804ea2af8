"""What both Django projects share: settings, migration, serving on a free loopback port."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.issuer_server.process import announce, stop_with_parent

APPS = ["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"]


def main(program: str, settings_for: Callable[[argparse.Namespace], dict[str, Any]]) -> None:
    arguments = _parse(program)
    _configure(arguments.database, settings_for(arguments))
    _serve(arguments)


def _parse(program: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--database", type=Path, required=True, help="the SQLite file")
    parser.add_argument("--lifetime", type=_seconds, default=timedelta(minutes=5))
    parser.add_argument("--refresh-lifetime", type=_seconds, default=timedelta(days=1))
    parser.add_argument("--with-parent", action="store_true", help="end when stdin ends")
    return parser.parse_args()


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=float(text))


def _configure(database: Path, own: dict[str, Any]) -> None:
    import django
    from django.conf import settings

    apps = [*APPS, *own.pop("APPS")]
    settings.configure(
        SECRET_KEY="only for tests on the loopback, 32 bytes and more",
        ALLOWED_HOSTS=["127.0.0.1", "localhost"],
        INSTALLED_APPS=apps,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        USE_TZ=True,
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": database,
                "OPTIONS": {"timeout": 20, "init_command": "PRAGMA journal_mode=WAL"},
            }
        },
        LOGGING_CONFIG=None,
        **own,
    )
    logging.getLogger("django").setLevel(logging.CRITICAL)
    django.setup()


def _serve(arguments: argparse.Namespace) -> None:
    from django.core.management import call_command
    from django.core.servers.basehttp import (
        ThreadedWSGIServer,
        WSGIRequestHandler,
        get_internal_wsgi_application,
    )

    call_command("migrate", verbosity=0, interactive=False)
    try:
        server = ThreadedWSGIServer(("127.0.0.1", arguments.port), WSGIRequestHandler)
    except OSError as error:
        sys.exit(f"cannot listen at port {arguments.port}: {error.strerror}")
    server.set_app(get_internal_wsgi_application())
    if arguments.with_parent:
        stop_with_parent(server)
    announce(server.server_address[1])
    server.serve_forever()
    server.server_close()
