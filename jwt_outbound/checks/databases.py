"""Where the token tables live, and who else writes there."""

import os
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import DEFAULT_DB_ALIAS

from jwt_outbound.checks.given import Given, imported
from jwt_outbound.routers import TokenRouter

ROUTER = "jwt_outbound.routers.TokenRouter"
SQLITE = {"sqlite3", "spatialite"}


def check_alias(given: Given) -> Iterator[CheckMessage]:
    if given.services and _alias(given) is None:
        yield Error(
            "JWT_OUTBOUND['DATABASE'] is not one of the DATABASES.",
            hint=f"There are: {', '.join(map(repr, settings.DATABASES))}.",
            id="jwt_outbound.E035",
        )


def check_router(given: Given) -> Iterator[CheckMessage]:
    alias = _alias(given)
    if alias in (None, DEFAULT_DB_ALIAS) or any(map(_is_ours, settings.DATABASE_ROUTERS)):
        return
    yield Error(
        f"JWT_OUTBOUND['DATABASE'] is {alias!r}, but no router sends the token tables there.",
        hint=f'Add "{ROUTER}" to DATABASE_ROUTERS, and run migrate --database={alias}.',
        id="jwt_outbound.E036",
    )


def check_shared_file(given: Given) -> Iterator[CheckMessage]:
    """SQLite has one writer per file, so a refresh can't be saved inside a caller's transaction."""
    alias = _alias(given)
    file = alias and _file(settings.DATABASES[alias])
    if not given.services or not file:
        return
    atomic = [
        name
        for name, database in settings.DATABASES.items()
        if database.get("ATOMIC_REQUESTS") and _file(database) == file
    ]
    if atomic:
        yield Error(
            f"The token tables are in the SQLite file of the database {atomic[0]!r}, which has "
            "ATOMIC_REQUESTS: inside a request no expired token could be refreshed.",
            hint="Give them a file of their own: an alias in DATABASES, named in "
            f"JWT_OUTBOUND['DATABASE'], and \"{ROUTER}\" in DATABASE_ROUTERS. Or turn "
            "ATOMIC_REQUESTS off.",
            id="jwt_outbound.E037",
        )


def _alias(given: Given) -> str | None:
    alias = given.of_app("DATABASE")
    return alias if isinstance(alias, str) and alias in settings.DATABASES else None


def _is_ours(router: Any) -> bool:
    if isinstance(router, str):
        router = TokenRouter if router == ROUTER else imported(router)
    return isinstance(router, TokenRouter) or (
        isinstance(router, type) and issubclass(router, TokenRouter)
    )


def _file(database: dict[str, Any]) -> str | None:
    """The file of an SQLite database; None for another one, and for one in memory."""
    if str(database.get("ENGINE", "")).rpartition(".")[2] not in SQLITE:
        return None
    name = str(database.get("NAME") or "")
    if not name or ":memory:" in name or "mode=memory" in name:
        return None
    path = name.removeprefix("file:").partition("?")[0] if name.startswith("file:") else name
    try:
        return os.path.realpath(path)
    except ValueError:
        return path


RULES = (check_alias, check_router, check_shared_file)
