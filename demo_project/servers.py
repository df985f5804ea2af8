"""Starts the demo's two services, waits until both answer, and ends them."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from demo_project import places

HOST = "127.0.0.1"
START_SECONDS = 60
STOP_SECONDS = 15


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class Server:
    name: str
    url: str
    log: Path
    process: "subprocess.Popen[bytes]"
    environment: dict[str, str] = field(repr=False)

    def check_alive(self, within: float) -> None:
        """Watch it for so many seconds; raises `DemoError` when it has ended."""
        try:
            status = self.process.wait(timeout=within)
        except subprocess.TimeoutExpired:
            return
        raise DemoError(f"{self.title} ended with status {status}; its log is {self.log}.")

    @property
    def title(self) -> str:
        return "The portal" if self.name == "portal" else self.name.capitalize()

    def wait_until_it_answers(self) -> None:
        """Its socket listens from the start, so one request waits for the first answer."""
        try:
            requests.get(self.url, timeout=START_SECONDS, allow_redirects=False)
        except requests.RequestException:
            raise DemoError(f"{self.title} did not start; its log is {self.log}.") from None

    def stop(self) -> None:
        """Close its standard input, which tells it to finish, and wait for it."""
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def listen(port: int, option: str) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    try:
        return socket.create_server((HOST, port), backlog=128)
    except OverflowError:
        raise DemoError(f"{port} is no port: give {option} a number from 0 to 65535.") from None
    except OSError as failure:
        reason = os.strerror(failure.errno) if failure.errno else str(failure)
        raise DemoError(
            f"Cannot listen on {HOST}:{port}: {reason}. "
            f"Give another port with {option}, or 0 for a free one."
        ) from None


def address_of(listening: socket.socket) -> str:
    return "http://{}:{}".format(*listening.getsockname())


def start(name: str, listening: socket.socket, environment: dict[str, str]) -> Server:
    log = Path(environment[places.DIRECTORY]) / f"{name}.log"
    with listening, log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "demo_project.serve", name, str(listening.fileno())],
            cwd=places.TOP,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[listening.fileno()],
            start_new_session=True,  # Ctrl-C is for the command alone: it ends both in order.
        )
        return Server(name, address_of(listening), log, process, environment)


@contextmanager
def running(
    portal_port: int, billing_port: int, directory: Path, **extra: str
) -> Iterator[tuple[Server, Server]]:
    """Portal and billing, both answering; on the way out both are ended."""
    with ExitStack() as cleanup:
        portal_socket = cleanup.enter_context(listen(portal_port, "--port (make demo PORT=...)"))
        billing_socket = cleanup.enter_context(listen(billing_port, "--billing-port"))
        environment = (
            os.environ
            | extra
            | {
                places.DIRECTORY: str(directory),
                places.BILLING_URL: address_of(billing_socket),
                places.CONTROLS: "1",
            }
        )
        billing = start("billing", billing_socket, environment)
        cleanup.callback(billing.stop)
        portal = start("portal", portal_socket, environment)
        cleanup.callback(portal.stop)
        billing.wait_until_it_answers()
        portal.wait_until_it_answers()
        yield portal, billing


@contextmanager
def announced(billing: Server, directory: Path) -> Iterator[None]:
    """Leave billing's address where ``manage.py outbound_call`` in another terminal finds it."""
    note = directory / places.ANNOUNCED
    note.write_text(billing.url)
    try:
        yield
    finally:
        note.unlink(missing_ok=True)
