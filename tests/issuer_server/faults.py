"""Failures on order: what goes wrong at a door, how often, and what then goes over the wire."""

from __future__ import annotations

import gzip
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.issuer_server.wire import Delivery, Piece, Reply, html_reply, whole

CHUNK = 64 * 1024
JSON_TYPE = ("Content-Type", "application/json")


@dataclass(frozen=True, kw_only=True)
class Fault:
    mode: str
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    seconds: float = 1.0
    location: str = ""
    size: int = 50_000_000
    after_rotation: bool | None = None
    """Whether the issuer does its work (spends the token) before it fails; None: the mode's way."""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"There is no failure {self.mode!r}; there are {', '.join(MODES)}.")

    @property
    def works_first(self) -> bool:
        return MODES[self.mode].works_first if self.after_rotation is None else self.after_rotation

    def deliver(self, reply: Reply) -> Delivery:
        return MODES[self.mode].deliver(self, reply)


@dataclass(frozen=True)
class Mode:
    """`works_first`: its answer is the real one, spoilt on the way; so there must be one."""

    deliver: Callable[[Fault, Reply], Delivery]
    works_first: bool = False


def _status(fault: Fault, reply: Reply) -> Delivery:
    body = fault.body
    if body is None:
        body = '{"detail":"This failure was ordered by a test."}'
    headers = {"Content-Type": "application/json", **fault.headers}
    return whole(Reply(fault.status, body.encode(), tuple(headers.items())))


def _html(fault: Fault, reply: Reply) -> Delivery:
    page = "<!doctype html><html><body><h1>Sign in</h1><form></form></body></html>"
    return whole(html_reply(200, page))


def _garbage(fault: Fault, reply: Reply) -> Delivery:
    return whole(Reply(200, bytes(range(255, -1, -1)), (JSON_TYPE,)))


def _empty(fault: Fault, reply: Reply) -> Delivery:
    return whole(Reply(200, b"", (JSON_TYPE,)))


def _redirect(fault: Fault, reply: Reply) -> Delivery:
    status = fault.status if 300 <= fault.status < 400 else 302
    return whole(Reply(status, b"", (("Location", fault.location),)))


def _padding(size: int) -> Iterator[bytes]:
    yield b'{"access": "'
    for start in range(0, size, CHUNK):
        yield b"a" * min(CHUNK, size - start)
    yield b'"}'


def _huge(fault: Fault, reply: Reply) -> Delivery:
    length = sum(map(len, _padding(0))) + fault.size
    head = Reply(200, b"", (JSON_TYPE,)).head(f"Content-Length: {length}")
    return Delivery(_at_once(head, _padding(fault.size)), status=200)


def _huge_chunked(fault: Fault, reply: Reply) -> Delivery:
    head = Reply(200, b"", (JSON_TYPE,)).head("Transfer-Encoding: chunked")
    parts = itertools.chain(_padding(fault.size), (b"",))
    chunks = (b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return Delivery(_at_once(head, chunks), status=200)


def _bomb(fault: Fault, reply: Reply) -> Delivery:
    packed = gzip.compress(b"".join(_padding(fault.size)))
    return whole(Reply(200, packed, (JSON_TYPE, ("Content-Encoding", "gzip"))))


def _at_once(head: bytes, parts: Iterator[bytes]) -> Iterator[Piece]:
    yield 0.0, head
    for part in parts:
        yield 0.0, part


def _byte_by_byte(data: bytes, pause: float) -> Iterator[Piece]:
    return ((pause, data[at : at + 1]) for at in range(len(data)))


def _drip(fault: Fault, reply: Reply) -> Delivery:
    def pieces() -> Iterator[Piece]:
        yield 0.0, reply.head()
        yield from _byte_by_byte(reply.body, fault.seconds)

    return Delivery(pieces(), status=reply.status)


def _drip_headers(fault: Fault, reply: Reply) -> Delivery:
    return Delivery(_byte_by_byte(reply.raw(), fault.seconds), status=reply.status)


def _slow(fault: Fault, reply: Reply) -> Delivery:
    return Delivery(((fault.seconds, reply.raw()),), status=reply.status)


def _truncate(fault: Fault, reply: Reply) -> Delivery:
    cut = len(reply.head()) + len(reply.body) // 2
    return Delivery(((0.0, reply.raw()[:cut]),), close=True, status=reply.status)


def _drop(fault: Fault, reply: Reply) -> Delivery:
    return Delivery((), close=True)


MODES: dict[str, Mode] = {
    "status": Mode(_status),
    "html": Mode(_html),
    "garbage": Mode(_garbage),
    "empty": Mode(_empty),
    "redirect": Mode(_redirect),
    "huge": Mode(_huge),
    "huge-chunked": Mode(_huge_chunked),
    "bomb": Mode(_bomb),
    "drop-before": Mode(_drop),
    "drop-after": Mode(_drop, works_first=True),
    "drip": Mode(_drip, works_first=True),
    "drip-headers": Mode(_drip_headers, works_first=True),
    "slow": Mode(_slow, works_first=True),
    "truncate": Mode(_truncate, works_first=True),
}


class FaultQueue:
    """First ordered, first done; each request at the door takes one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Fault, int | None]] = deque()

    def order(self, fault: Fault, times: int | None) -> None:
        """`times=None` goes on until `heal()`."""
        with self._lock:
            self._waiting.append((fault, times))

    def take(self) -> Fault | None:
        with self._lock:
            if not self._waiting:
                return None
            fault, left = self._waiting[0]
            if left is not None and left <= 1:
                self._waiting.popleft()
            elif left is not None:
                self._waiting[0] = (fault, left - 1)
            return fault

    def heal(self) -> None:
        with self._lock:
            self._waiting.clear()
