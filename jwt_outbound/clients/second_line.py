"""What is to be done after a 401 (design section 3.5), whichever library sent the request."""

import logging
from collections.abc import Mapping, MutableMapping

from jwt_outbound.conf import Service
from jwt_outbound.grants import Grant
from jwt_outbound.origins import is_own
from jwt_outbound.secret import Header

logger = logging.getLogger("jwt_outbound")

_complained: set[tuple[str, str]] = set()


class SecondLine:
    """Belongs to one call and its redirects: which token it carries, and whether a resend is due.

    The clients send, read and rewind; what they ask here is decided once for all of them.
    """

    def __init__(self, service: Service, grant: Grant) -> None:
        self._service = service
        self._spent = False
        self.grant = grant

    def sign(self, headers: MutableMapping[str, str]) -> None:
        """Writes our header into those of a request."""
        headers["Authorization"] = self._header()

    def is_ours(self, url: str, headers: Mapping[str, str]) -> bool:
        """Whether this very request carried our token: one after a redirect elsewhere did not."""
        return headers.get("Authorization") == self._header() and self.is_home(url)

    def is_home(self, url: str) -> bool:
        """Whether `url` may get the token."""
        return is_own(url, self._service.own_urls)

    def begin(self, url: str, headers: Mapping[str, str], answered: Mapping[str, str]) -> bool:
        """Whether the refusal of this request is ours to answer: once for a call, and ours only.

        `headers` are the request's, `answered` the refusal's.
        """
        if self._spent or not self.is_ours(url, headers):
            return False
        self._spent = True
        self._compare_schemes(answered.get("WWW-Authenticate", ""))
        return True

    def take(self, renewed: Grant) -> bool:
        """Goes on with `renewed`; whether it is another token, so that a resend makes sense."""
        refused, self.grant = self.grant, renewed
        return renewed.generation != refused.generation

    def _header(self) -> Header:
        return Header(f"{self._service.auth_scheme} {self.grant.access.reveal()}")

    def _compare_schemes(self, challenge: str) -> None:
        """An API that asks for another scheme refuses every token: say so once."""
        asked = challenge.split(" ")[0].strip(",")
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
