"""The strict issuer as a process: `python -m tests.issuer_server --port 0`."""

from __future__ import annotations

import argparse
import signal
import threading
from contextlib import suppress

from tests.issuer_server.issuer import StrictIssuer
from tests.issuer_server.process import announce, stop_with_parent


class _Leave:
    def __init__(self) -> None:
        self.now = threading.Event()

    def shutdown(self) -> None:
        self.now.set()


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.issuer_server")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--with-parent", action="store_true", help="end when stdin ends")
    arguments = parser.parse_args()
    leave = _Leave()
    signal.signal(signal.SIGTERM, lambda *_: leave.shutdown())
    issuer = StrictIssuer(port=arguments.port)
    try:
        issuer.start()
    except OSError as error:
        parser.error(f"cannot listen at port {arguments.port}: {error.strerror}")
    if arguments.with_parent:
        stop_with_parent(leave)
    announce(issuer.port)
    with suppress(KeyboardInterrupt):
        leave.now.wait()
    issuer.stop()


if __name__ == "__main__":
    main()
