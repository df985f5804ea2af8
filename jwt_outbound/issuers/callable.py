"""An issuer that is a function of yours: the mobile article's `refreshAccessToken`."""

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from asgiref.sync import async_to_sync
from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from jwt_outbound.exceptions import IssuerMisconfigured, RefreshTokenRefused
from jwt_outbound.faults import describe
from jwt_outbound.issuers.answers import Answer
from jwt_outbound.issuers.issuer import Issuer

logger = logging.getLogger("jwt_outbound")

Function = Callable[..., Any] | str


class CallableIssuer(Issuer):
    """Refreshes by a function, sync or async, or its dotted path.

    `refresh`: called with the refresh token. `obtain`: called with the user; with it no pair need
    be stored first. Both return the new access token, or `(access, refresh)`, or a mapping with
    `access`, `refresh`, `expires_in`. None, or raising `RefreshTokenRefused`, means refused;
    raising anything else is ambiguous, a refusal of another service's that it has called too. A
    function can't be interrupted: an answer later than the deadline is still stored.
    """

    def __init__(self, *, refresh: Function | None = None, obtain: Function | None = None) -> None:
        self._refresh = refresh
        self._obtain = obtain
        self.exchanges = refresh is not None
        self.makes_first_pair = obtain is not None

    def exchange(self, refresh_token: str, deadline: float) -> Answer:
        """The `refresh` function's answer."""
        if self._refresh is None:
            return Answer.misconfigured("no_refresh_function")
        return _ask(self._refresh, refresh_token)

    def first_pair(self, user: Any, deadline: float) -> Answer:
        """The `obtain` function's answer."""
        if self._obtain is None:
            return Answer.misconfigured("no_obtain_function")
        return _ask(self._obtain, user)

    def check(self, service: str) -> list[CheckMessage]:
        """There must be a function, and it must be one."""
        given = {"refresh": self._refresh, "obtain": self._obtain}
        if not any(given.values()):
            return [_error(service, "has neither a 'refresh' nor an 'obtain' function")]
        return [
            _error(service, f"has an OPTION {name!r} that is no function")
            for name, function in given.items()
            if function is not None and not _is_function(function)
        ]


def _ask(function: Function, argument: Any) -> Answer:
    try:
        called = import_string(function) if isinstance(function, str) else function
    except ImportError:
        return Answer.misconfigured("function_not_found")
    try:
        return _read(_call(called, argument))
    except RefreshTokenRefused as refusal:
        if refusal.user_id is None:
            return Answer.refused(refusal.code or "refused")
        # Raised by a client of ours: of another service, or of another user, whom the function
        # has asked for a token on its way.
        return _raised(refusal)
    except IssuerMisconfigured:
        return Answer.misconfigured("function_calls_its_own_client")
    except Exception as error:  # noqa: BLE001 - a stranger's function
        return _raised(error)


def _raised(error: Exception) -> Answer:
    logger.error("A refresh function raised %s.", describe(error))
    return Answer.unavailable(ambiguous=True, code="function_raised")


def _call(function: Callable[..., Any], argument: Any) -> Any:
    """The result, also of an async function, or of one that hands over another's coroutine."""
    if inspect.iscoroutinefunction(function):
        return async_to_sync(function)(argument)
    result = function(argument)
    return async_to_sync(_awaited)(result) if inspect.isawaitable(result) else result


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


def _read(result: Any) -> Answer:
    match result:
        case None:
            return Answer.refused("refused")
        case str(access) if access:
            return Answer.granted(access)
        case (str(access), str() | None as refresh) if access:
            return Answer.granted(access, refresh)
        case Mapping() if isinstance(result.get("access"), str) and result["access"]:
            return Answer.granted(
                result["access"], result.get("refresh"), expires_in=result.get("expires_in")
            )
        case _:
            return Answer.unavailable(ambiguous=True, code="function_returned_nonsense")


def _is_function(function: Any) -> bool:
    if not isinstance(function, str):
        return callable(function)
    try:
        return callable(import_string(function))
    except ImportError:
        return False


def _error(service: str, problem: str) -> CheckMessage:
    return Error(
        f"The CallableIssuer of service {service!r} {problem}.",
        hint="Give OPTIONS a 'refresh' or 'obtain': a function or its dotted path.",
        id="jwt_outbound.E020",
    )
