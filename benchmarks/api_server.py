"""The API that is called: the fastest server that plain Python has, in a process of its own.

An `asyncio.Protocol` that answers each keep-alive request with the same few bytes and parses
nothing: of a call's time next to nothing is the server's, so that what a client adds shows.
"""

import argparse
import asyncio
import sys
from contextlib import AbstractContextManager

from tests.issuer_server.process import Served, announce, running_process

BODY = b'{"id": 7, "total": "12.50"}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
) + BODY
END = b"\r\n\r\n"


def serving() -> AbstractContextManager[Served]:
    """The server runs while the `with` lasts; `.url` is its address."""
    return running_process("benchmarks.api_server")


class Answering(asyncio.Protocol):
    """One connection of a client, whose requests have no body."""

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(END)
        for _ in requests:
            self._transport.write(ANSWER)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=1024)
    announce(server.sockets[0].getsockname()[1])
    await loop.run_in_executor(None, sys.stdin.buffer.read)  # until the parent is gone


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--with-parent", action="store_true", help="ends with its standard input")
    parser.parse_args()
    asyncio.run(_serve())
