"""`manage.py demo` as a process, and the marks it leaves on the outside."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

TOP = Path(__file__).resolve().parents[2]
LONGEST = 90


def environment(directory: Path) -> dict[str, str]:
    """The demo's own settings and a folder of its own, whatever this test run has set."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("JWT_OUTBOUND") and name != "DJANGO_SETTINGS_MODULE"
    }
    return kept | {"JWT_OUTBOUND_DEMO_DIR": str(directory)}


def manage(
    directory: Path, *arguments: str, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run `manage.py` to its end."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=TOP,
        env=environment(directory) | variables,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )


@dataclass(frozen=True)
class Demo:
    """A demo that is up."""

    process: "subprocess.Popen[str]"
    directory: Path
    greeting: str
    portal: str
    billing: str

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Send it a signal; its exit status and what else it said."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=LONGEST)
        return self.process.returncode, rest


@contextmanager
def demo(directory: Path, *arguments: str) -> Iterator[Demo]:
    """A running demo on free ports; ended on the way out if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "demo", "--port", "0", *arguments],
        cwd=TOP,
        env=environment(directory),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            greeting = _greeting(process)
            portal, billing = re.findall(r"http://127\.0\.0\.1:\d+", greeting)
            yield Demo(process, directory, greeting, portal, billing)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)


def _greeting(process: "subprocess.Popen[str]") -> str:
    """What it prints up to its last line, which says how to end it."""
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl-C" in line:
            return said
    raise AssertionError(f"the demo did not start:\n{said}")


@contextmanager
def line_to(url: str) -> Iterator[socket.socket]:
    """A connection that says nothing: it ends when the process at its other end does."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=LONGEST) as line:
        yield line


def answers(url: str) -> bool:
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname, address.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True
