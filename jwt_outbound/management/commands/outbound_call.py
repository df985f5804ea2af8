"""`manage.py outbound_call billing alice GET invoices/`: the line that proves an installation."""

import argparse
import json
from http import HTTPStatus
from time import monotonic
from typing import Any

import requests
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
)
from django.views.decorators.debug import sensitive_variables

from jwt_outbound.clients import ServiceClient
from jwt_outbound.conf import Service, get_service
from jwt_outbound.exceptions import (
    JWTOutboundError,
    LoginRequired,
    TemporarilyUnavailable,
    TokenPairNotFound,
)
from jwt_outbound.explanation import Plan, pair_in_words, plan_of, read_pair
from jwt_outbound.origins import ensure_own
from jwt_outbound.refresh import flights
from jwt_outbound.rows import Reading
from jwt_outbound.users import ensure_active, find_user

SHOWN_CHARACTERS = 2000

EXAMPLES = """
examples:
  manage.py outbound_call billing alice GET invoices/
  manage.py outbound_call billing alice GET invoices/ --dry-run
  manage.py outbound_call billing 17 POST invoices/ --data '{"amount": 5}'

The exit status is 1 for an answer of 400 or above, and for whatever else went wrong. The token
itself is never printed, even where the service repeats it in its answer.
"""


class HelpFormatter(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Leaves the lines of the examples as they are."""


class Command(BaseCommand):
    help = (
        "Calls a service on a user's behalf, as curl would, and says what became of the user's "
        "token pair: its state before, whether it was refreshed and why."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"formatter_class": HelpFormatter, "epilog": EXAMPLES}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("service", help="a name in JWT_OUTBOUND['SERVICES']")
        parser.add_argument("user", help="a user's name or primary key")
        parser.add_argument("method", type=http_method, help="GET, POST, ...")
        parser.add_argument("path", help="below BASE_URL, or a full URL of the service")
        parser.add_argument("--data", type=json_value, metavar="JSON", help="sent as JSON body")
        parser.add_argument("--full", action="store_true", help="print the whole answer")
        parser.add_argument(
            "--dry-run", action="store_true", help="explain only: nothing is sent or refreshed"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            service = get_service(options["service"])
            user = named_user(options["user"])
            self._call(service, user, options)
        except JWTOutboundError as error:
            raise CommandError(f"{error} {cure_of(error)}".strip()) from None
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None

    def _call(self, service: Service, user: Any, options: dict[str, Any]) -> None:
        url = service.url(options["path"])
        ensure_own(url, service.own_urls, service.name)
        ensure_active(user, user.pk, service.name)
        before = read_pair(service, user)
        self._say("user", f"{user.get_username()} (primary key {user.pk})")
        self._say("pair", pair_in_words(before))
        self._say("request", f"{options['method']} {url}")
        plan = plan_of(before, service, user)
        if options["dry_run"]:
            self._say("refresh", f"{'yes' if plan.refreshes else 'no'} ({plan.why})")
            self._say("answer", "none: this is a dry run, nothing was sent")
            return
        started = monotonic()
        response = send(service, user, url, options)
        seconds = monotonic() - started
        self._say("refresh", self._refreshed(before, read_pair(service, user), plan))
        self._show(response, seconds, full=options["full"])

    def _refreshed(self, before: Reading, after: Reading, plan: Plan) -> str:
        old = before.pair.generation if before.pair else None
        new = after.pair.generation if after.pair else None
        if old == new:
            return f"no ({plan.why})"
        why = plan.why if plan.refreshes else f"{plan.why}, but was refused or replaced meanwhile"
        return f"yes, generation {'none' if old is None else old} -> {new} ({why})"

    def _show(self, response: requests.Response, seconds: float, *, full: bool) -> None:
        text = printable(without_tokens(response))
        kind = response.headers.get("Content-Type", "of no declared type")
        self._say(
            "answer",
            f"{status_of(response)} after {seconds:.3f} s, {printable(kind)}, "
            f"{len(text)} characters",
        )
        self.stdout.write("")
        self.stdout.write(text if full else text[:SHOWN_CHARACTERS])
        if not full and len(text) > SHOWN_CHARACTERS:
            self.stdout.write(f"... cut after {SHOWN_CHARACTERS} characters; --full prints all")
        if response.status_code >= 400:
            raise CommandError(f"The service answered {status_of(response)}.")

    def _say(self, label: str, text: str) -> None:
        self.stdout.write(f"{label + ':':<9}{text}")


def send(service: Service, user: Any, url: str, options: dict[str, Any]) -> requests.Response:
    """The answer. A refresh ahead that the call has begun is waited for, to be told of."""
    try:
        with ServiceClient(service.name, user) as client:
            response = client.request(options["method"], url, json=options["data"])
    except requests.RequestException as error:
        # Not the text of the exception: it repeats the URL with all that is in its query.
        raise CommandError(
            f"The request failed: {type(error).__name__}. Is the service running, and the "
            f"BASE_URL of service {service.name!r} right? The log and --dry-run may say more."
        ) from None
    flights.flights.drain(service.wait)
    return response  # type: ignore[no-any-return]


@sensitive_variables()
def without_tokens(response: requests.Response) -> str:
    """The body; where the service repeats a token in it, a word in its place."""
    text = response.text
    for answer in (response, *response.history):
        token = answer.request.headers.get("Authorization", "").partition(" ")[2]
        if token:
            text = text.replace(token, "[access token]")
    return text


def printable(text: str) -> str:
    """Without control characters, by which an answer could steer the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def status_of(response: requests.Response) -> str:
    """`404 Not Found`."""
    try:
        return f"{response.status_code} {HTTPStatus(response.status_code).phrase}"
    except ValueError:
        return str(response.status_code)


def named_user(text: str) -> Any:
    """The user with that name, else with that primary key."""
    users = get_user_model()
    user = users._base_manager.filter(**{users.USERNAME_FIELD: text}).first()
    if user is None:
        try:
            user = find_user(users._meta.pk.to_python(text))
        except ValidationError:
            user = None
    if user is None:
        raise CommandError(
            f"There is no user with the {users.USERNAME_FIELD} or the primary key {text!r}. "
            "Names count exactly as they are written, and who logs in by TokenObtainBackend is "
            "made at the first login: let them log in once."
        )
    return user


def cure_of(error: JWTOutboundError) -> str:
    """What to do about it, where the message does not say so itself."""
    if isinstance(error, TokenPairNotFound):
        return (
            "Let the user log in there or connect (jwt_outbound.urls), or store a pair: "
            "TokenPair.objects.store(user=..., service=..., access=..., refresh=...)."
        )
    if isinstance(error, LoginRequired):
        return "A new login at the service, or TokenPair.objects.store(), makes the pair good."
    if isinstance(error, TemporarilyUnavailable) and error.retry_after:
        return f"Try again in {error.retry_after:.0f} s."
    return ""


def http_method(text: str) -> str:
    """For argparse."""
    if not (text.isascii() and text.isalpha()):
        raise argparse.ArgumentTypeError(f"{text!r} is no HTTP method")
    return text.upper()


def json_value(text: str) -> Any:
    """For argparse."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise argparse.ArgumentTypeError("this is no JSON; text needs quotes: '\"text\"'") from None
