"""Tokens at rest: AES-256-GCM, bound to the row and the column that a ciphertext belongs to.

Format: version (1 byte), key id (4), nonce (12), ciphertext and tag. The associated data name
the format, service, user and kind, so a ciphertext moved to another row or column is refused as
tampered. Reading takes one try however many keys there are.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.utils.encoding import force_bytes
from django.views.decorators.debug import sensitive_variables

from jwt_outbound import clock
from jwt_outbound.encryption_keys import KEY_BYTES, KeysUnavailable, master_keys, subkey
from jwt_outbound.exceptions import TokenPairUnreadable
from jwt_outbound.secret import Secret

ACCESS, REFRESH = "access", "refresh"

NO_KEY: Final = "none of the configured keys sealed it; put the old key back"
FOREIGN: Final = "its ciphertext was tampered with or belongs to another row"

VERSION = b"\x01"
KEY_ID_BYTES, NONCE_BYTES = 4, 12
_NONCE_AT = len(VERSION) + KEY_ID_BYTES
_TEXT_AT = _NONCE_AT + NONCE_BYTES

LOG_PAUSE: Final = 60 * clock.SECOND
"""Between two log lines about the same: a missing key is met by every call."""

logger = logging.getLogger("jwt_outbound")

_logged_at: dict[tuple[str, str], int] = {}


@dataclass(frozen=True)
class Sealer:
    """Seals and opens the tokens of one user's pair at one service."""

    service: str
    user_id: Any
    keys: Mapping[bytes, AESGCM] = field(repr=False)
    """By key id, newest first."""

    @sensitive_variables()
    def seal(self, token: str, kind: str) -> bytes:
        """The ciphertext of `token` under the newest key; an empty token has none."""
        if not token:
            return b""
        key_id, key = next(iter(self.keys.items()))
        nonce = os.urandom(NONCE_BYTES)
        return VERSION + key_id + nonce + key.encrypt(nonce, token.encode(), self._bound_to(kind))

    @sensitive_variables()
    def open(self, sealed: bytes, kind: str) -> Secret:
        """The token in `sealed`. Raises `TokenPairUnreadable`, never a refusal."""
        sealed = bytes(sealed)
        if not sealed:
            return Secret("")
        key = self.keys.get(sealed[len(VERSION) : _NONCE_AT])
        if not sealed.startswith(VERSION) or key is None:
            raise self._unreadable(NO_KEY)
        nonce, text = sealed[_NONCE_AT:_TEXT_AT], sealed[_TEXT_AT:]
        try:
            return Secret(key.decrypt(nonce, text, self._bound_to(kind)).decode())
        except (InvalidTag, ValueError):
            pass  # outside of the handler, so that nothing is chained
        raise self._unreadable(FOREIGN)

    def _bound_to(self, kind: str) -> bytes:
        names = (self.service, str(self.user_id), kind)
        parts = (b"jwt_outbound" + VERSION, *(name.encode() for name in names))
        return b"".join([len(part).to_bytes(4, "big") + part for part in parts])

    def _unreadable(self, why: str) -> TokenPairUnreadable:
        return unreadable(self.service, self.user_id, why)


def unreadable(service: str, user_id: Any, why: str) -> TokenPairUnreadable:
    """The caller's error, and for the operator an error log with the cure, once a minute."""
    error = TokenPairUnreadable(
        f"The token pair of user {user_id} for service {service!r} can't be "
        f"decrypted: {why} (JWT_OUTBOUND['ENCRYPTION_KEYS']).",
        service=service,
        user_id=user_id,
    )
    now, before = clock.monotonic(), _logged_at.get((service, why))
    if before is None or now - before >= LOG_PAUSE:
        _logged_at[service, why] = now
        logger.error(
            "%s Nobody is logged out, and the pair stays; no more is logged of this for a minute.",
            error,
        )
    return error


def key_id_of(sealed: bytes) -> str:
    """The id of the key that sealed this, in hex; "" for an empty column or another format."""
    sealed = bytes(sealed)
    return sealed[len(VERSION) : _NONCE_AT].hex() if sealed.startswith(VERSION) else ""


def key_ids() -> list[str]:
    """The ids of the configured keys in hex, newest first."""
    return [key_id(master).hex() for master in master_keys()]


def sealer(service: str, user_id: Any) -> Sealer:
    """The sealer for one row, with the keys as they are configured now.

    Raises `TokenPairUnreadable` where the provider of the keys has none to give.
    """
    try:
        return Sealer(service, user_id, _service_keys(service, master_keys()))
    except KeysUnavailable as error:
        why = str(error).rstrip(".")
    raise unreadable(service, user_id, why)


def key_id(master: bytes) -> bytes:
    """What a ciphertext says of its key; two configured keys must not share it."""
    return subkey(master, b"jwt_outbound key id", KEY_ID_BYTES)


@lru_cache(maxsize=256)
def _service_keys(service: str, masters: tuple[bytes, ...]) -> Mapping[bytes, AESGCM]:
    """One subkey for each service, so that no key seals more than it must."""
    name = force_bytes(service)
    return {
        key_id(master): AESGCM(subkey(master, b"jwt_outbound service " + name, KEY_BYTES))
        for master in masters
    }
