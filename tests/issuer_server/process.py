"""Start a server module as a process of its own, and end it whatever happens.

The child prints one line, `{"port": N}`, when it listens. It reads its standard input and leaves
when that ends, so that a test run which is killed leaves no server behind.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
END_SECONDS = 10.0


class ServerDidNotStart(RuntimeError):
    """The process ended or stayed silent before it said which port it serves."""


@dataclass(frozen=True)
class Served:
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Stoppable(Protocol):
    def shutdown(self) -> None: ...


@contextmanager
def running_process(module: str, arguments: Sequence[str] = ()) -> Iterator[Served]:
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "--with-parent", *arguments],
            cwd=ROOT,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        try:
            yield Served(port=_read_port(process, module, errors), process=process)
        finally:
            _end(process)


def _environment() -> dict[str, str]:
    # The servers bring settings of their own; the test run's must not reach them.
    return {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}


def _read_port(process: subprocess.Popen[bytes], module: str, errors: IO[bytes]) -> int:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline() if ready else b""
    if not line:
        errors.seek(0)
        said = errors.read().decode(errors="replace")[-4000:]
        raise ServerDidNotStart(f"{module} printed no port within {START_SECONDS:.0f} s: {said}")
    return int(json.loads(line)["port"])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def announce(port: int) -> None:
    """The child's side: the one line that `running_process` waits for."""
    print(json.dumps({"port": port}), flush=True)


def stop_with_parent(server: Stoppable) -> None:
    """The child's side: shut down when the parent's end of standard input is closed."""

    def wait() -> None:
        sys.stdin.buffer.read()
        server.shutdown()

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()
