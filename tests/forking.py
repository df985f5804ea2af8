"""What a forked child finds of its parent: run in one, and told through a pipe."""

import json
import os
import traceback
import warnings
from collections.abc import Callable
from typing import Any


def in_a_fork(function: Callable[[], Any]) -> Any:
    """The result of `function` in a child of this process; it must be JSON."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns of forks among threads, which are what is tried here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        _tell(writing, function)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    kind, result = json.loads(said)
    assert kind == "result", result
    return result


def _tell(pipe: int, function: Callable[[], Any]) -> None:
    try:
        said = ["result", function()]
    except BaseException:  # noqa: BLE001 - a child must not go on as a second test run
        said = ["error", traceback.format_exc()]
    os.write(pipe, json.dumps(said).encode())
    os._exit(0)
