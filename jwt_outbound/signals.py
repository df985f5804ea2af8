"""The signals of the app.

All are sent by `send_robust`, and never with a token. The first two are sent in the flight's
thread, outside every caller's transaction: what a receiver writes is not rolled back with the
caller, and a receiver that raises harms nobody. Arguments: `sender=TokenPair`, `user` (the
instance, None if it is gone), `service`, `reason`, `code` (the issuer's own word), `generation`,
`event_id`.

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

token_pair_event = Signal()
"""A flight has come to something, and it stands in the history by now: what our own log lines,
alarm and metrics are made of. Arguments: `sender=TokenPair`, `service`, `user_id`, `failures` (in a
row, this one not counted) and the history's columns (`kind`, `reason`, `code`, `status`,
`ambiguous`, `replay`, `takeover`, `duration_ms`, `skew`), as far as there is something to say."""

token_waited_for = Signal()
"""A caller has waited for a flight. Arguments: `sender=TokenPair`, `service`, `seconds`.

Sent in the caller's thread, for async callers that of the event loop: receivers must not block."""

refusals_alarm = Signal()
"""An issuer refuses more than `REFUSALS_PER_MINUTE` refreshes; once a minute while it does.
Arguments: `sender=TokenPair`, `service`, `limit`, `suspended` (nobody is logged out)."""
