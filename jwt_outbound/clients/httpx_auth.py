"""The auth class for httpx and httpx2, for their sync and their async clients: built once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Self, cast

from asgiref.sync import sync_to_async

from jwt_outbound.clients.holder import TokenHolder
from jwt_outbound.clients.httpx_libraries import installed
from jwt_outbound.clients.httpx_redirects import Watch, async_watch, watch
from jwt_outbound.clients.second_line import SecondLine
from jwt_outbound.conf import get_service
from jwt_outbound.grants import Grant
from jwt_outbound.holds import note_unhelped
from jwt_outbound.origins import ensure_own


@dataclass(frozen=True)
class _Errand:
    """Something to be done between two requests, in this thread or awaited."""

    run: Callable[[], Any]
    arun: Callable[[], Awaitable[Any]]


class TokenPairAuth(TokenHolder):
    """Signs any call of httpx or httpx2 with the user's access token for `service`.

    Goes as `auth=` to a client, sync or async, or to one call. The token is checked, and
    refreshed if need be, before the request is sent. A 401 is the second line: one refresh and
    one resend, unless the body is a stream. Raises `ForeignOrigin` for a URL that is not the
    service's own, `LoginRequired` and `TemporarilyUnavailable`.

    `user`: an instance, a primary key or, for async clients, an async function that is asked for
    one of them at the first call, such as `request.auser`.
    """

    requires_request_body = False
    requires_response_body = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """An instance of this class and of the `Auth` of each library that is installed."""
        kind: type[Self] = _with_auth_of_libraries(cast(Any, cls))
        return object.__new__(kind)

    def __init__(self, service: str, user: Any) -> None:
        self._find_user: Callable[[], Awaitable[Any]] | None = None
        super().__init__(service, user)

    def _identify(self, user: Any) -> None:
        if callable(user):
            self._find_user, self._user_id = user, None
        else:
            super()._identify(user)

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """What a `Client` sends and is answered."""
        story, result = self._story(request, watch), None
        while True:
            try:
                step = story.send(result)
            except StopIteration:
                return
            if isinstance(step, _Errand):
                result = step.run()
                continue
            result = yield step
            if self.requires_response_body:
                result.read()

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """What an `AsyncClient` sends and is answered."""
        story, result = self._story(request, async_watch), None
        while True:
            try:
                step = story.send(result)
            except StopIteration:
                return
            if isinstance(step, _Errand):
                result = await step.arun()
                continue
            result = yield step
            if self.requires_response_body:
                await result.aread()

    def _story(self, request: Any, watch: Watch) -> Generator[Any, Any, None]:
        """Errands and requests, in their order; it is sent what came of them."""
        service = get_service(self._service)
        ensure_own(str(request.url), service.own_urls, service.name)
        watch(request, service)
        line = SecondLine(service, self._trusted() or (yield self._fetching(None)))
        line.sign(request.headers)
        response = yield request
        if not self._is_refusal(response):
            return
        request = response.request
        if not line.begin(str(request.url), request.headers, response.headers):
            return
        if not _is_replayable(request) or not line.take((yield self._fetching(line.grant))):
            return
        line.sign(request.headers)
        if self._is_refusal((yield request)):
            unhelped = partial(note_unhelped, line.grant)
            yield _Errand(unhelped, sync_to_async(unhelped, thread_sensitive=True))

    def _is_refusal(self, response: Any) -> bool:
        """Whether the other side did not accept the token."""
        return bool(response.status_code == 401)

    def _fetching(self, rejected: Grant | None) -> _Errand:
        return _Errand(partial(self._fetch, rejected), partial(self._afetch, rejected))

    def _fetch(self, rejected: Grant | None) -> Grant:
        if self._find_user is not None:
            raise TypeError("The user is found by an async function, so the client must be async.")
        return self._keep(self._call(rejected).fetch())

    async def _afetch(self, rejected: Grant | None) -> Grant:
        if self._find_user is not None:
            self._identify(await self._find_user())
            self._find_user = None
        return self._keep(await self._call(rejected).afetch())

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).__bases__[0], (self._service, self._user_id)


@cache
def _with_auth_of_libraries(kind: Any) -> Any:
    """Each library's client takes only instances of its own `Auth`."""
    bases = tuple(library.Auth for library in installed())
    if issubclass(kind, bases):
        return kind
    return type(kind.__name__, (kind, *bases), {"__module__": kind.__module__})


def _is_replayable(request: Any) -> bool:
    """Whether the body can be sent again: in memory, or a form of files that can be rewound."""
    if isinstance(request.stream, tuple(library.ByteStream for library in installed())):
        return True
    fields = getattr(request.stream, "fields", None)
    return fields is not None and all(_can_be_rewound(field) for field in fields)


def _can_be_rewound(field: Any) -> bool:
    file = getattr(field, "file", b"")
    return isinstance(file, str | bytes) or bool(getattr(file, "seekable", bool)())
