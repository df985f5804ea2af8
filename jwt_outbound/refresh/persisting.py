"""The one write that is never given up: the issuer's new pair in its row. Without I/O."""

from random import Random
from typing import Final

from jwt_outbound.clock import SECOND
from jwt_outbound.compare_and_swap import Swap
from jwt_outbound.refresh import steps
from jwt_outbound.refresh.steps import Flow
from jwt_outbound.rows import Pair, Reading

FIRST_PAUSE: Final = SECOND // 100


def persist(pair: Pair, swap: Swap, chance: Random) -> Flow[Reading | None]:
    """None once the new pair is stored; the row as it is where its generation has moved.

    An answer that can't be stored is a login lost, so there is no giving up. After a COMMIT whose
    fate is unknown the row tells whether the sealed token in it is ours.
    """
    pause = FIRST_PAUSE
    while not (yield steps.Save(pair, swap)):
        latest: Reading | None = yield steps.Settle(pair)
        if latest is not None:
            row = latest.pair
            if row is not None and row.access_sealed == swap.changes["access_sealed"]:
                return None
            if row is None or row.generation != pair.generation:
                return latest
        yield steps.Pause(jittered(pause, chance))
        pause = min(pause * 2, SECOND)
    return None


def jittered(pause: int, chance: Random) -> int:
    """Those who wait for the same row come back at different moments."""
    return int(pause * chance.uniform(0.5, 1.0))
