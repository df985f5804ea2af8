"""What an issuer's answer means: the one place that decides (design section 3.4).

By error code first and status second; what is unknown is unavailable, and where two meanings fit,
*ambiguous* wins: the issuer may have rotated the pair, so its token is not simply sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Literal, NoReturn

from jwt_outbound.exceptions import CredentialsRefused, IssuerMisconfigured, IssuerUnavailable
from jwt_outbound.issuers import wire
from jwt_outbound.secret import Secret

REFUSED_CODES = frozenset({"invalid_grant"})
"""RFC 6749 5.2."""
MISCONFIGURED_CODES = frozenset(
    {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"}
)
MISCONFIGURED_STATUSES = frozenset({404, 405})
BUSY_STATUSES = frozenset({425, 429})
SHORTEST_PIECE = 8
"""Of a token, in a code: shorter ones are words that happen to be in it."""
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

    def __post_init__(self) -> None:
        """Here, while the issuer's own code runs: later nothing may stand before the commit."""
        for token in (self.access, self.refresh):
            if token and not wire.token(token.reveal()):
                raise ValueError("The issuer's token is no visible ASCII text below 64 KiB.")

    @classmethod
    def granted(
        cls,
        access: str,
        refresh: str | None = None,
        *,
        expires_in: float | None = None,
        **more: Any,
    ) -> Answer:
        """A new pair; `refresh=None` keeps the old. Raises ValueError for unsendable tokens."""
        return cls(
            meaning=Meaning.GRANTED,
            access=Secret(access),
            refresh=Secret(refresh) if refresh else None,
            expires_in=wire.duration(expires_in),
            **more,
        )

    @classmethod
    def refused(cls, code: str = "invalid_grant", **more: Any) -> Answer:
        """The issuer's definite no to this refresh token (or, for `obtain`, password)."""
        return cls(meaning=Meaning.REFUSED, code=wire.word(code), **more)

    @classmethod
    def misconfigured(cls, code: str = "", **more: Any) -> Answer:
        """The operator's fault; the refresh token was not used."""
        return cls(meaning=Meaning.MISCONFIGURED, code=wire.word(code), **more)

    @classmethod
    def unavailable(cls, *, ambiguous: bool, code: str = "", **more: Any) -> Answer:
        """No usable answer. `ambiguous=False` only where the token was surely not used."""
        return cls(meaning=Meaning.UNAVAILABLE, ambiguous=ambiguous, code=wire.word(code), **more)

    @property
    def is_grant(self) -> bool:
        """There is a new pair."""
        return self.meaning is Meaning.GRANTED

    @property
    def is_refusal(self) -> bool:
        """The issuer said a definite no."""
        return self.meaning is Meaning.REFUSED

    def without(self, token: Secret) -> Answer:
        """The answer, whose code is dropped if it repeats a part of `token`: it is logged.

        A grant is left alone: its code is not looked at.
        """
        if self.is_grant:
            return self
        repeats = len(self.code) >= SHORTEST_PIECE and self.code in token.reveal()
        return replace(self, code="") if repeats else self

    def settled(self, *, proven: bool) -> Answer:
        """A refusal that only a proven issuer can make is, from another, a wrong URL."""
        if self.if_proven and not proven:
            return replace(self, meaning=Meaning.MISCONFIGURED)
        return self

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
    """What one kind of issuer adds to the standard. Unknown issuers get these safe defaults."""

    refused_codes: frozenset[str] = frozenset()
    """Further codes that end a login, also where they come with HTTP 200."""
    old_access_dies: bool = False
    """A refresh kills the old access token at once, so there is no refreshing ahead."""
    replay_window: float = 0
    """Seconds in which a spent refresh token is answered with its successor."""
    default_lifetime: float | None = None
    """Seconds that an access token lives if nothing else says so."""
    access_field: str = "access_token"
    refresh_field: str = "refresh_token"
    code_field: str = "error"
    bare_401: Literal["", "deactivated", "credentials"] = ""
    """What DRF's 401 with `detail` and without a code means: a deactivated user, where this
    issuer is proven (another DRF view at a wrong URL answers alike), or wrong credentials."""


def read_answer(status: int, headers: Mapping[str, str], body: bytes, profile: Profile) -> Answer:
    """The meaning of an HTTP answer of a token endpoint. Never raises, whatever it holds."""
    headers = {name.lower(): value for name, value in headers.items()}
    fields = wire.json_object(body)
    code = wire.word(fields.get(profile.code_field)) or wire.word(fields.get("error"))
    about: dict[str, Any] = {"status": status, "code": code}
    if 200 <= status < 300:
        return _read_success(fields, headers, profile, about)
    if status in AMBIGUOUS_STATUSES or status >= 500:
        retry_after = wire.retry_after(headers)
        return Answer.unavailable(ambiguous=True, retry_after=retry_after, **about)
    if status in BUSY_STATUSES:
        return Answer.unavailable(ambiguous=False, retry_after=wire.retry_after(headers), **about)
    if 300 <= status < 400 or code in MISCONFIGURED_CODES:
        return Answer.misconfigured(**about)
    if code in REFUSED_CODES or code in profile.refused_codes:
        return Answer.refused(**about)
    if status in MISCONFIGURED_STATUSES:
        return Answer.misconfigured(**about)
    if status == 401 and profile.bare_401 and _is_bare(fields, headers):
        unsure = profile.bare_401 == "deactivated"
        return Answer.refused("no_active_account", status=status, if_proven=unsure)
    return Answer.unavailable(ambiguous=True, retry_after=wire.retry_after(headers), **about)


def _read_success(
    fields: Mapping[str, Any],
    headers: Mapping[str, str],
    profile: Profile,
    about: dict[str, Any],
) -> Answer:
    access = wire.token(fields.get(profile.access_field))
    if access:
        return Answer.granted(
            access,
            wire.token(fields.get(profile.refresh_field)),
            expires_in=wire.duration(fields.get("expires_in")),
            refresh_expires_in=wire.duration(
                fields.get("refresh_expires_in", fields.get("refresh_token_expires_in"))
            ),
            refresh_in=wire.duration(fields.get("refresh_in")),
            issuer_time=wire.date(headers),
            status=about["status"],
        )
    if about["code"] and about["code"] in profile.refused_codes:
        return Answer.refused(**about)
    return Answer.unavailable(ambiguous=True, **about)


def _is_bare(fields: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    """simplejwt's answer for a deactivated user, as DRF writes it."""
    challenge = headers.get("www-authenticate", "")
    return set(fields) == {"detail"} and challenge == 'Bearer realm="api"'
