"""Prints the database servers, other than SQLite, on which the tests can be run here.

`make test` runs the tests marked `database` again on each name printed. What does not answer is
said on standard error. JWT_OUTBOUND_TEST_DATABASES, a list such as "sqlite,postgresql", narrows
the choice; a server that is named there and does not answer is then an error.
"""

import os
import sys
from collections.abc import Callable


# The same addresses as in tests/settings.py.
def reach_postgresql() -> None:
    import psycopg

    psycopg.connect(host="127.0.0.1", user="postgres", dbname="postgres", connect_timeout=3).close()


def reach_mariadb() -> None:
    import pymysql

    pymysql.connect(host="127.0.0.1", user="root", connect_timeout=3).close()


SERVERS: dict[str, Callable[[], None]] = {
    "postgresql": reach_postgresql,
    "mariadb": reach_mariadb,
}


def asked_for() -> list[str]:
    return os.environ.get("JWT_OUTBOUND_TEST_DATABASES", "").replace(",", " ").split()


def answers(name: str) -> bool:
    try:
        SERVERS[name]()
    except Exception as error:  # noqa: BLE001 - a driver's own errors have no common ancestor
        reason = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
        print(f"{name} does not answer, so it is not tested: {reason}", file=sys.stderr)
        return False
    return True


def main() -> int:
    wanted = asked_for()
    unknown = set(wanted) - {"sqlite", *SERVERS}
    if unknown:
        print(
            f"JWT_OUTBOUND_TEST_DATABASES names {', '.join(sorted(unknown))}; "
            f"there are: sqlite, {', '.join(SERVERS)}",
            file=sys.stderr,
        )
        return 2
    tried = [name for name in SERVERS if not wanted or name in wanted]
    found = [name for name in tried if answers(name)]
    print(*found)
    return 1 if wanted and found != tried else 0


if __name__ == "__main__":
    sys.exit(main())
