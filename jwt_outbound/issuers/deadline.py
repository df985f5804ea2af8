"""Connections whose whole exchange ends at one moment, whatever the other side does.

urllib3's own time-outs bound each wait for the socket, so a byte a second lasts for ever. Here the
socket's time-out is what is left of the deadline, set anew before each read. There is no
keep-alive: a connection that the other side has just closed would look like a lost answer.
"""

import io
import socket
import threading
from http.client import HTTPResponse
from typing import Any, Final

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import wait_for_read

from jwt_outbound import clock
from jwt_outbound.forks import gate

LATE: Final = 0.25
"""Seconds after the deadline for reading what has arrived, where the process stood still."""


class Deadline(threading.local):
    """One thread's: it serves one exchange at a time."""

    ends_at = 0.0
    connected = False
    """Whether the exchange's connection ever stood."""

    def begin(self, seconds: float) -> None:
        """Another exchange, which lasts no longer than this."""
        self.ends_at, self.connected = clock.seconds() + seconds, False

    def left(self) -> float:
        """Seconds of it. Raises TimeoutError once it has passed."""
        seconds = self.ends_at - clock.seconds()
        if seconds <= 0:
            raise TimeoutError("the deadline has passed")
        return seconds


deadline: Final = Deadline()


class _Raw(io.RawIOBase):
    """A socket's reading side that runs out at the deadline."""

    def __init__(self, sock: Any) -> None:
        self._sock, self._ends_at = sock, deadline.ends_at
        self._late_until: float | None = None
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._ends_at - clock.seconds()
        self._sock.settimeout(left if left > 0 else self._left_for_what_is_here())
        with gate.open():
            return self._raw.readinto(buffer)  # type: ignore[no-any-return]

    def _left_for_what_is_here(self) -> float:
        """An answer that has arrived is not thrown away, though this process read it too late."""
        now = clock.seconds()
        if self._late_until is None:
            self._late_until = now + LATE
        if now >= self._late_until or not _has_arrived(self._sock):
            raise TimeoutError("the deadline has passed")
        return self._late_until - now

    def close(self) -> None:
        self._raw.close()
        super().close()


def _has_arrived(sock: Any) -> bool:
    """Whether there is something to read at once; TLS may have taken it off the socket already."""
    pending = getattr(sock, "pending", None)
    return bool(pending is not None and pending()) or wait_for_read(sock, timeout=0)


class _Reader:
    """What `http.client` needs of a socket to read from it."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Raw(self._sock))


class _LastResponse(HTTPResponse):
    """The connection ends with it, though the other side may offer to keep it."""

    def begin(self) -> None:
        super().begin()
        self.will_close = True


class _OfDeadline:
    """Mixed into urllib3's connections."""

    host: str
    port: int
    socket_options: Any
    debuglevel = 0
    """`http.client`'s own, which a project may have raised, prints what is sent."""

    def _new_conn(self) -> socket.socket:
        """The host's addresses in turn share the deadline: urllib3 would grant it to each."""
        error = OSError("the host has no address")
        for found in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            try:
                return self._connected(*found)
            except OSError as failure:
                error = failure
        raise error

    def _connected(self, family: int, kind: int, proto: int, _: str, address: Any) -> socket.socket:
        sock = socket.socket(family, kind, proto)
        try:
            for option in self.socket_options or ():
                sock.setsockopt(*option)
            sock.settimeout(deadline.left())
            with gate.open():
                sock.connect(address)
            sock.settimeout(deadline.left())
        except OSError:
            sock.close()
            raise
        return sock

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        # Finding the address can't be interrupted: what took too long is not sent any more.
        deadline.left()
        deadline.connected = True

    def response_class(self, sock: Any, *args: Any, **kwargs: Any) -> HTTPResponse:
        reader: Any = _Reader(sock)
        return _LastResponse(reader, *args, **kwargs)


class PlainConnection(_OfDeadline, HTTPConnection):  # type: ignore[misc]
    """Ends with the exchange's deadline."""


class TLSConnection(_OfDeadline, HTTPSConnection):  # type: ignore[misc]
    """The same over TLS."""
