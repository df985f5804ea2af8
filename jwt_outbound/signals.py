"""The two signals of the app.

Both are sent in the flight's thread, outside every caller's transaction, by `send_robust`: what
a receiver writes is not rolled back with the caller, and a receiver that raises harms nobody.
Arguments: `sender=TokenPair`, `user` (the instance, None if it is gone), `service`, `reason`,
`code` (the issuer's own word), `generation`, `event_id`. Never a token.

`token_refresh_failed` comes once for each refusal; after a crash it may come again with the same
`event_id`.
"""

from typing import Final

from django.dispatch import Signal

MUST_SUCCEED: Final = "jwt_outbound_must_succeed"
"""An attribute of a receiver: if it raises, the refusal is announced again, to all. Ours that
logs out has it."""

token_pair_refreshed = Signal()
"""A pair was replaced; the new one is committed. `reason`: why it was asked for (`stale`,
`expired`, `rejected`)."""

token_refresh_failed = Signal()
"""A login at the issuer is over. `reason`: `refused`, `expired` or `rotation_lost`."""
