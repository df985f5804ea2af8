"""The HTTP side: standard library, one daemon thread a connection, HTTP/1.1 with keep-alive."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.issuer_server.wire import Call, Delivery

Answer = Callable[[Call], Delivery]
JOIN_SECONDS = 5.0


class Server(ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, port: int, answer: Answer) -> None:
        self.answer = answer
        self.stopping = threading.Event()
        self.errors: list[Exception] = []
        self._open: dict[socket.socket, threading.Thread] = {}
        self._guard = threading.Lock()
        super().__init__(("127.0.0.1", port), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            name="strict-issuer-connection",
            daemon=True,
        )
        with self._guard:
            self._open[request] = thread
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._guard:
                self._open.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        # A client that leaves early is what some of the failures are for.
        if isinstance(error, Exception) and not isinstance(error, ConnectionError | TimeoutError):
            self.errors.append(error)

    def stop(self) -> None:
        """Stop listening and cut every connection, as a host does that goes away."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._guard:
            left = dict(self._open)
        for connection, thread in left.items():
            _cut(connection)
            thread.join(JOIN_SECONDS)


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it ended by itself meanwhile


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: request lines may hold what a test calls secret."""

    def handle_call(self) -> None:
        delivery = self.server.answer(self._read_call())
        for pause, data in delivery.pieces:
            if pause and self.server.stopping.wait(pause):
                break
            self.wfile.write(data)
        if delivery.close:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = handle_call  # noqa: N815

    def _read_call(self) -> Call:
        parts = urlsplit(self.path)
        host, port = self.client_address[:2]
        return Call(
            method=self.command,
            path=parts.path,
            query=dict(parse_qsl(parts.query)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self._read_body(),
            client=f"{host}:{port}",
        )

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(self._read_chunks())
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _read_chunks(self) -> list[bytes]:
        chunks: list[bytes] = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            continue
        return chunks
