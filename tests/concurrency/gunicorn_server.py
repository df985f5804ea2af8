"""A real gunicorn that serves `site`, for tests in which a worker process is recycled."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress

import requests

from tests.concurrency.scene import Scene, User
from tests.issuer_server.process import ROOT

APPLICATION = "tests.concurrency.wsgi"
EARLY_CALL = "JWT_OUTBOUND_EARLY_CALL"
PATIENCE = 60


class Gunicorn:
    def __init__(self, process: subprocess.Popen[str], port: int, scene: Scene) -> None:
        self._process = process
        self._root = f"http://127.0.0.1:{port}"
        self._scene = scene
        self._pool = ThreadPoolExecutor(4)

    def start_call(self, user: User) -> Future[tuple[int, str]]:
        """Requests the page that calls on the user's behalf: status and the token's fingerprint."""
        return self._pool.submit(self._get, f"/{self._scene.service}/call/{user.id}/")

    def call(self, user: User) -> tuple[int, str]:
        return self.start_call(user).result(PATIENCE)

    def pid(self) -> int:
        """Of the worker that answers."""
        return int(self._get("/pid/")[1])

    def _get(self, path: str) -> tuple[int, str]:
        # A connection of its own for each request, as a worker that leaves closes what it has.
        answer = requests.get(self._root + path, timeout=PATIENCE)
        return answer.status_code, answer.text

    def terminate(self) -> None:
        """SIGTERM; returns when gunicorn has taken note of it."""
        self._process.send_signal(signal.SIGTERM)
        self.read_log("Handling signal: term")

    def read_log(self, words: str) -> None:
        """Reads on in the log up to a line with these words."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if words in line:
                return
        raise AssertionError(f"Gunicorn never said {words!r}.")

    def wait(self) -> int:
        return self._process.wait(PATIENCE)

    def close(self) -> None:
        """Ends the master and whatever workers it has, by the group that was made for them."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)
        self._pool.shutdown()
        assert self._process.stderr is not None
        self._process.stderr.close()


@contextmanager
def running(scene: Scene, *options: str, early: User | None = None) -> Iterator[Gunicorn]:
    """`early`: a call for this user is made while the site is loaded, which the issuer holds."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        gunicorn = _start(scene, door, options, early)
    try:
        yield gunicorn
    finally:
        gunicorn.close()


def _start(
    scene: Scene, door: socket.socket, options: tuple[str, ...], early: User | None
) -> Gunicorn:
    environment = dict(scene.fleet.environment)
    stage = {"databases": scene.fleet.databases.names, "settings": scene.settings()}
    environment["JWT_OUTBOUND_STAGE"] = json.dumps(stage)
    if early is not None:
        call = {"service": scene.service, "user": early.id, "issuer": scene.issuer.url}
        environment[EARLY_CALL] = json.dumps(call)
    listen = ("--bind", f"fd://{door.fileno()}", "--no-control-socket")
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *listen, *options, APPLICATION],
        cwd=ROOT,
        env=environment,
        pass_fds=[door.fileno()],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    return Gunicorn(process, door.getsockname()[1], scene)
