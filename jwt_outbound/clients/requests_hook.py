"""The second line in `requests`: a hook that sees each response, redirects included."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import requests
from requests.cookies import extract_cookies_to_jar
from requests.utils import rewind_body

from jwt_outbound.clients.second_line import SecondLine
from jwt_outbound.grants import Grant
from jwt_outbound.holds import note_unhelped


class ResponseHook:
    """Belongs to one request and its redirects; resends once at most."""

    def __init__(self, line: SecondLine, renew: Callable[[Grant], Grant]) -> None:
        self._line = line
        self._renew = renew

    def __call__(self, response: requests.Response, **sending: Any) -> requests.Response:
        """The response, or that of the one resend."""
        self._keep_at_home(response, response.request)
        if response.status_code != 401 or not self._is_ours_to_answer(response):
            return response
        if not _is_replayable(response.request):
            return response
        if not self._line.take(self._try_to_renew(response)):
            return response
        again = self._resend(response, sending)
        self._keep_at_home(again, response.request)
        if again.status_code == 401:
            note_unhelped(self._line.grant)
        return again

    def __reduce__(self) -> tuple[Any, ...]:
        """A response is pickled with its request, and that with its hooks: elsewhere it is over."""
        return _over, ()

    def __deepcopy__(self, memo: Any) -> "ResponseHook":
        return self

    def _is_ours_to_answer(self, response: requests.Response) -> bool:
        request = response.request
        return self._line.begin(request.url or "", request.headers, response.headers)

    def _try_to_renew(self, response: requests.Response) -> Grant:
        try:
            return self._renew(self._line.grant)
        except BaseException:
            response.close()
            raise

    def _keep_at_home(
        self, response: requests.Response, followed: requests.PreparedRequest
    ) -> None:
        """A redirect that leaves the service loses the token, on anybody's Session.

        `requests` drops it for another host, but not from http to https on the same one.
        `followed`: the request of which it sends a copy along the redirect.
        """
        if not response.is_redirect or not self._line.is_ours(followed.url or "", followed.headers):
            return
        if not self._line.is_home(urljoin(response.url, response.headers["location"])):
            del followed.headers["Authorization"]

    def _resend(self, response: requests.Response, sending: dict[str, Any]) -> requests.Response:
        """As `requests`' own digest authentication does it."""
        _ = response.content
        response.close()
        # A redirect is followed with a copy of the first request, not of the one resent.
        self._line.sign(response.request.headers)
        request = response.request.copy()
        if request._body_position is not None:  # type: ignore[attr-defined]
            rewind_body(request)
        jar = request._cookies  # type: ignore[attr-defined]
        extract_cookies_to_jar(jar, response.request, response.raw)  # type: ignore[no-untyped-call]
        request.headers.pop("Cookie", None)
        request.prepare_cookies(jar)
        again: requests.Response = response.connection.send(request, **sending)
        again.history.append(response)
        again.request = request
        return again


def _over() -> Callable[..., None]:
    return _do_nothing


def _do_nothing(response: requests.Response, **sending: Any) -> None:
    pass


def _is_replayable(request: requests.PreparedRequest) -> bool:
    """Whether the body can be sent again: text, bytes, none, or a file that can be rewound."""
    if request.body is None or isinstance(request.body, str | bytes):
        return True
    return isinstance(request._body_position, int)
