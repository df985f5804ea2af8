"""The tests' side: hire workers, give them jobs, stop them where it hurts."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tests.concurrency.channel import Channel
from tests.concurrency.databases import Databases
from tests.issuer_server.process import ROOT

PATIENCE = 60.0


class JobFailed(RuntimeError):
    """A job raised in its worker; the message is the traceback there."""


class WorkerGone(RuntimeError):
    """The worker ended before it answered."""


class Worker:
    """A process that carries out jobs."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._messages = channel.read()
        self.pid = int(next(self._messages)["pid"])
        self._numbers = count(1)
        self._jobs: dict[int, Future[Any]] = {}
        self._changed = threading.Condition()
        self._events: Counter[str] = Counter()
        self._gone = False
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def start(self, job: str, /, **arguments: Any) -> Future[Any]:
        """Begins `job`, a function of `tests.concurrency.jobs`; its result is what it returned."""
        number, future = next(self._numbers), Future[Any]()
        with self._changed:
            if self._gone:
                raise WorkerGone(f"Worker {self.pid} is gone.")
            self._jobs[number] = future
        self._channel.send(job=number, do=job, **{"with": arguments})
        return future

    def do(self, job: str, /, **arguments: Any) -> Any:
        return self.start(job, **arguments).result(PATIENCE)

    def expect(self, event: str, times: int = 1) -> None:
        """Waits until the worker has told of `event` so many times since the last `expect`."""
        with self._changed:
            enough = self._changed.wait_for(
                lambda: self._events[event] >= times or self._gone, PATIENCE
            )
            if not enough or self._events[event] < times:
                told = f"{self._events[event]} of {times} times"
                raise TimeoutError(f"Worker {self.pid} told of {event!r} {told}.")
            self._events[event] -= times

    def open(self, gate: str) -> None:
        self._channel.send(open=gate)

    def kill(self) -> None:
        """As `kill -9`; returns when the process is gone."""
        self._signal(signal.SIGKILL)
        self.wait_gone()

    def pause(self) -> None:
        """SIGSTOP; returns when the process stands still."""
        self._signal(signal.SIGSTOP)
        while not self._stands_still():
            os.sched_yield()

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def leave(self) -> None:
        """Tells the process to end as Python ends, exit hooks included."""
        self._channel.send(leave=True)

    def wait_gone(self) -> None:
        self._reader.join(PATIENCE)
        if self._reader.is_alive():
            raise TimeoutError(f"Worker {self.pid} did not end.")

    def dismiss(self) -> None:
        if not self._gone:
            self.kill()
        self._channel.close()

    def _stands_still(self) -> bool:
        status = Path(f"/proc/{self.pid}/stat").read_text()
        return status.rpartition(")")[2].split()[0] == "T"

    def _signal(self, number: int) -> None:
        if not self._gone:
            os.kill(self.pid, number)

    def _listen(self) -> None:
        for message in self._messages:
            with self._changed:
                if "event" in message:
                    self._events[message["event"]] += 1
                    self._changed.notify_all()
                    continue
                future = self._jobs.pop(message["job"])
            if "trouble" in message:
                future.set_exception(JobFailed(message["trouble"]))
            else:
                future.set_result(message["result"])
        with self._changed:
            self._gone = True
            jobs, self._jobs = self._jobs, {}
            self._changed.notify_all()
        for future in jobs.values():
            future.set_exception(WorkerGone(f"Worker {self.pid} ended before it answered."))


class Fleet:
    """The launcher, and the workers that it has forked."""

    def __init__(self, databases: Databases, engine: str) -> None:
        self.databases = databases
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.concurrency.settings",
            "JWT_OUTBOUND_TEST_DB": engine,
            "JWT_OUTBOUND_STAGE": json.dumps({"databases": databases.names}),
        }
        self._folder = tempfile.TemporaryDirectory(prefix="jwt_outbound_fleet_")
        self._log = Path(self._folder.name) / "log"
        address = str(Path(self._folder.name) / "socket")
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(address)
        self._door.listen()
        self._door.settimeout(PATIENCE)
        self._launcher = self._start(address)
        self._workers: list[Worker] = []

    def _start(self, address: str) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.concurrency.worker", address],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    def hire(self, **order: Any) -> Worker:
        """A new worker; see `fitting.fit_out` for what can be ordered."""
        assert self._launcher.stdin is not None
        self._launcher.stdin.write(json.dumps(order).encode() + b"\n")
        self._launcher.stdin.flush()
        try:
            sock, _ = self._door.accept()
        except TimeoutError:
            raise WorkerGone(self.said()[-4000:]) from None
        sock.settimeout(None)
        worker = Worker(Channel(sock))
        self._workers.append(worker)
        return worker

    def do(self, job: str, /) -> None:
        """All workers carry out `job`, which takes no arguments."""
        for worker in self._workers:
            worker.do(job)

    def said(self) -> str:
        """What the workers have logged up to now."""
        return self._log.read_text(errors="replace")

    def dismiss(self) -> None:
        """Ends all workers; the launcher stays."""
        for worker in self._workers:
            worker.dismiss()
        self._workers.clear()

    def close(self) -> None:
        self.dismiss()
        assert self._launcher.stdin is not None
        self._launcher.stdin.close()
        self._launcher.wait(PATIENCE)
        self._door.close()
        self._folder.cleanup()


@contextmanager
def launched(databases: Databases, engine: str) -> Iterator[Fleet]:
    """A fleet on these databases, in which all tables are made."""
    fleet = Fleet(databases, engine)
    try:
        fleet.hire().do("rows.migrate")
        fleet.dismiss()
        yield fleet
    finally:
        fleet.close()
