"""What happens after a 401 (design section 3.5), as a response hook of `requests`."""

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import requests
from requests.cookies import extract_cookies_to_jar
from requests.utils import rewind_body

from jwt_outbound.conf import Service
from jwt_outbound.grants import Grant
from jwt_outbound.origins import is_own
from jwt_outbound.tokens import note_unhelped

logger = logging.getLogger("jwt_outbound")

_complained: set[tuple[str, str]] = set()


class SecondLine:
    """Belongs to one request and its redirects; resends once at most."""

    def __init__(self, *, service: Service, grant: Grant, renew: Callable[[Grant], Grant]) -> None:
        self._service = service
        self._grant = grant
        self._renew = renew
        self._spent = False

    def sign(self, request: requests.PreparedRequest) -> None:
        """Writes our header into `request`."""
        request.headers["Authorization"] = self._header()

    def __call__(self, response: requests.Response, **sending: Any) -> requests.Response:
        """The response, or that of the one resend."""
        if response.is_redirect:
            self._keep_at_home(response)
        if response.status_code != 401 or self._spent or not self._is_ours(response.request):
            return response
        self._spent = True
        self._compare_schemes(response)
        if not _is_replayable(response.request):
            return response
        refused, self._grant = self._grant, self._try_to_renew(response)
        if self._grant.generation == refused.generation:
            return response
        again = self._resend(response, sending)
        if again.status_code == 401:
            note_unhelped(self._grant)
        return again

    def _try_to_renew(self, response: requests.Response) -> Grant:
        try:
            return self._renew(self._grant)
        except BaseException:
            response.close()
            raise

    def _is_ours(self, request: requests.PreparedRequest) -> bool:
        """Whether this very request carried our token: one after a redirect elsewhere did not."""
        ours = request.headers.get("Authorization") == self._header()
        return ours and is_own(request.url or "", self._service.own_urls)

    def _keep_at_home(self, response: requests.Response) -> None:
        """A redirect that leaves the service loses the token, on anybody's Session.

        `requests` drops it for another host, but not from http to https on the same one.
        """
        target = urljoin(response.url, response.headers.get("location", ""))
        if self._is_ours(response.request) and not is_own(target, self._service.own_urls):
            del response.request.headers["Authorization"]

    def _resend(self, response: requests.Response, sending: dict[str, Any]) -> requests.Response:
        """As `requests`' own digest authentication does it."""
        _ = response.content
        response.close()
        request = response.request.copy()
        if request._body_position is not None:  # type: ignore[attr-defined]
            rewind_body(request)
        jar = request._cookies  # type: ignore[attr-defined]
        extract_cookies_to_jar(jar, response.request, response.raw)  # type: ignore[no-untyped-call]
        request.headers.pop("Cookie", None)
        request.prepare_cookies(jar)
        self.sign(request)
        again: requests.Response = response.connection.send(request, **sending)
        again.history.append(response)
        again.request = request
        return again

    def _header(self) -> str:
        return f"{self._service.auth_scheme} {self._grant.access.reveal()}"

    def _compare_schemes(self, response: requests.Response) -> None:
        """An API that asks for another scheme refuses every token: say so once."""
        asked = response.headers.get("WWW-Authenticate", "").split(" ")[0].strip(",")
        own = self._service.auth_scheme
        if not asked.isalpha() or asked.lower() == own.lower():
            return
        if (self._service.name, asked) not in _complained:
            _complained.add((self._service.name, asked))
            logger.warning(
                "Service %r answered 401 and asks for the scheme %r, but AUTH_SCHEME is %r.",
                self._service.name,
                asked,
                own,
            )


def _is_replayable(request: requests.PreparedRequest) -> bool:
    """Whether the body can be sent again: text, bytes, none, or a file that can be rewound."""
    if request.body is None or isinstance(request.body, str | bytes):
        return True
    return isinstance(request._body_position, int)
