"""The API that is called with the access tokens, answering as a DRF view with simplejwt does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.issuer_server.book import Book
from tests.issuer_server.dialects import DETAILS
from tests.issuer_server.knobs import Clock, Knobs
from tests.issuer_server.records import AccessRecord, Outcome
from tests.issuer_server.wire import Call, Headers, Reply, json_reply

ACCOUNT_TROUBLE = {
    Outcome.INACTIVE: ("User is inactive", "user_inactive"),
    Outcome.DELETED: ("User not found", "user_not_found"),
}
DRF_VIEW: Headers = (("Vary", "Accept"), ("Allow", "GET, HEAD, OPTIONS"))
TWO_WORDS = {
    "detail": "Authorization header must contain two space-delimited values",
    "code": "bad_authorization_header",
}
DEFAULT_REDIRECT = "/api/redirected"


class Api:
    def __init__(self, book: Book, clock: Clock, knobs: Callable[[], Knobs]) -> None:
        self._book = book
        self._clock = clock
        self._knobs = knobs

    def answer(self, call: Call) -> Reply:
        reply = self._answer(call)
        return replace(reply, body=b"") if call.method == "HEAD" else reply

    def _answer(self, call: Call) -> Reply:
        wanted = self._knobs().scheme
        scheme, token = call.credentials()
        if scheme != wanted:
            said = {"detail": "Authentication credentials were not provided."}
            return _unauthorized(said, wanted)
        if len(token.split()) != 1:
            return _unauthorized(TWO_WORDS, wanted)
        outcome, record = self._book.check_access(token, self._clock.now())
        if record is None or outcome is not Outcome.GRANTED:
            return _refusal(outcome, wanted)
        return _page(call, record, wanted)


def _page(call: Call, record: AccessRecord, scheme: str) -> Reply:
    page = call.path.removeprefix("/api/").strip("/")
    if page == "always401":
        return _refusal(Outcome.UNKNOWN, scheme)
    if page == "redirect":
        status = int(call.query.get("status", 302))
        return Reply(status, b"", (("Location", call.query.get("to", DEFAULT_REDIRECT)),))
    if page == "echo":
        kind = call.header("content-type") or "application/octet-stream"
        return Reply(200, call.body, (("Content-Type", kind),))
    name = record.family.account.name
    said = {"user": name, "path": call.path, "method": call.method, "token_number": record.number}
    cookie = (("Set-Cookie", f"whose={name}; Path=/"),) if page == "cookie" else ()
    return json_reply(200, said, (*DRF_VIEW, *cookie))


def _refusal(outcome: Outcome, scheme: str) -> Reply:
    if outcome in ACCOUNT_TROUBLE:
        said, code = ACCOUNT_TROUBLE[outcome]
        return _unauthorized({"detail": said, "code": code}, scheme)
    message = {
        "token_class": "AccessToken",
        "token_type": "access",
        "message": DETAILS.get(outcome, "Token is invalid"),
    }
    said = "Given token not valid for any token type"
    data = {"detail": said, "code": "token_not_valid", "messages": [message]}
    return _unauthorized(data, scheme)


def _unauthorized(data: Mapping[str, object], scheme: str) -> Reply:
    return json_reply(401, data, (("WWW-Authenticate", f'{scheme} realm="api"'), *DRF_VIEW))
