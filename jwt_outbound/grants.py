"""An access token that may be sent, and for how long a copy of it in memory is trusted."""

from dataclasses import dataclass
from uuid import UUID

from jwt_outbound import clock, seen
from jwt_outbound.ciphers import ACCESS, sealer
from jwt_outbound.conf import get_settings, micro
from jwt_outbound.freshness import Windows
from jwt_outbound.rows import Pair, Reading
from jwt_outbound.secret import Secret


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What a client holds while it makes a call."""

    access: Secret
    pk: UUID
    service: str
    user_id: object
    generation: int
    trusted_until: int
    """On this host's monotonic clock; then the row is read again."""
    version: tuple[int, int]

    def is_trusted(self) -> bool:
        """Whether this copy may be used without a look at the row."""
        return (
            clock.monotonic() < self.trusted_until
            and seen.version(self.service, self.user_id) == self.version
        )


def grant_of(reading: Reading, pair: Pair, windows: Windows, version: tuple[int, int]) -> Grant:
    """The grant of a row just read. Raises `TokenPairUnreadable`.

    `version`: what this process had seen of the pair before it read.
    """
    trusted_until = reading.at + micro(get_settings().memory)
    ends = [pair.refresh_at] if pair.refresh_at is not None else []
    if pair.expires_at is not None:
        ends.append(pair.expires_at - windows.late(pair.lifetime or 0))
    if ends:
        trusted_until = min(trusted_until, reading.at + min(ends) - reading.now)
    return Grant(
        access=sealer(pair.service, pair.user_id).open(pair.access_sealed, ACCESS),
        pk=pair.pk,
        service=pair.service,
        user_id=pair.user_id,
        generation=pair.generation,
        trusted_until=trusted_until,
        version=version,
    )
