"""Lines of JSON over a socket: how the tests and a worker talk."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any


class Channel:
    """One end; whoever writes holds the lock, so lines stay whole."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lines = sock.makefile("rb")
        self._lock = threading.Lock()

    def send(self, **message: Any) -> None:
        line = json.dumps(message, default=str).encode() + b"\n"
        with self._lock:
            self._sock.sendall(line)

    def read(self) -> Iterator[dict[str, Any]]:
        """The other end's messages, until it is gone."""
        while line := self._read_line():
            yield json.loads(line)

    def _read_line(self) -> bytes:
        try:
            return self._lines.readline()
        except ConnectionError:
            return b""

    def close(self) -> None:
        self._lines.close()
        self._sock.close()
