"""`manage.py prune_token_history --days 90`: the history does not grow for ever."""

import argparse
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser
from django.db.models import QuerySet

from jwt_outbound.models import TokenPairEvent
from jwt_outbound.querysets import database_now, shown

BATCH: Final = 500
"""Events in one DELETE: locks stay short, and below SQLite's limit of parameters."""


class Command(BaseCommand):
    help = "Deletes events of the token pairs' history that are older than some days."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days", type=days, default=90, metavar="N", help="keep so many days (90)"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="say how many would go, and delete nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        limit = shown(database_now()) - timedelta(days=options["days"])
        old = TokenPairEvent.objects.filter(at__lt=limit)
        age = f"older than {options['days']} days"
        if options["dry_run"]:
            self.stdout.write(f"{old.count()} events are {age}; nothing was deleted (dry run).")
        else:
            self.stdout.write(f"{sum(delete_in_batches(old))} events {age} were deleted.")


def delete_in_batches(events: QuerySet[Any]) -> Iterator[int]:
    """Each batch commits for itself, so an interrupted run has done what it could."""
    everything = TokenPairEvent.objects.all()
    while batch := list(events.order_by("at").values_list("pk", flat=True)[:BATCH]):
        deleted, _ = everything.filter(pk__in=batch).delete()
        yield deleted


def days(text: str) -> int:
    """For argparse: at least one day, at most a century."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= 36_500:
        raise argparse.ArgumentTypeError("it must be a whole number of days from 1 to 36500")
    return number
