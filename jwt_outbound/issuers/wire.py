"""What the fields and headers of an answer say, whatever they hold. Pure; never raises."""

import json
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from jwt_outbound.claims import numeric_date

LONGEST_WORD: Final = 64
_WORDS: Final = re.compile("[A-Za-z]{0,32}[0-9]{0,6}(_[A-Za-z]{0,32}[0-9]{0,6})*")
"""Letters, then digits: a random token has them mixed."""
_VISIBLE: Final = re.compile(r"[\x21-\x7e]*")

RETRY_AFTER_CAP: Final = 3600.0
"""Seconds; an issuer can't make us wait longer."""


def json_object(body: bytes) -> Mapping[str, Any]:
    """The body as a JSON object; an empty one for anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def word(value: object) -> str:
    """An error code: a short word, and nothing that could carry a token into a log."""
    if isinstance(value, str) and len(value) <= LONGEST_WORD and _WORDS.fullmatch(value):
        return value
    return ""


def token(value: object) -> str:
    """A token that can be sent in a header, else nothing."""
    if not isinstance(value, str) or len(value) > 64 * 1024:
        return ""
    return value if _VISIBLE.fullmatch(value) else ""


def duration(value: object) -> float | None:
    """Seconds as a number; some issuers send them as text. Negative ones mean "over"."""
    if isinstance(value, str) and len(value) < 20:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
        return 0.0
    return numeric_date(value)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds (RFC 9110 10.2.3), capped. A date is read by the issuer's clock."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text[:9]), RETRY_AFTER_CAP)
    until, now = _parse_date(text), date(headers)
    if until is None or now is None:
        return None
    return min(max(until - now, 0.0), RETRY_AFTER_CAP)


def date(headers: Mapping[str, str]) -> float | None:
    """The issuer's clock, from its `Date` header, in seconds since 1970 UTC."""
    return _parse_date(headers.get("date", ""))


def _parse_date(text: str) -> float | None:
    try:
        return numeric_date(parsedate_to_datetime(text).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None
