"""One service of the demo as a process: ``python -m demo_project.serve portal 5``.

5 is the listening socket that the demo command has opened and hands down, so that a busy port is
found before anything starts and a free one is known at once. The process ends when its standard
input does: the demo command holds the other end, and even killed it leaves nothing behind.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from importlib import import_module

import django
from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import call_command
from django.core.servers.basehttp import (
    ThreadedWSGIServer,
    WSGIRequestHandler,
    get_internal_wsgi_application,
)


class HandedDownServer(ThreadedWSGIServer):
    """A thread per connection, on a socket that listens already."""

    def __init__(self, listening: socket.socket) -> None:
        super().__init__(listening.getsockname(), WSGIRequestHandler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.server_name, self.server_port = listening.getsockname()
        self.setup_environ()


def prepare(service: str) -> None:
    """Bring databases and users to where the demo needs them; on a second start, nothing to do."""
    for alias in settings.DATABASES:
        call_command("migrate", database=alias, verbosity=0, interactive=False)
    import_module(f"demo_project.{service}.seed").seed()


def end_with_standard_input(stop: Callable[[], None]) -> None:
    while os.read(0, 1024):
        pass
    stop()


def serve(listening: socket.socket) -> None:
    server = HandedDownServer(listening)
    application = get_internal_wsgi_application()
    if "django.contrib.staticfiles" in settings.INSTALLED_APPS:
        application = StaticFilesHandler(application)
    server.set_app(application)
    # shutdown() waits for the loop that this thread runs, so another thread must call it.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    watcher = threading.Thread(target=end_with_standard_input, args=[server.shutdown], daemon=True)
    watcher.start()
    server.serve_forever(poll_interval=0.1)


def main(service: str, descriptor: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = f"demo_project.{service}.settings"
    django.setup()
    prepare(service)
    serve(socket.socket(fileno=int(descriptor)))


if __name__ == "__main__":
    main(*sys.argv[1:])
