"""The token endpoints: obtain, refresh, revoke, in simplejwt's JSON and in OAuth2's forms."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote_plus

from tests.issuer_server.accounts import Accounts
from tests.issuer_server.book import Book
from tests.issuer_server.dialects import (
    DRF,
    Dialect,
    OAuth2Dialect,
    SimpleJWTDialect,
    detail,
    invalid_client,
    oauth2_error,
    wrong_credentials,
)
from tests.issuer_server.journal import Journal, Presentation
from tests.issuer_server.knobs import Clock, Knobs
from tests.issuer_server.records import Outcome
from tests.issuer_server.wire import Call, Reply, json_reply

FORM = "application/x-www-form-urlencoded"


class Malformed(Exception):
    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


@dataclass(frozen=True)
class Form:
    """A request's fields, and the language in which it wants its answer."""

    dialect: Dialect
    fields: Mapping[str, object] = field(repr=False)

    def need(self, *names: str) -> list[str]:
        if problems := {name: why for name in names if (why := self._problem(name))}:
            raise Malformed(self.dialect.invalid(problems))
        return [str(self.fields[name]) for name in names]

    def _problem(self, name: str) -> str:
        if name not in self.fields:
            return "This field is required."
        value = self.fields[name]
        if value is None:
            return "This field may not be null."
        if isinstance(value, bool | list | dict):
            return "Not a valid string."
        return "" if str(value).strip() else "This field may not be blank."


def read_form(call: Call) -> Form:
    kind = call.header("content-type").partition(";")[0].strip().lower()
    if call.method != "POST":
        raise Malformed(detail(405, f'Method "{call.method}" not allowed.'))
    if kind == FORM:
        fields = dict(parse_qsl(call.body.decode(errors="replace")))
        oauth2 = "grant_type" in fields or "token" in fields
        return Form(OAuth2Dialect() if oauth2 else SimpleJWTDialect(), fields)
    if kind == "application/json":
        return Form(SimpleJWTDialect(), _read_json(call.body))
    raise Malformed(detail(415, f'Unsupported media type "{kind}" in request.'))


def _read_json(body: bytes) -> dict[str, object]:
    try:
        data = json.loads(body)
    except ValueError as error:
        raise Malformed(detail(400, f"JSON parse error - {error}")) from error
    if not isinstance(data, dict):
        said = f"Invalid data. Expected a dictionary, but got {type(data).__name__}."
        raise Malformed(json_reply(400, {"non_field_errors": [said]}, DRF))
    return data


@dataclass
class Endpoints:
    book: Book
    accounts: Accounts
    clock: Clock
    journal: Journal
    knobs: Callable[[], Knobs]

    def obtain(self, call: Call) -> Reply:
        form = read_form(call)
        knobs = self.knobs()
        name, password = form.need(knobs.username_field, "password")
        account = self.accounts.log_in(name, password)
        if account is None:
            return wrong_credentials()
        return form.dialect.granted(self.book.open_family(account, self.clock.now(), knobs), knobs)

    def refresh_form(self, call: Call) -> tuple[Form, str]:
        """The refresh token that a request presents, before anything is decided on it."""
        form = read_form(call)
        if isinstance(form.dialect, SimpleJWTDialect):
            return form, form.need("refresh")[0]
        self._check_client(call, form)
        if form.fields.get("grant_type") != "refresh_token":
            raise Malformed(oauth2_error(400, "unsupported_grant_type"))
        return form, form.need("refresh_token")[0]

    def present(self, form: Form, token: str) -> Presentation:
        spoken = "simplejwt" if isinstance(form.dialect, SimpleJWTDialect) else "oauth2"
        return self.journal.present(token, self.book.find(token), spoken)

    def refresh(self, form: Form, token: str, noted: Presentation) -> Reply:
        knobs = self.knobs()
        spent = self.book.spend(token, self.clock.now(), knobs)
        noted.outcome = spent.outcome.value
        if spent.pair is None:
            return form.dialect.refused(spent.outcome)
        return form.dialect.granted(spent.pair, knobs)

    def revoke(self, call: Call) -> Reply:
        form = read_form(call)
        name = "refresh" if isinstance(form.dialect, SimpleJWTDialect) else "token"
        (token,) = form.need(name)
        if name == "token":
            self._check_client(call, form)
        outcome: Outcome = self.book.revoke(token, self.clock.now(), self.knobs())
        return form.dialect.revoked(outcome)

    def _check_client(self, call: Call, form: Form) -> None:
        knobs = self.knobs()
        if knobs.client_id and _client(call, form) != (knobs.client_id, knobs.client_secret):
            raise Malformed(invalid_client())


def _client(call: Call, form: Form) -> tuple[object, object]:
    scheme, _, packed = call.header("authorization").partition(" ")
    if scheme.lower() != "basic":
        return form.fields.get("client_id", ""), form.fields.get("client_secret", "")
    try:
        name, _, secret = base64.b64decode(packed, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(name), unquote_plus(secret)
