import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser

from demo_project import places
from demo_project.people import BILLING_USERS, PORTAL_ADMIN
from demo_project.servers import DemoError, Server, announced, running
from demo_project.walk.steps import walk

WATCH_SECONDS = 0.5
SHORT_TOKENS = "6"
INTERRUPTED = 128 + signal.SIGINT


class Command(BaseCommand):
    """The two services as two processes, until Ctrl-C or until one of them ends."""

    help = "Starts the demo: a portal and the billing service that it calls for its users."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port", type=int, help="the portal's port; default 8000, 0: a free one"
        )
        parser.add_argument("--billing-port", type=int, default=0, help="default 0: a free one")
        parser.add_argument(
            "--walk", action="store_true", help="tell the demo's story in the terminal, then end"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGINT, _interrupt)
        signal.signal(signal.SIGTERM, _interrupt)
        run = self._walk if options["walk"] else self._serve
        try:
            run(options["port"], options["billing_port"])
        except DemoError as failure:
            raise CommandError(str(failure)) from None
        except KeyboardInterrupt:
            self._say("\nStopped: both services have ended.")
            if options["walk"]:
                sys.exit(INTERRUPTED)

    def _serve(self, port: int | None, billing_port: int) -> None:
        directory = places.directory()
        self._say("Starting the portal and billing ...")
        with (
            running(8000 if port is None else port, billing_port, directory) as (portal, billing),
            announced(billing, directory),
        ):
            self._say(_welcome(portal, billing, directory))
            _watch(portal, billing)

    def _walk(self, port: int | None, billing_port: int) -> None:
        """On free ports and in a folder of its own, beside a demo that may be running."""
        folder = Path(tempfile.mkdtemp(prefix="jwt-outbound-walk-"))
        short = {places.ACCESS_SECONDS: SHORT_TOKENS}
        try:
            with running(port or 0, billing_port, folder, **short) as (portal, billing):
                kept = walk(portal, billing, self._say)
        except KeyboardInterrupt:
            shutil.rmtree(folder)
            raise
        if not kept:
            raise DemoError(f"A step did not do what is promised; the logs are in {folder}.")
        shutil.rmtree(folder)

    def _say(self, text: str) -> None:
        """Seen at once, also where the output is a pipe."""
        self.stdout.write(text)
        self.stdout.flush()


def _interrupt(number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def _watch(*servers: Server) -> NoReturn:
    while True:
        for server in servers:
            server.check_alive(within=WATCH_SECONDS)


def _welcome(portal: Server, billing: Server, directory: Path) -> str:
    users = "\n".join(f"    {name:<8}{password}" for name, password in BILLING_USERS.items())
    return f"""
  Open    {portal.url}/
  Log in as
{users}
    {PORTAL_ADMIN[0]:<8}{PORTAL_ADMIN[1]}   (local to the portal; its admin is at /admin/)

  Billing answers at {billing.url}/api/ ; databases and logs are in {directory}
  In a second terminal:  python manage.py outbound_call billing alice GET invoices/
  Ctrl-C ends both.
"""
