"""`manage.py forget_token_pairs`: deletes pairs here, without a word to the issuer."""

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from jwt_outbound.ciphers import ACCESS, REFRESH, key_ids, sealer
from jwt_outbound.exceptions import TokenPairUnreadable
from jwt_outbound.management.progress import Progress
from jwt_outbound.models import TokenPair
from jwt_outbound.querysets import alias

BATCH: Final = 500

Version = tuple[UUID, int]
"""A pair and its generation."""


class Command(BaseCommand):
    help = (
        "Deletes token pairs, for which the users then have to log in at the service again. The "
        "issuer is not told: use TokenPair.objects.revoke() to end a login there too."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--service", help="only of this service (it need not be configured)")
        parser.add_argument("--user", help="only of this user: a user name or a primary key")
        parser.add_argument(
            "--unreadable", action="store_true", help="only those that no configured key decrypts"
        )
        parser.add_argument("--no-input", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        if not (options["service"] or options["user"] or options["unreadable"]):
            raise CommandError("Say which: --service, --user, --unreadable, or several of them.")
        try:
            key_ids()
            chosen = list(self._chosen(options))
        except (TokenPairUnreadable, ImproperlyConfigured) as error:
            # Without any key every pair would look unreadable.
            raise CommandError(f"{error} Nothing was deleted.") from None
        if not chosen:
            self.stdout.write("There is no such token pair.")
            return
        if not options["no_input"] and not self._is_sure(len(chosen)):
            raise CommandError("Nothing was deleted.")
        self.stdout.write(f"{self._delete(chosen)} token pairs were deleted.")

    def _delete(self, chosen: list[Version]) -> int:
        progress, deleted = Progress(self.stdout, len(chosen), "pairs done"), 0
        for start in range(0, len(chosen), BATCH):
            batch = chosen[start : start + BATCH]
            deleted += _delete_batch(dict(batch))
            progress.advance(len(batch))
        progress.done()
        return deleted

    def _chosen(self, options: dict[str, Any]) -> Iterator[Version]:
        pairs = TokenPair.objects.all()
        if options["service"]:
            pairs = pairs.filter(service=options["service"])
        if options["user"]:
            pairs = pairs.filter(user_id=_user_id(options["user"]))
        for pair in pairs.iterator(BATCH):
            if not options["unreadable"] or not _is_readable(pair):
                yield pair.pk, pair.generation

    def _is_sure(self, count: int) -> bool:
        total = TokenPair.objects.count()
        question = f"Delete {count} of {total} token pairs with their history? Type 'yes': "
        return input(question).strip().lower() == "yes"


def _delete_batch(versions: dict[UUID, int]) -> int:
    """Those that are still what was chosen: a login may have brought a new pair meanwhile."""
    with transaction.atomic(using=alias()):
        locked = TokenPair.objects.select_for_update().filter(pk__in=versions)
        found = locked.values_list("pk", "generation")
        same = [pk for pk, generation in found if versions[pk] == generation]
        TokenPair.objects.filter(pk__in=same).delete()
    return len(same)


def _user_id(named: str) -> Any:
    """Of a user by name or, as pairs may outlive their user, by a bare primary key."""
    model = get_user_model()
    user = model._default_manager.filter(**{model.USERNAME_FIELD: named}).first()
    if user is not None:
        return user.pk
    try:
        return model._meta.pk.to_python(named)
    except Exception:  # noqa: BLE001 - whatever kind of key it is
        raise CommandError(f"There is no user {named!r}.") from None


def _is_readable(pair: TokenPair) -> bool:
    own = sealer(pair.service, pair.user_id)
    try:
        own.open(bytes(pair.access_sealed), ACCESS)
        own.open(bytes(pair.refresh_sealed), REFRESH)
    except TokenPairUnreadable:
        return False
    return True
