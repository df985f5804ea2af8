"""Sealing tokens anew under the newest key, beside live traffic and refreshes."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from django.views.decorators.debug import sensitive_variables

from jwt_outbound.ciphers import ACCESS, REFRESH, key_id_of, key_ids, sealer
from jwt_outbound.compare_and_swap import Swap
from jwt_outbound.exceptions import TokenPairUnreadable
from jwt_outbound.models import TokenPair

BATCH: Final = 500

SEALED: Final = {"access_sealed": ACCESS, "refresh_sealed": REFRESH}

_COLUMNS: Final = ("pk", "user_id", "service", "generation", *SEALED)

Row = dict[str, Any]


def rows_by_key() -> Counter[str]:
    """How many pairs each key still holds, by key id in hex; a pair of two keys counts for both."""
    counts: Counter[str] = Counter()
    for batch in _batches():
        for row in batch:
            counts.update(_keys_of(row))
    return counts


def rotate() -> Iterator[Counter[str]]:
    """Goes through all pairs; for each batch, how many were `rotated`, `current`, `changed`
    meanwhile (by whoever replaced them: `rows_by_key` tells under which key) or `unreadable`.

    Each pair is one compare-and-swap on its generation and old ciphertext, so an interrupted run
    has done what it could, and another begins where need be. Raises `TokenPairUnreadable` where
    the provider of the keys has none to give.
    """
    newest = key_ids()[0]
    for batch in _batches():
        yield Counter(_rotate_one(row, newest) for row in batch)


@sensitive_variables()
def _rotate_one(row: Row, newest: str) -> str:
    if _keys_of(row) <= {newest}:
        return "current"
    own = sealer(row["service"], row["user_id"])
    try:
        new = {c: own.seal(own.open(row[c], kind).reveal(), kind) for c, kind in SEALED.items()}
    except TokenPairUnreadable:
        return "unreadable"
    where = {column: row[column] for column in ("generation", *SEALED)}
    held = TokenPair.objects.swap(Swap(where=where, changes=new), pk=row["pk"])
    return "rotated" if held else "changed"


def _keys_of(row: Row) -> set[str]:
    return {key_id_of(row[column]) for column in SEALED if row[column]}


def _batches() -> Iterator[list[Row]]:
    """All pairs in the order of their keys: what is added meanwhile has the newest key anyway."""
    pairs = TokenPair.objects.order_by("pk").values(*_COLUMNS)
    batch = list(pairs[:BATCH])
    while batch:
        yield [
            {column: bytes(v) if column in SEALED else v for column, v in row.items()}
            for row in batch
        ]
        batch = list(pairs.filter(pk__gt=batch[-1]["pk"])[:BATCH])
