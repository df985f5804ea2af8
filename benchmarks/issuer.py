"""A strict issuer and its API for benchmarks: of an exchange's time next to nothing is its own.

`tests.issuer_server` does the same work in Python threads, and on two cores that work would be a
good part of what is measured. This one is an `asyncio.Protocol`: a refresh token is good once, a
second presentation ends its family, presentations are counted, access tokens run out. Two ports,
so that the token endpoint can refuse connections (`down`) while API and control go on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import requests

from benchmarks.ledger import Ledger
from tests.issuer_server.process import announce, running_process

BACKLOG: Final = 1024


class Connection(asyncio.Protocol):
    """One connection of a client; one request after the other."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        line, *rest = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (each.partition(": ") for each in rest)
        }
        if len(body) < int(headers.get("content-length", 0)):
            return
        self._received = b""
        self._server.answer(line.split()[1], headers, body, self)

    def send(self, status: int, said: Any) -> None:
        body = json.dumps(said).encode()
        self._transport.write(  # type: ignore[attr-defined]
            b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (status, len(body), body)
        )


class Server:
    """The two ports."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self._loop = asyncio.get_running_loop()
        self._door: asyncio.Server | None = None
        self._port = 0

    async def open(self) -> int:
        """Listens; the port of API and control."""
        await self._open_door(socket.create_server(("127.0.0.1", 0), backlog=BACKLOG))
        other = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        await self._listen(other)
        return int(other.getsockname()[1])

    async def _open_door(self, door: socket.socket) -> None:
        self._port = door.getsockname()[1]
        self._door = await self._listen(door)

    async def _listen(self, door: socket.socket) -> asyncio.Server:
        return await self._loop.create_server(lambda: Connection(self), sock=door, backlog=BACKLOG)

    def answer(self, path: str, headers: dict[str, str], body: bytes, to: Connection) -> None:
        if path == "/token/refresh/":
            self._exchange(json.loads(body)["refresh"], to)
        elif path == "/control/":
            order = json.loads(body)
            to.send(200, getattr(self, order.pop("do"))(**order))
        else:
            status = self.ledger.check(headers.get("authorization", "").partition(" ")[2])
            to.send(status, {"total": "12.50"} if status == 200 else {"detail": "No."})

    def _exchange(self, token: str, to: Connection) -> None:
        began = time.monotonic()

        def finish() -> None:
            pair = self.ledger.spend(token)
            self.ledger.seconds.append(time.monotonic() - began)
            refused = {"detail": "Token is blacklisted", "code": "token_not_valid"}
            to.send(200 if pair else 401, pair or refused)

        self._loop.call_later(self.ledger.delay, finish)

    # What /control/ can be told to do

    def about(self) -> dict[str, int]:
        return {"issuer_port": self._port}

    def configure(self, **how: float) -> None:
        for name, value in how.items():
            setattr(self.ledger, name, value)

    def pairs(self, number: int, lifetime: float, age: float = 0) -> list[dict[str, str]]:
        return [self.ledger.issue([True], lifetime, age) for _ in range(number)]

    def counts(self) -> dict[str, Any]:
        return self.ledger.counts()

    def down(self) -> None:
        """Connections are refused from now on; what is under way is answered."""
        if self._door is not None:
            # Not before what was accepted just now has its transport: asyncio would drop that
            # connection and leave it open, and its caller would wait out his deadline.
            self._loop.call_soon(self._door.close)
            self._door = None

    def up(self) -> None:
        """Connections are taken again before this is answered: the socket listens at once."""
        door = socket.create_server(("127.0.0.1", self._port), backlog=BACKLOG)
        self._opening = self._loop.create_task(self._open_door(door))


class Issuer:
    """The issuer, as the benchmark's own process sees it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.api_url = f"{url}/api/"
        self._control = f"{url}/control/"
        self._session = requests.Session()
        self.refresh_url = f"http://127.0.0.1:{self.do('about')['issuer_port']}/token/refresh/"

    def do(self, verb: str, **arguments: Any) -> Any:
        """One of the server's verbs; see there."""
        answer = self._session.post(self._control, json={"do": verb, **arguments})
        answer.raise_for_status()
        return answer.json()

    def service(self, **options: Any) -> dict[str, Any]:
        """Its settings as a service of `JWT_OUTBOUND`."""
        return {
            "BASE_URL": self.api_url,
            "ISSUER": "jwt_outbound.issuers.SimpleJWTIssuer",
            "OPTIONS": {"refresh_url": self.refresh_url},
            **options,
        }


@contextmanager
def issuing(**how: float) -> Iterator[Issuer]:
    """The issuer in a process of its own while the `with` lasts."""
    with running_process("benchmarks.issuer") as served:
        issuer = Issuer(served.url)
        issuer.do("configure", **how)
        yield issuer


async def _serve() -> None:
    announce(await Server().open())
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--with-parent", action="store_true", help="ends with its standard input")
    parser.parse_args()
    asyncio.run(_serve())
