"""What becomes of a 401 that a refresh did not cure."""

from django.db import transaction

from jwt_outbound import swaps
from jwt_outbound.clock import SECOND
from jwt_outbound.grants import Grant
from jwt_outbound.models import TokenPair
from jwt_outbound.querysets import alias

LONGEST_HOLD = 600 * SECOND
"""Microseconds; after a 401 that a refresh did not cure, for the first time."""


def note_unhelped(grant: Grant) -> None:
    """The request was refused again with a token that was refreshed for it.

    So the 401 is no expiry, and no 401 of this pair starts a refresh for min(10 min, a quarter of
    the lifetime), doubling each time up to an hour.
    """
    pair = TokenPair.objects.read(pk=grant.pk).pair
    if pair is None or pair.generation != grant.generation:
        return
    first = min(LONGEST_HOLD, (pair.lifetime or 4 * LONGEST_HOLD) // 4)
    length = min(first << min(pair.holds, 16), 3600 * SECOND)
    with transaction.atomic(using=alias()):
        TokenPair.objects.swap(swaps.unhelped(pair, length), pk=pair.pk)
