"""Processes that end in a flight's midst: gunicorn and uvicorn with `site`, and a command."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress

import requests

from tests.concurrency.scene import Scene, User
from tests.issuer_server.process import ROOT

EARLY_CALL = "JWT_OUTBOUND_EARLY_CALL"
PATIENCE = 60


class Server:
    """A process, of which a server's requests may be made."""

    def __init__(self, process: subprocess.Popen[str], port: int, scene: Scene) -> None:
        self._process = process
        self._root = f"http://127.0.0.1:{port}"
        self._scene = scene
        self._pool = ThreadPoolExecutor(4)

    def found(self, port: int) -> None:
        """It has said where it listens."""
        self._root = f"http://127.0.0.1:{port}"

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

    def watch(self) -> None:
        """The worker that answers will say when it begins to end (see `read_log`)."""
        self._get("/watch/")

    def terminate(self) -> None:
        """SIGTERM; returns when gunicorn has taken note of it."""
        self.send(signal.SIGTERM)
        self.read_log("Handling signal: term")

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def read_log(self, words: str) -> str:
        """Reads on in the log up to a line with these words."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if words in line:
                return line
        raise AssertionError(f"The server never said {words!r}.")

    def wait(self) -> int:
        return self._process.wait(PATIENCE)

    def close(self) -> None:
        """Ends the server and whatever workers it has, by the group that was made for them."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)
        self._pool.shutdown()
        assert self._process.stderr is not None
        print(self._process.stderr.read())  # pytest shows it where the test failed
        self._process.stderr.close()


@contextmanager
def running(scene: Scene, *options: str, early: User | None = None) -> Iterator[Server]:
    """A gunicorn. `early`: a call for this user is made while the site is loaded, which the issuer
    holds."""
    environment = {}
    if early is not None:
        call = {"service": scene.service, "user": early.id, "issuer": scene.issuer.url}
        environment[EARLY_CALL] = json.dumps(call)
    with socket.create_server(("127.0.0.1", 0)) as door:
        listen = ("--bind", f"fd://{door.fileno()}", "--no-control-socket")
        command = ("gunicorn", *listen, *options, "tests.concurrency.wsgi")
        server = _start(scene, command, environment, door)
    with closing(server):
        yield server


@contextmanager
def running_asgi(scene: Scene) -> Iterator[Server]:
    """A uvicorn."""
    listen = ("--port", "0", "--no-access-log", "--no-use-colors")
    with closing(
        _start(scene, ("uvicorn", *listen, "tests.concurrency.asgi:application"))
    ) as server:
        line = server.read_log("Uvicorn running on")
        server.found(int(re.findall(r":(\d+) ", line)[0]))
        yield server


@contextmanager
def running_command(scene: Scene, user: User) -> Iterator[Server]:
    """A command that calls for the user."""
    who = json.dumps({"service": scene.service, "user": user.id})
    with closing(_start(scene, ("tests.concurrency.command", who))) as server:
        yield server


def _start(
    scene: Scene,
    command: tuple[str, ...],
    environment: dict[str, str] | None = None,
    door: socket.socket | None = None,
) -> Server:
    stage = {"databases": scene.fleet.databases.names, "settings": scene.settings()}
    own = {"JWT_OUTBOUND_STAGE": json.dumps(stage), **(environment or {})}
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**scene.fleet.environment, **own},
        pass_fds=[door.fileno()] if door else [],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    return Server(process, door.getsockname()[1] if door else 0, scene)
