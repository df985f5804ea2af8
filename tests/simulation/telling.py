"""What happened, in words: the lines of a replayed schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from jwt_outbound.compare_and_swap import Over, Swap
from jwt_outbound.refresh import steps

if TYPE_CHECKING:
    from tests.simulation.table import Written


def told_of_row(written: Written) -> str:
    old, new = written.old, written.new
    if old is None or new is None:
        return f"-- {written.how}: the row is {'gone' if new is None else 'made'}"
    changed = (
        f"{name}={_short(getattr(new, name))}"
        for name in vars(new)
        if getattr(new, name) != getattr(old, name)
    )
    return f"-- {written.how}, committed: " + " ".join(changed)


def _short(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode() or "none"
    if isinstance(value, int) and value > 10**15:
        return f"+{(value - 1_800_000_000_000_000) / 1_000_000:.3f}s"
    return str(value)[:8] if isinstance(value, UUID) else value


def told_of_step(step: steps.Step) -> str:
    match step:
        case steps.Exchange(pair=pair):
            return f"asks the issuer, generation {pair.generation}"
        case steps.Change(pair, swap) | steps.Save(pair, swap):
            return f"{type(step).__name__}, generation {pair.generation}: {_fence(swap)}"
        case steps.Record(line=line):
            return f"writes history: {line['kind']}"
        case steps.Announce(failed=failed, event_id=event):
            return f"announces a {'refusal' if failed else 'refresh'} {str(event)[:8]}"
        case _:
            return type(step).__name__.lower()


def _fence(swap: Swap) -> str:
    told = (f"{k}={'over' if isinstance(v, Over) else v}" for k, v in swap.where.items())
    return "if " + " ".join(told)
