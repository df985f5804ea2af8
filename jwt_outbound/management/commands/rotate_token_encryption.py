"""`manage.py rotate_token_encryption`: all tokens under the newest key, so that old ones can go."""

from collections import Counter
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from jwt_outbound.ciphers import key_ids
from jwt_outbound.exceptions import TokenPairUnreadable
from jwt_outbound.management.progress import Progress
from jwt_outbound.models import TokenPair
from jwt_outbound.rotation import rotate, rows_by_key


class Command(BaseCommand):
    help = (
        "Seals all token pairs anew under the newest of the encryption keys. Deploy the new key "
        "as the last of JWT_OUTBOUND['ENCRYPTION_KEYS'], so that every process can read by it; "
        "then as the first; run this; take the old key out once it holds no pair. It runs beside "
        "live traffic and can be interrupted and run again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="say how many pairs each key holds, change none"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._known = key_ids()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None
        counts: Counter[str] = Counter()
        try:
            if not options["dry_run"]:
                counts = self._rotate()
        except TokenPairUnreadable as error:
            raise CommandError(f"{error} What was done stays; run this again.") from None
        self._report()
        if counts["unreadable"]:
            raise CommandError(
                f"{counts['unreadable']} pairs can't be decrypted by any configured key and were "
                "left as they are. Put their key back, or remove them with "
                "`manage.py forget_token_pairs --unreadable`."
            )

    def _rotate(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        progress = Progress(self.stdout, TokenPair.objects.count(), "pairs")
        for batch in rotate():
            counts.update(batch)
            progress.advance(batch.total())
        progress.done()
        self.stdout.write(
            f"{counts['rotated']} pairs were sealed anew, {counts['current']} had the newest key, "
            f"{counts['changed']} were replaced meanwhile."
        )
        return counts

    def _report(self) -> None:
        held = rows_by_key()
        for number, key_id in enumerate(self._known):
            name = "the newest key" if number == 0 else f"key {number + 1}"
            free = "" if held[key_id] or number == 0 else "; it can be taken out"
            self.stdout.write(f"{name} ({key_id}) holds {held[key_id]} pairs{free}")
        for key_id in sorted(set(held) - set(self._known)):
            name = f"a key that is not configured ({key_id})" if key_id else "an unknown format"
            self.stdout.write(f"{name} holds {held[key_id]} pairs")
