"""What a JWT says of itself, read without verifying it (we are not its audience).

Nothing in here is trusted for access and nothing is fatal: whatever the text is, the answer is a
`Claims` with what could be read. RFC 7519 section 4.1.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

MAX_LENGTH = 64 * 1024
"""Longer texts are not parsed: no issuer sends such a header, and servers refuse it."""

LONGEST_TEXT = 191
"""As much of a claim as its column takes."""

LATEST = 253_402_300_799.0
"""9999-12-31, the last second that a `datetime` can show; a later `exp` is not a date."""


@dataclass(frozen=True, kw_only=True)
class Claims:
    """The readable part of a token; both mappings are empty for an opaque one."""

    header: Mapping[str, Any] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exp(self) -> float | None:
        """`exp` in seconds since 1970 UTC, or None where it is missing or no date."""
        return numeric_date(self.payload.get("exp"))

    @property
    def iat(self) -> float | None:
        """`iat` in seconds since 1970 UTC, or None."""
        return numeric_date(self.payload.get("iat"))

    @property
    def lifetime(self) -> float | None:
        """`exp - iat` in seconds where both are dates and in order, else None."""
        if self.exp is None or self.iat is None or self.exp <= self.iat:
            return None
        return self.exp - self.iat

    @property
    def subject(self) -> str:
        """Who the token says its user is; simplejwt's own claim is `user_id`."""
        return plain_text(self.payload.get("sub")) or plain_text(self.payload.get("user_id"))

    @property
    def token_id(self) -> str:
        """The token's own number, which issuers write into their logs."""
        return plain_text(self.payload.get("jti"))


def read_claims(token: str) -> Claims:
    """The claims of `token`; empty ones for anything that is not a JWT in compact form."""
    if len(token) > MAX_LENGTH:
        return Claims()
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return Claims()
    return Claims(header=parts["header"], payload=parts["payload"])


def numeric_date(value: object) -> float | None:
    """`value` as seconds since 1970 UTC where RFC 7519 would call it a NumericDate, else None.

    Text, booleans, NaN, infinities, negative numbers and years past 9999 are not dates.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) and 0 <= seconds <= LATEST else None


def plain_text(value: object) -> str:
    """`value` as text that any database takes; "" for what is neither text nor a whole number.

    It is written together with a new pair, where nothing may fail: so visible ASCII only.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    if isinstance(value, int) and value.bit_length() > 128:
        return ""
    text = str(value)[:LONGEST_TEXT]
    return text if text.isascii() and text.isprintable() else ""
