"""The workers' side: `python -m tests.concurrency.worker SOCKET` forks a worker for each order.

It loads Django once and never opens a database itself, as a server does that preloads its
application. Orders are lines of JSON on standard input; when that ends, so do all workers.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import socket
import sys
import threading
import traceback
from typing import Any, NoReturn

from tests.concurrency.channel import Channel

PATIENCE = 60.0
"""Seconds after which a gate that nobody opens is an error of the test."""


class Stage:
    """What a job sees of the test: it tells how far it is, and waits at gates."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._gates: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    def tell(self, event: str, **about: Any) -> None:
        self._channel.send(event=event, **about)

    def wait(self, gate: str) -> None:
        if not self._gate(gate).wait(PATIENCE):
            raise TimeoutError(f"Nobody opened {gate!r}.")

    def open(self, gate: str) -> None:
        self._gate(gate).set()

    def _gate(self, gate: str) -> threading.Event:
        with self._lock:
            return self._gates.setdefault(gate, threading.Event())


def run_job(stage: Stage, channel: Channel, number: int, name: str, arguments: Any) -> None:
    from django.db import connections

    module, _, function = name.rpartition(".")
    try:
        job = getattr(importlib.import_module(f"tests.concurrency.jobs.{module}"), function)
        channel.send(job=number, result=job(stage, **arguments))
    except BaseException:  # noqa: BLE001 - whatever it was, the test has to hear of it
        channel.send(job=number, trouble=traceback.format_exc())
    finally:
        connections.close_all()


def work(address: str, order: dict[str, Any]) -> None:
    """A worker's life, from its order to the end of the conversation."""
    from tests.concurrency.fitting import fit_out

    sock = socket.socket(socket.AF_UNIX)
    sock.connect(address)
    channel = Channel(sock)
    stage = Stage(channel)
    fit_out(stage, order)
    channel.send(pid=os.getpid())
    for message in channel.read():
        if "open" in message:
            stage.open(message["open"])
        elif "leave" in message:
            stage.tell("leaving")
            return
        else:
            arguments = (stage, channel, message["job"], message["do"], message["with"])
            threading.Thread(target=run_job, args=arguments, daemon=True).start()
    os._exit(0)


def launch(address: str) -> NoReturn:
    import django

    # Everything at DEBUG, so that the test can look for tokens in what the libraries log.
    logging.basicConfig(level=logging.DEBUG, format="%(process)d %(name)s %(message)s")
    django.setup()
    for module in ("calls", "rows", "transactions", "tenancy", "loops", "forks", "clocks"):
        importlib.import_module(f"tests.concurrency.jobs.{module}")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    workers: list[int] = []
    for line in iter(sys.stdin.buffer.readline, b""):
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            work(address, json.loads(line))
            sys.exit(0)
        workers.append(pid)
    for pid in workers:
        _kill(pid)
    sys.exit(0)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it has left already


if __name__ == "__main__":
    launch(sys.argv[1])
