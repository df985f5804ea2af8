"""The master keys: of the settings, of a provider of the project's own, or made from SECRET_KEY."""

from base64 import b64decode
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.encoding import force_bytes
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables

from jwt_outbound.conf import get_settings
from jwt_outbound.faults import describe

KEY_BYTES: Final = 32


class KeysUnavailable(ImproperlyConfigured):
    """The provider of the keys did not give any: nothing is said about the pairs themselves."""


@sensitive_variables()
def master_keys() -> tuple[bytes, ...]:
    """The master keys, newest first.

    Raises `ImproperlyConfigured` for one that is no key, and `KeysUnavailable`.
    """
    configured = get_settings().encryption_keys
    if isinstance(configured, str):
        return _provided(configured)
    if configured:
        return tuple(decode_key(key) for key in configured)
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return tuple(_derived(force_bytes(secret)) for secret in secrets)


@sensitive_variables()
def decode_key(text: str | bytes) -> bytes:
    """32 bytes from their urlsafe base64. The error does not repeat the text: it is a key."""
    try:
        # Strictly: two keys run together by a missing comma would else pass for the first one.
        key = b64decode(force_bytes(text), altchars=b"-_", validate=True)
    except (ValueError, TypeError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ImproperlyConfigured(
            "Each of JWT_OUTBOUND['ENCRYPTION_KEYS'] must be the urlsafe base64 of 32 bytes."
        )
    return key


def subkey(secret: bytes, purpose: bytes, length: int) -> bytes:
    """A key for one purpose alone, from which neither `secret` nor another subkey can be told."""
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose).derive(secret)


@sensitive_variables()
def _provided(path: str) -> tuple[bytes, ...]:
    """What the provider returns now: it is asked at each use, so it keeps them in memory itself.

    A provider without keys never means those of SECRET_KEY: what they would seal, the next
    process could not open.
    """
    try:
        keys = tuple(decode_key(key) for key in import_string(path)())
        why = "" if keys else "returned none"
    except Exception as error:  # noqa: BLE001 - a stranger's function
        keys, why = (), f"came to {describe(error)}"
    if why:
        # Outside of the handler: a stranger's exception may hold a key, and is not chained.
        raise KeysUnavailable(f"The key provider in JWT_OUTBOUND['ENCRYPTION_KEYS'] {why}.")
    return keys


@lru_cache(maxsize=32)
def _derived(secret: bytes) -> bytes:
    return subkey(secret, b"jwt_outbound master key", KEY_BYTES)
