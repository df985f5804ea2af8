"""Everything that a call on a user's behalf can end in.

::

    JWTOutboundError
    +-- LoginRequired             only a new login helps; the middleware catches exactly this
    |   +-- TokenPairNotFound     nothing stored for this user and service
    |   +-- RefreshTokenRefused   the issuer said no for good; .reason
    |   +-- RefreshTokenExpired   its own lifetime has passed; the issuer is not asked
    |   +-- CredentialsRefused    the issuer did not accept the username and password
    +-- TemporarilyUnavailable    nobody is logged out; .retry_after seconds or None
    |   +-- IssuerUnavailable     outage, time-out, 429, nonsense; .ambiguous
    |   +-- IssuerMisconfigured   the operator must act
    |   +-- RefreshInProgress     another process did not finish within the wait budget
    |   +-- TokenStoreUnavailable the lease could not be committed; nothing was sent
    |   +-- TokenPairUnreadable   no key fits, or the ciphertext was tampered with
    +-- ForeignOrigin             the URL is not the service's own (also a ValueError)
    ServiceNotConfigured(ImproperlyConfigured)

No message and no attribute ever holds a token. All of them survive `pickle`.
"""

from typing import Any

from django.core.exceptions import ImproperlyConfigured


class JWTOutboundError(Exception):
    """The root; `service` and `user_id` say whose call it was."""

    def __init__(self, message: str = "", *, service: str = "", user_id: Any = None) -> None:
        super().__init__(message)
        self.service = service
        self.user_id = user_id

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__.copy())


def _rebuild(
    kind: type[JWTOutboundError], args: tuple[Any, ...], state: dict[str, Any]
) -> JWTOutboundError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class LoginRequired(JWTOutboundError):
    """Only a new login helps. `reason` is a word of design section 4, `code` the issuer's own."""

    def __init__(
        self,
        message: str = "",
        *,
        service: str = "",
        user_id: Any = None,
        reason: str = "",
        code: str = "",
    ) -> None:
        super().__init__(message, service=service, user_id=user_id)
        self.reason = reason
        self.code = code


class TokenPairNotFound(LoginRequired):
    """Nothing is stored for this user and service: let the user log in there, or `store()`."""


class RefreshTokenRefused(LoginRequired):
    """The issuer refused the current refresh token for good (RFC 6749 5.2 `invalid_grant`).

    `reason`: `refused`, `rotation_lost` (the answer to an earlier refresh was lost) or `revoked`.
    """


class RefreshTokenExpired(LoginRequired):
    """The refresh token's own lifetime has passed; the issuer was not asked."""


class CredentialsRefused(LoginRequired):
    """The issuer did not accept the username and password; nothing was stored."""


class TemporarilyUnavailable(JWTOutboundError):
    """Nobody is logged out, the pair stays. `retry_after`: seconds until a try makes sense."""

    def __init__(
        self,
        message: str = "",
        *,
        service: str = "",
        user_id: Any = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, service=service, user_id=user_id)
        self.retry_after = retry_after


class IssuerUnavailable(TemporarilyUnavailable):
    """The issuer gave no usable answer. `ambiguous`: it may have rotated the pair all the same."""

    def __init__(
        self,
        message: str = "",
        *,
        service: str = "",
        user_id: Any = None,
        retry_after: float | None = None,
        ambiguous: bool = False,
    ) -> None:
        super().__init__(message, service=service, user_id=user_id, retry_after=retry_after)
        self.ambiguous = ambiguous


class IssuerMisconfigured(TemporarilyUnavailable):
    """The issuer rejects this client or URL: the operator must act, the user cannot."""


class RefreshInProgress(TemporarilyUnavailable):
    """Another process holds the lease and did not finish within `WAIT` seconds."""


class TokenStoreUnavailable(TemporarilyUnavailable):
    """The lease could not be committed, so nothing was sent to the issuer."""


class TokenPairUnreadable(TemporarilyUnavailable):
    """No encryption key fits, or the ciphertext was tampered with: the operator must act."""


class ForeignOrigin(JWTOutboundError, ValueError):
    """The URL is not the service's own: its token would go to a stranger. Nothing was sent."""


class ServiceNotConfigured(ImproperlyConfigured):
    """No such service in `JWT_OUTBOUND["SERVICES"]`; the message names those that exist."""
