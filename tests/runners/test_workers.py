"""A due token is served at once, and a worker process of the queue refreshes it: once."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.issuer_server import StrictIssuer, serve
from tests.issuer_server.process import ROOT
from tests.issuer_server.wire import fingerprint

PATIENCE = 60
WORKERS = {
    "tasks": ["django", "db_worker", "--no-startup-delay", "--interval=0.05", "--no-reload"],
    "celery": ["celery", "-A", "tests.runners.celery_app", "worker", "--pool=solo"],
}


class Site:
    """The project's processes, which share a folder."""

    def __init__(self, folder: Path, issuer: StrictIssuer, kind: str) -> None:
        for name in ("broker", "control"):
            (folder / name).mkdir()
        service = {
            "BASE_URL": issuer.base_url,
            "ISSUER": "jwt_outbound.issuers.SimpleJWTIssuer",
            "OPTIONS": issuer.options,
        }
        runner = f"jwt_outbound.runners.{kind}.enqueue"
        ours = {"SERVICES": {"billing": service}, "REFRESH_AHEAD_RUNNER": runner}
        self.environment = self._environment(folder, ours)
        # A worker is told nothing of the runner.
        self.workers_environment = self._environment(folder, {"SERVICES": ours["SERVICES"]})
        self.kind = kind
        self.run("django", "migrate", "--run-syncdb", "--verbosity=0")

    def _environment(self, folder: Path, ours: dict[str, Any]) -> dict[str, str]:
        stage = {"folder": str(folder), "jwt_outbound": ours}
        own = {"DJANGO_SETTINGS_MODULE": "tests.runners.settings"}
        return {**os.environ, **own, "RUNNERS_STAGE": json.dumps(stage)}

    def run(self, module: str, *arguments: str, said: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=self.environment,
            input=said,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def visit(self, name: str, calls: int = 1, pair: dict[str, Any] | None = None) -> Any:
        said = self.run("tests.runners.visit", name, str(calls), said=json.dumps(pair))
        return json.loads(said)

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, "-m", *WORKERS[self.kind]],
            cwd=ROOT,
            env=self.workers_environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.fixture(params=sorted(WORKERS))
def site(request: pytest.FixtureRequest, tmp_path: Path, issuer: StrictIssuer) -> Site:
    return Site(tmp_path, issuer, request.param)


@pytest.fixture
def issuer() -> Iterator[StrictIssuer]:
    with serve() as issuer:
        yield issuer


def test_a_worker_refreshes_what_a_call_has_met(site: Site, issuer: StrictIssuer) -> None:
    """It is told to end while the issuer has its request, and ends when the answer is saved."""
    pair = issuer.pair_for("alice")
    visit = site.visit("alice", 3, pair)
    assert visit == {"tokens": [fingerprint(pair["access"])] * 3, "generation": 1}
    assert issuer.presentations() == []
    issuer.hold()
    with site.worker() as worker:
        issuer.wait_inside(1, timeout=PATIENCE)
        worker.send_signal(signal.SIGTERM)
        issuer.release()
        said, _ = worker.communicate(timeout=PATIENCE)
    assert worker.returncode == 0, said
    later = site.visit("alice")
    assert later["generation"] == 2
    assert later["tokens"] != visit["tokens"][:1]
    assert len(issuer.presentations()) == 1
