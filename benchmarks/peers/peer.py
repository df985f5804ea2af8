"""What all peers are put through; runs in their virtual environment, without our package."""

import json
import logging
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import requests

from benchmarks.turns import take_turns, timed

LIFETIME = 300
Call = Callable[[], requests.Response]


class Peer:
    """One library. `work` is what benchmarks.peers asks for."""

    distribution: str
    note: str
    apps: tuple[str, ...] = ()

    def __init__(self, work: dict[str, Any]) -> None:
        self.work = work

    def settings(self) -> dict[str, Any]:
        """Beyond apps and databases."""
        return {}

    def store(self, access: str, refresh: str, expires_at: float) -> None:
        """Its row of these tokens, the only one."""
        raise NotImplementedError

    def fresh(self, url: str) -> requests.Response:
        """One GET in a web request: the token comes from its row, refreshed where it must be."""
        raise NotImplementedError

    def kept(self, url: str) -> Call | None:
        """One GET of many with the token in memory; None where the library has no such thing."""
        return None

    def set_up(self, folder: str) -> None:
        import django
        from django.conf import settings
        from django.core.management import call_command

        options = {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"}
        database = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path(folder) / "peer.sqlite3",
            "OPTIONS": {**options, "transaction_mode": "IMMEDIATE", "timeout": 20},
        }
        settings.configure(
            DEBUG=False,
            SECRET_KEY="a benchmark has no secret, but HS256 wants 32 bytes",
            USE_TZ=True,
            DATABASES={"default": database},
            DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
            INSTALLED_APPS=[
                *("django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"),
                *self.apps,
            ],
            LOGGING_CONFIG=None,
            **self.settings(),
        )
        django.setup()
        call_command("migrate", verbosity=0)

    def stampede(self, access: str, refresh: str) -> int:
        """How many of the threads that meet an expired token do not get an answer."""
        from django.db import connections

        self.store(access, refresh, time.time() - LIFETIME)
        start, failed = threading.Barrier(self.work["threads"]), []

        def call() -> None:
            start.wait()
            try:
                self.fresh(self.work["issuer"]["api"]).raise_for_status()
            except Exception as error:  # noqa: BLE001 - whatever the library makes of it
                failed.append(error)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=call) for _ in range(self.work["threads"])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(failed)

    def ratios(self) -> dict[str, Any]:
        access, url = "a" * 300, self.work["api"]
        self.store(access, "r" * 300, time.time() + 3600)
        floor = requests.Session()
        floor.headers["Authorization"] = f"Bearer {access}"
        ways = {"floor": timed(lambda: floor.get(url)), "fresh": timed(lambda: self.fresh(url))}
        kept = self.kept(url)
        if kept is not None:
            ways["kept"] = timed(kept)
        return take_turns(ways, self.work["rounds"])


def run(kind: type[Peer]) -> None:
    """The process: work comes as JSON, and so does what was found."""
    logging.disable()  # they tell at length of what is counted here
    peer = kind(json.load(sys.stdin))
    with tempfile.TemporaryDirectory() as folder:
        peer.set_up(folder)
        calls = peer.ratios()
        failed = [peer.stampede(**pair) for pair in peer.work["pairs"]]
    library = f"{kind.distribution} {version(kind.distribution)}"
    found = {"library": library, "note": kind.note, "calls": calls, "failed": failed}
    print(json.dumps(found))
