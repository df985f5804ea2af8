"""The two ways in which an issuer speaks, word for word: simplejwt 5.5's JSON and OAuth2's.

tests/test_issuer_server.py compares the first with the real package's answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tests.issuer_server.knobs import Knobs
from tests.issuer_server.records import Outcome, Pair
from tests.issuer_server.wire import Headers, Reply, html_reply, json_reply

DRF: Headers = (("Vary", "Accept"), ("Allow", "POST, OPTIONS"))
CHALLENGE: Headers = (("WWW-Authenticate", 'Bearer realm="api"'), *DRF)
NO_STORE: Headers = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))

DETAILS = {
    Outcome.EXPIRED: "Token is expired",
    Outcome.UNKNOWN: "Token is invalid",
    Outcome.WRONG_TYPE: "Token has wrong type",
}


class Dialect(Protocol):
    def granted(self, pair: Pair, knobs: Knobs) -> Reply: ...
    def refused(self, outcome: Outcome) -> Reply: ...
    def revoked(self, outcome: Outcome) -> Reply: ...
    def invalid(self, problems: Mapping[str, str]) -> Reply: ...


class SimpleJWTDialect:
    def granted(self, pair: Pair, knobs: Knobs) -> Reply:
        data: dict[str, object] = {"access": pair.access}
        if pair.refresh:
            data["refresh"] = pair.refresh
        if knobs.expires_in:
            data["expires_in"] = pair.lifetime
        return json_reply(200, data, DRF)

    def refused(self, outcome: Outcome) -> Reply:
        if outcome is Outcome.DELETED:
            return server_error()
        if outcome is Outcome.INACTIVE:
            return detail(401, "No active account found for the given token.", CHALLENGE)
        said = DETAILS.get(outcome, "Token is blacklisted")
        return json_reply(401, {"detail": said, "code": "token_not_valid"}, CHALLENGE)

    def revoked(self, outcome: Outcome) -> Reply:
        return json_reply(200, {}, DRF) if outcome is Outcome.GRANTED else self.refused(outcome)

    def invalid(self, problems: Mapping[str, str]) -> Reply:
        return json_reply(400, {name: [why] for name, why in problems.items()}, DRF)


class OAuth2Dialect:
    def granted(self, pair: Pair, knobs: Knobs) -> Reply:
        data: dict[str, object] = {"access_token": pair.access, "token_type": "Bearer"}
        if pair.refresh:
            data["refresh_token"] = pair.refresh
        if knobs.expires_in is not False:
            data["expires_in"] = pair.lifetime
        return json_reply(200, data, NO_STORE)

    def refused(self, outcome: Outcome) -> Reply:
        return oauth2_error(400, "invalid_grant")

    def revoked(self, outcome: Outcome) -> Reply:
        # RFC 7009 2.2: the server answers 200 for tokens that are not valid, too.
        return Reply(200)

    def invalid(self, problems: Mapping[str, str]) -> Reply:
        return oauth2_error(400, "invalid_request")


def oauth2_error(status: int, code: str) -> Reply:
    return json_reply(status, {"error": code}, NO_STORE)


def invalid_client() -> Reply:
    challenge = ("WWW-Authenticate", 'Bearer error="invalid_client"')
    return json_reply(401, {"error": "invalid_client"}, (*NO_STORE, challenge))


def wrong_credentials() -> Reply:
    said = "No active account found with the given credentials"
    return detail(401, said, CHALLENGE)


def detail(status: int, said: str, headers: Headers = DRF) -> Reply:
    return json_reply(status, {"detail": said}, headers)


def server_error() -> Reply:
    return html_reply(500, "<!doctype html><html><body><h1>Server Error (500)</h1></body></html>")
