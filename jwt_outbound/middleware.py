"""`OutboundMiddleware`: after AuthenticationMiddleware and MessageMiddleware, if there is one."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.contrib.auth import logout
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.functional import SimpleLazyObject

from jwt_outbound import seen, sessions
from jwt_outbound.aoutbound import AsyncOutbound
from jwt_outbound.faults import clear_frames_of_libraries
from jwt_outbound.outbound import Outbound
from jwt_outbound.responses import respond_to

GetResponse = Callable[[HttpRequest], Any]


class OutboundMiddleware:
    """Gives each request its clients, ends sessions that a refusal ended, answers for errors.

    The clients are `request.outbound`, and `request.aoutbound` for async views. `LoginRequired`
    becomes the login page, a 401 or the way to reconnect, and `TemporarilyUnavailable` a 503. A
    request that does not look at its user costs no query.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self._respond_async(request)
        with _attended(request) as anew:
            response: HttpResponseBase = self.get_response(request)
            if anew:
                _restamp(request, anew)
            return response

    async def _respond_async(self, request: HttpRequest) -> HttpResponseBase:
        with _attended(request) as anew:
            response: HttpResponseBase = await self.get_response(request)
            if anew:
                await sync_to_async(_restamp)(request, anew)
            return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Django calls it in a thread, for sync and async views alike.

        What it does not answer goes to Django's error page and mails, which show the local
        variables of all frames: those of HTTP libraries may hold a header.
        """
        response = respond_to(error, request)
        if response is None:
            clear_frames_of_libraries(error)
        return response


@contextmanager
def _attended(request: HttpRequest) -> Iterator[set[Any]]:
    outbound, aoutbound = Outbound(request), AsyncOutbound(request)
    request.outbound, request.aoutbound = outbound, aoutbound  # type: ignore[attr-defined]
    if hasattr(request, "session") and hasattr(request, "user"):
        _Visitor(request).attend()
    anew: set[Any] = set()
    token = seen.logged_in_anew.set(anew)
    try:
        yield anew
    finally:
        seen.logged_in_anew.reset(token)
        outbound.close()
        aoutbound.close()


def _restamp(request: HttpRequest, users: set[Any]) -> None:
    if hasattr(request, "session"):
        sessions.restamp(request.session, users)


class _Visitor:
    """Who makes the request, once their session is known not to have been ended."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._user = request.user
        self._auser: Any = getattr(request, "auser", None)
        self._admitted = False
        self._turned_away: AnonymousUser | None = None

    def attend(self) -> None:
        """Only whoever looks at the user makes the query."""
        self._request.user = SimpleLazyObject(partial(self._admit, self._user))
        if self._auser is not None:
            self._request.auser = self._admit_async

    async def _admit_async(self) -> Any:
        user = await self._auser()
        if self._admitted or not user.is_authenticated:
            return user
        return await sync_to_async(self._admit)(user)

    def _admit(self, user: Any) -> Any:
        if self._turned_away is not None:
            return self._turned_away
        if user.is_authenticated and not self._admitted:
            if sessions.is_over(self._request.session):
                return self._turn_away(user)
            self._admitted = True
        return getattr(user, "_wrapped", user)

    def _turn_away(self, user: Any) -> AnonymousUser:
        """As if the session had run out. `logout()` asks whose it is, and so must not ask us."""
        self._turned_away = AnonymousUser()
        self._request.user = user
        logout(self._request)
        return self._turned_away
