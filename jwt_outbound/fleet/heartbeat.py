"""A file whose age tells whether a worker is alive, for a liveness probe or a watchdog."""

import json
import os
import time
from collections import Counter
from pathlib import Path

from jwt_outbound.fleet.results import Result


class Heartbeat:
    """Writes `path` at every beat; without a path, nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def beat(self, counts: Counter[Result]) -> None:
        """The worker has just looked at the database. Raises OSError where it can't be written."""
        if self._path is None:
            return
        beat = {"at": round(time.time(), 3), "pid": os.getpid(), "counts": dict(counts)}
        new = self._path.parent / f"{self._path.name}.{os.getpid()}.new"
        try:
            new.write_text(json.dumps(beat) + "\n")
            new.replace(self._path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
