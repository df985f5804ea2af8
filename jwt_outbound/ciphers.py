"""Tokens at rest: AES-256-GCM, bound to the row and the column that a ciphertext belongs to.

Format: version (1 byte), key id (4), nonce (12), ciphertext and tag. The associated data name
the format, service, user and kind, so a ciphertext moved to another row or column is refused as
tampered. Reading takes one try however many keys there are.
"""

import os
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.encoding import force_bytes

from jwt_outbound.conf import get_settings
from jwt_outbound.exceptions import TokenPairUnreadable
from jwt_outbound.secret import Secret

ACCESS, REFRESH = "access", "refresh"
VERSION = b"\x01"
KEY_BYTES, KEY_ID_BYTES, NONCE_BYTES = 32, 4, 12
_NONCE_AT = len(VERSION) + KEY_ID_BYTES
_TEXT_AT = _NONCE_AT + NONCE_BYTES


@dataclass(frozen=True)
class Sealer:
    """Seals and opens the tokens of one user's pair at one service."""

    service: str
    user_id: Any
    keys: Mapping[bytes, AESGCM] = field(repr=False)
    """By key id, newest first."""

    def seal(self, token: str, kind: str) -> bytes:
        """The ciphertext of `token` under the newest key; an empty token has none."""
        if not token:
            return b""
        key_id, key = next(iter(self.keys.items()))
        nonce = os.urandom(NONCE_BYTES)
        return VERSION + key_id + nonce + key.encrypt(nonce, token.encode(), self._bound_to(kind))

    def open(self, sealed: bytes, kind: str) -> Secret:
        """The token in `sealed`. Raises `TokenPairUnreadable`, never a refusal."""
        sealed = bytes(sealed)
        if not sealed:
            return Secret("")
        key = self.keys.get(sealed[len(VERSION) : _NONCE_AT])
        if not sealed.startswith(VERSION) or key is None:
            raise self._unreadable("none of the configured keys sealed it; put the old key back")
        nonce, text = sealed[_NONCE_AT:_TEXT_AT], sealed[_TEXT_AT:]
        try:
            return Secret(key.decrypt(nonce, text, self._bound_to(kind)).decode())
        except (InvalidTag, ValueError):
            reason = "its ciphertext was tampered with or belongs to another row"
        raise self._unreadable(reason)

    def _bound_to(self, kind: str) -> bytes:
        parts = [b"jwt_outbound" + VERSION, self.service, str(self.user_id), kind]
        return b"".join(len(p).to_bytes(4, "big") + p for p in map(force_bytes, parts))

    def _unreadable(self, why: str) -> TokenPairUnreadable:
        return TokenPairUnreadable(
            f"The token pair of user {self.user_id} for service {self.service!r} can't be "
            f"decrypted: {why} (JWT_OUTBOUND['ENCRYPTION_KEYS']).",
            service=self.service,
            user_id=self.user_id,
        )


def sealer(service: str, user_id: Any) -> Sealer:
    """The sealer for one row, with the keys as they are configured now."""
    return Sealer(service, user_id, _service_keys(service, master_keys()))


def master_keys() -> tuple[bytes, ...]:
    """The master keys, newest first. Raises `ImproperlyConfigured` for one that is no key."""
    configured = get_settings().encryption_keys
    if configured:
        return tuple(decode_key(key) for key in configured)
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return tuple(_derived(force_bytes(secret)) for secret in secrets)


def decode_key(text: str | bytes) -> bytes:
    """32 bytes from their urlsafe base64. The error does not repeat the text: it is a key."""
    try:
        key = urlsafe_b64decode(force_bytes(text))
    except (ValueError, TypeError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ImproperlyConfigured(
            "Each of JWT_OUTBOUND['ENCRYPTION_KEYS'] must be the urlsafe base64 of 32 bytes."
        )
    return key


def key_id(master: bytes) -> bytes:
    """What a ciphertext says of its key; two configured keys must not share it."""
    return _subkey(master, b"jwt_outbound key id", KEY_ID_BYTES)


@lru_cache(maxsize=32)
def _derived(secret: bytes) -> bytes:
    return _subkey(secret, b"jwt_outbound master key", KEY_BYTES)


@lru_cache(maxsize=256)
def _service_keys(service: str, masters: tuple[bytes, ...]) -> Mapping[bytes, AESGCM]:
    """One subkey for each service, so that no key seals more than it must."""
    name = force_bytes(service)
    return {
        key_id(master): AESGCM(_subkey(master, b"jwt_outbound service " + name, KEY_BYTES))
        for master in masters
    }


def _subkey(secret: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose).derive(secret)
