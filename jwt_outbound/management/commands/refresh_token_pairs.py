"""`manage.py refresh_token_pairs`: refreshes ahead what is due, once or as a worker."""

import argparse
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseFailure
from django.db import connections

from jwt_outbound import usage
from jwt_outbound.conf import Service, get_service, get_settings
from jwt_outbound.faults import describe
from jwt_outbound.fleet.forecast import count_due, forecast
from jwt_outbound.fleet.heartbeat import Heartbeat
from jwt_outbound.fleet.results import FAILED, Result
from jwt_outbound.fleet.worker import Worker
from jwt_outbound.management.progress import Progress
from jwt_outbound.querysets import alias
from jwt_outbound.refresh.policies import policy_of
from jwt_outbound.refresh.words import Policy
from jwt_outbound.transactions import Situation, situation

MOST_THREADS = 256


class Command(BaseCommand):
    help = (
        "Refreshes ahead the token pairs that are due: those in use, and those whose refresh token "
        "would idle out. Any number of workers on any number of hosts may run at once; they share "
        "the work over the database. With --once (the default) the exit status is 1 if a refresh "
        "failed or an issuer in a cool-down left some that are due, so that cron or a timer can "
        "tell. What other workers have in hand, and what is spread over the half minute after an "
        "outage, is nobody's failure."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--once", action="store_true", help="do what is due now, and end (the default)"
        )
        how.add_argument(
            "--loop",
            action="store_true",
            help="go on until SIGTERM or SIGINT, and then end cleanly",
        )
        how.add_argument(
            "--dry-run",
            action="store_true",
            help="say what is due and what would be done",
        )
        parser.add_argument(
            "--service", action="append", metavar="NAME", help="this service only; may be repeated"
        )
        parser.add_argument(
            "--threads",
            type=_threads,
            default=8,
            metavar="N",
            help="exchanges under way at once (8); with several services at most half for each",
        )
        parser.add_argument(
            "--health-file",
            type=Path,
            metavar="PATH",
            help="written after each look at the database, every second or so while idle: its age "
            "tells whether the worker is alive",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        services = _services(options["service"])
        threads = _number_of_threads(options["threads"])
        if not services:
            self.stdout.write("No service is configured: there is nothing to refresh.")
            return
        try:
            if options["dry_run"]:
                self._say_what_is_due(services)
            else:
                self._work(services, threads, options)
        except DatabaseFailure as error:
            raise CommandError(
                f"The token tables' database is away or not migrated: {describe(error)}."
            ) from None
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None

    def _say_what_is_due(self, services: list[Service]) -> None:
        due = forecast(_policies(services))
        for service in services:
            counts = due.get(service.name, Counter())
            what = ", ".join(f"{do.value} {count}" for do, count in sorted(counts.items()))
            self.stdout.write(f"{service.name}: {counts.total()} due{f' ({what})' if what else ''}")
        self.stdout.write("Nothing was done (dry run).")

    def _work(self, services: list[Service], threads: int, options: dict[str, Any]) -> None:
        forever = options["loop"]
        where = _situation(forever)
        if where is Situation.BARRED:
            raise CommandError(
                "This is in a transaction of the SQLite file that holds the token tables, which "
                "has one writer. Call the command outside of it."
            )
        total = None if forever else count_due(_policies(services))
        progress = Progress(self.stdout, total, "pairs")
        health = options["health_file"]
        heartbeat = Heartbeat(None if health is None else Path(health))
        worker = Worker(
            services,
            threads=threads,
            inline=where is Situation.INLINE,
            landed=lambda result: progress.advance(),
            looked=lambda: _beat(heartbeat, worker),
        )
        usage.write_down()
        if forever and where is Situation.FREE:
            connections[alias()].close()  # this thread has no use for one any more
        with _ended_by_signals(worker):
            if forever:
                self.stdout.write(f"Refreshing ahead, on {threads} threads. Stop: SIGTERM.")
                self.stdout.flush()
            worker.run(forever=forever)
        progress.done()
        self._report(worker.counts)
        if not forever:
            self._judge(worker)

    def _report(self, counts: Counter[Result]) -> None:
        said = [f"{counts[result]} {result.value}" for result in Result if counts[result]]
        self.stdout.write(f"{'; '.join(said) or 'Nothing was refreshed'}.")

    def _judge(self, worker: Worker) -> None:
        """For cron: whether all is as it should be."""
        failed = sum(worker.counts[result] for result in FAILED)
        if failed:
            raise CommandError(
                f"{failed} pairs could not be refreshed; nobody is logged out, and they are tried "
                "again. The log and the admin's history say why."
            )
        left = count_due(worker.cooling(), worker.due_by)
        if left and not worker.is_stopped:
            raise CommandError(f"{left} pairs are still due: their issuer is in a cool-down.")


def _services(names: list[str] | None) -> list[Service]:
    try:
        chosen = list(get_settings().services) if names is None else list(dict.fromkeys(names))
        return [get_service(name) for name in chosen]
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from None


def _policies(services: list[Service]) -> dict[str, Policy]:
    return {service.name: policy_of(service) for service in services}


def _situation(forever: bool) -> Situation:
    """A worker that goes on for ever also waits for a database that is not there yet."""
    try:
        return situation(alias())
    except DatabaseFailure:
        if not forever:
            raise
        return Situation.FREE


def _beat(heartbeat: Heartbeat, worker: Worker) -> None:
    try:
        heartbeat.beat(worker.counts)
    except OSError as error:
        raise CommandError(f"The health file can't be written: {error}.") from None


@contextmanager
def _ended_by_signals(worker: Worker) -> Iterator[None]:
    """SIGTERM and SIGINT ask it to end; the second one ends the process at once, as Python's own
    handler of SIGINT, whose exception would wait for the threads, does not."""

    def ask(number: int, frame: Any) -> None:
        worker.stop()
        for each in before:
            signal.signal(each, signal.SIG_DFL)

    def put_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before: dict[int, Any] = {}
    try:
        for each in (signal.SIGTERM, signal.SIGINT):
            before[each] = signal.signal(each, ask) or signal.SIG_DFL
    except ValueError:
        pass  # not in the main thread: whoever runs it there has other means
    try:
        yield
    finally:
        put_back()


def _number_of_threads(given: Any) -> int:
    """Also for `call_command`, which leaves the values of its keywords as they are."""
    try:
        return _threads(given)
    except argparse.ArgumentTypeError as error:
        raise CommandError(f"--threads: {error}.") from None


def _threads(text: Any) -> int:
    try:
        number = int(text)
    except (TypeError, ValueError):
        number = 0
    if not 1 <= number <= MOST_THREADS:
        raise argparse.ArgumentTypeError(f"it must be a whole number from 1 to {MOST_THREADS}")
    return number
