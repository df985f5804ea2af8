"""What an issuer's answer means: the one place that decides (design section 3.4).

By error code first and status second; what is unknown is unavailable, and where two meanings fit,
*ambiguous* wins: the issuer may have rotated the pair, so its token is not simply sent again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, Literal, NoReturn

from jwt_outbound.claims import numeric_date
from jwt_outbound.exceptions import CredentialsRefused, IssuerMisconfigured, IssuerUnavailable
from jwt_outbound.secret import Secret

RETRY_AFTER_CAP = 3600.0
"""Seconds; an issuer can't make us wait longer."""

REFUSED_CODES = frozenset({"invalid_grant"})
"""RFC 6749 5.2."""
MISCONFIGURED_CODES = frozenset(
    {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"}
)
MISCONFIGURED_STATUSES = frozenset({404, 405})
BUSY_STATUSES = frozenset({425, 429})
AMBIGUOUS_STATUSES = frozenset({408, 409})


class Meaning(Enum):
    """The four things that an answer can mean."""

    GRANTED = "granted"
    REFUSED = "refused"
    MISCONFIGURED = "misconfigured"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of asking the issuer. Make one with `granted`, `refused` and so on."""

    meaning: Meaning
    access: Secret = field(default_factory=lambda: Secret(""))
    refresh: Secret | None = None
    """None: the answer brought no refresh token, so the old one stays."""
    expires_in: float | None = None
    refresh_expires_in: float | None = None
    refresh_in: float | None = None
    code: str = ""
    """The issuer's own error code."""
    status: int | None = None
    ambiguous: bool = False
    """The issuer may have used up the refresh token."""
    retry_after: float | None = None
    issuer_time: float | None = None
    if_proven: bool = False
    """A refusal only where this issuer has refreshed some pair before; else misconfigured."""

    @classmethod
    def granted(
        cls,
        access: str,
        refresh: str | None = None,
        *,
        expires_in: float | None = None,
        **more: Any,
    ) -> Answer:
        """A new pair; `refresh=None` keeps the old refresh token. Durations are seconds.

        Raises ValueError for tokens that no header can carry.
        """
        if access and not _token(access) or refresh and not _token(refresh):
            raise ValueError("The issuer's token is no visible ASCII text below 64 KiB.")
        return cls(
            meaning=Meaning.GRANTED,
            access=Secret(access),
            refresh=Secret(refresh) if refresh else None,
            expires_in=_duration(expires_in),
            **more,
        )

    @classmethod
    def refused(cls, code: str = "invalid_grant", **more: Any) -> Answer:
        """The issuer's definite no to this refresh token (or, for `obtain`, password)."""
        return cls(meaning=Meaning.REFUSED, code=code, **more)

    @classmethod
    def misconfigured(cls, code: str = "", **more: Any) -> Answer:
        """The operator's fault; the refresh token was not used."""
        return cls(meaning=Meaning.MISCONFIGURED, code=code, **more)

    @classmethod
    def unavailable(cls, *, ambiguous: bool, code: str = "", **more: Any) -> Answer:
        """No usable answer. `ambiguous=False` only where the token was surely not used."""
        return cls(meaning=Meaning.UNAVAILABLE, ambiguous=ambiguous, code=code, **more)

    def terms(self) -> dict[str, Any]:
        """What the answer says of lifetimes, as arguments of `terms.of_issued`."""
        return {
            "expires_in": self.expires_in,
            "refresh_expires_in": self.refresh_expires_in,
            "refresh_in": self.refresh_in,
            "issuer_time": self.issuer_time,
        }

    def ensure_granted(self, *, service: str, user_id: Any) -> None:
        """For a login or a revocation: raises what the answer means, unless it is a yes."""
        if self.meaning is not Meaning.GRANTED:
            self._raise(service, user_id)

    def _raise(self, service: str, user_id: Any) -> NoReturn:
        if self.meaning is Meaning.REFUSED:
            raise CredentialsRefused(
                f"The issuer of service {service!r} did not accept this user name and password.",
                service=service,
                user_id=user_id,
                reason="refused",
                code=self.code,
            )
        if self.meaning is Meaning.MISCONFIGURED:
            raise IssuerMisconfigured(
                misconfigured_message(service, self), service=service, user_id=user_id
            )
        raise IssuerUnavailable(
            f"The issuer of service {service!r} gave no usable answer{said(self)}.",
            service=service,
            user_id=user_id,
            retry_after=self.retry_after,
            ambiguous=self.ambiguous,
        )


def said(answer: Answer) -> str:
    """The issuer's own status and code, in brackets, for a message."""
    words = [f"status {answer.status}"] if answer.status else []
    words += [f"code {answer.code}"] if answer.code else []
    return f" ({', '.join(words)})" if words else ""


def misconfigured_message(service: str, answer: Answer) -> str:
    """What the operator reads."""
    return (
        f"The issuer of service {service!r} rejects this installation{said(answer)}: "
        "check the URLs, client and method in the service's OPTIONS."
    )


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What one kind of issuer adds to the standard."""

    refused_codes: frozenset[str] = frozenset()
    access_field: str = "access_token"
    refresh_field: str = "refresh_token"
    code_field: str = "error"
    bare_401: Literal["", "deactivated", "credentials"] = ""
    """What DRF's 401 with `detail` and without a code means: a deactivated user, where this
    issuer is proven (another DRF view at a wrong URL answers alike), or wrong credentials."""


def read_answer(
    status: int, headers: Mapping[str, str], body: bytes, profile: Profile
) -> Answer:
    """The meaning of an HTTP answer of a token endpoint. Never raises, whatever it holds."""
    headers = {name.lower(): value for name, value in headers.items()}
    fields = _json_object(body)
    code = _word(fields.get(profile.code_field)) or _word(fields.get("error"))
    about: dict[str, Any] = {"status": status, "code": code}
    if 200 <= status < 300:
        return _read_success(fields, headers, profile, about)
    if status in AMBIGUOUS_STATUSES or status >= 500:
        retry_after = _retry_after(headers)
        return Answer.unavailable(ambiguous=True, retry_after=retry_after, **about)
    if status in BUSY_STATUSES:
        return Answer.unavailable(ambiguous=False, retry_after=_retry_after(headers), **about)
    if 300 <= status < 400 or code in MISCONFIGURED_CODES:
        return Answer.misconfigured(**about)
    if code in REFUSED_CODES or code in profile.refused_codes:
        return Answer.refused(**about)
    if status in MISCONFIGURED_STATUSES:
        return Answer.misconfigured(**about)
    if status == 401 and profile.bare_401 and _is_bare(fields, headers):
        unsure = profile.bare_401 == "deactivated"
        return Answer.refused("no_active_account", status=status, if_proven=unsure)
    return Answer.unavailable(ambiguous=True, retry_after=_retry_after(headers), **about)


def _read_success(
    fields: Mapping[str, Any],
    headers: Mapping[str, str],
    profile: Profile,
    about: dict[str, Any],
) -> Answer:
    access = _token(fields.get(profile.access_field))
    if access:
        return Answer.granted(
            access,
            _token(fields.get(profile.refresh_field)),
            expires_in=_duration(fields.get("expires_in")),
            refresh_expires_in=_duration(
                fields.get("refresh_expires_in", fields.get("refresh_token_expires_in"))
            ),
            refresh_in=_duration(fields.get("refresh_in")),
            issuer_time=_date(headers),
            status=about["status"],
        )
    if about["code"] and about["code"] in profile.refused_codes:
        return Answer.refused(**about)
    return Answer.unavailable(ambiguous=True, **about)


def _json_object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _word(value: object) -> str:
    """An error code: a short word, and nothing that could carry a token into a log."""
    if isinstance(value, str) and len(value) <= 64 and value.replace("_", "").isalnum():
        return value
    return ""


def _token(value: object) -> str:
    """A token that can be sent in a header, else nothing."""
    if not isinstance(value, str) or len(value) > 64 * 1024:
        return ""
    return value if all("\x21" <= character <= "\x7e" for character in value) else ""


def _duration(value: object) -> float | None:
    """Seconds as a number; some issuers send them as text. Negative ones mean "over"."""
    if isinstance(value, str) and len(value) < 20:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
        return 0.0
    return numeric_date(value)


def _is_bare(fields: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    """simplejwt's answer for a deactivated user, as DRF writes it."""
    challenge = headers.get("www-authenticate", "")
    return set(fields) == {"detail"} and challenge == 'Bearer realm="api"'


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds (RFC 9110 10.2.3), capped. A date is read by the issuer's clock."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text[:9]), RETRY_AFTER_CAP)
    until, now = _parse_date(text), _date(headers)
    if until is None or now is None:
        return None
    return min(max(until - now, 0.0), RETRY_AFTER_CAP)


def _date(headers: Mapping[str, str]) -> float | None:
    return _parse_date(headers.get("date", ""))


def _parse_date(text: str) -> float | None:
    try:
        return numeric_date(parsedate_to_datetime(text).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None
