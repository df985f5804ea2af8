"""Are the keys keys?"""

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured

from jwt_outbound.checks.given import Given, imported
from jwt_outbound.ciphers import key_id
from jwt_outbound.encryption_keys import decode_key

MAKES_ONE = 'python -c "import os,base64;print(base64.urlsafe_b64encode(os.urandom(32)).decode())"'


def check_keys(given: Given) -> Iterator[CheckMessage]:
    configured = given.of_app("ENCRYPTION_KEYS")
    if configured is None:
        return
    if isinstance(configured, str) and callable(imported(configured)):
        return  # it is not called here: it may ask a network
    if not isinstance(configured, list | tuple):
        yield _bad(
            "JWT_OUTBOUND['ENCRYPTION_KEYS'] must be a list of keys, newest first, or the dotted "
            "path of a function that returns them."
        )
        return
    keys = list(map(_decoded, configured))
    for position, key in enumerate(keys):
        if key is None:
            yield _bad(
                f"JWT_OUTBOUND['ENCRYPTION_KEYS'][{position}] is not the urlsafe base64 of "
                "32 bytes."
            )
    yield from _check_ids([key for key in keys if key is not None])


def _check_ids(keys: list[bytes]) -> Iterator[CheckMessage]:
    if len(set(map(key_id, keys))) < len(keys):
        yield Error(
            "Two of JWT_OUTBOUND['ENCRYPTION_KEYS'] have the same id: a ciphertext would not say "
            "which of them opens it.",
            hint=f"Remove the key that stands there twice. A new one is made by: {MAKES_ONE}",
            id="jwt_outbound.E011",
        )


def _decoded(text: Any) -> bytes | None:
    try:
        return decode_key(text) if isinstance(text, str | bytes) else None
    except ImproperlyConfigured:
        return None


def _bad(message: str) -> CheckMessage:
    # The key itself is not shown: a nearly right one is a secret too.
    return Error(message, hint=f"This makes one: {MAKES_ONE}", id="jwt_outbound.E010")


RULES = (check_keys,)
