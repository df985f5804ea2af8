"""When a process has begun to end, as Python ends: its pools take no more work, and are joined."""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import thread as pools


def tell_when_ending(tell: Callable[[], object]) -> None:
    """Calls `tell` then. Python tells nobody, so a thread looks again and again."""

    def watch() -> None:
        while not pools._shutdown:  # type: ignore[attr-defined]
            time.sleep(0.005)
        tell()

    threading.Thread(target=watch, daemon=True).start()


def say_when_ending() -> None:
    tell_when_ending(lambda: print("This process is ending.", file=sys.stderr, flush=True))
