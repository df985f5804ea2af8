import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import override_settings

from jwt_outbound.management.commands.outbound_call import Command
from jwt_outbound.models import TokenPair
from tests.issuer_server import StrictIssuer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

Later = Callable[[float], None]


def run(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command("outbound_call", *arguments, stdout=out, no_color=True, **options)
    return out.getvalue()


def get(path: str = "invoices/", *arguments: str) -> str:
    return run("billing", "alice", "GET", path, *arguments)


def fails(*arguments: str) -> str:
    """The message of the CommandError, for which a shell sees the exit status 1."""
    with pytest.raises(CommandError) as raised:
        run(*arguments)
    assert raised.value.returncode == 1
    return str(raised.value)


def test_a_fresh_token(stored: dict[str, str], issuer: StrictIssuer, user: User) -> None:
    lines = get().splitlines()
    assert lines[0] == f"user:    alice (primary key {user.pk})"
    assert lines[1].startswith("pair:    fresh, generation 1, access token ends in 4 min 5")
    assert lines[2] == f"request: GET {issuer.base_url}invoices/"
    assert lines[3] == "refresh: no (the access token is fresh)"
    assert lines[4].startswith("answer:  200 OK after 0.")
    assert "application/json" in lines[4]
    assert json.loads(lines[6])["user"] == "alice"
    assert issuer.presentations() == []


def test_an_expired_token(stored: dict[str, str], issuer: StrictIssuer, later: Later) -> None:
    later(290)
    text = get()
    assert "pair:    expired, generation 1, access token ends in" in text
    assert "refresh: yes, generation 1 -> 2 (the access token is expired)" in text
    assert "200 OK" in text
    assert len(issuer.presentations()) == 1


def test_a_stale_token(stored: dict[str, str], issuer: StrictIssuer, later: Later) -> None:
    later(258)
    text = get()
    assert "pair:    stale, generation 1" in text
    assert "refresh: yes, generation 1 -> 2 (the access token is stale: it is sent" in text
    assert len(issuer.presentations()) == 1


def test_a_token_that_the_service_rejects(
    stored: dict[str, str], issuer: StrictIssuer, later: Later
) -> None:
    later(60)
    issuer.reject_access("alice")
    text = get()
    assert "generation 1 -> 2 (the access token is fresh, but was refused" in text
    assert "200 OK" in text


def test_the_first_pair(user: User, issuer: StrictIssuer) -> None:
    def obtain(user: User) -> str:
        return issuer.pair_for(user.username)["access"]

    service = {
        "BASE_URL": issuer.base_url,
        "ISSUER": "jwt_outbound.issuers.CallableIssuer",
        "OPTIONS": {"obtain": obtain},
    }
    with override_settings(JWT_OUTBOUND={"SERVICES": {"billing": service}}):
        text = get()
    assert "pair:    none stored" in text
    assert "refresh: yes, generation none -> " in text
    assert "the issuer is asked for a first one" in text
    assert "200 OK" in text


def test_no_token_is_printed(stored: dict[str, str], issuer: StrictIssuer) -> None:
    """Not even where the service repeats it."""
    body = json.dumps({"you sent": stored["access"]})
    text = run("billing", "alice", "post", "echo", "--data", body)
    assert "[access token]" in text
    assert stored["access"] not in text
    assert stored["refresh"] not in text


def test_a_body_is_sent(stored: dict[str, str], issuer: StrictIssuer) -> None:
    text = run("billing", "alice", "POST", "echo", "--data", '{"amount": 5}')
    assert json.loads(text.splitlines()[-1]) == {"amount": 5}
    assert issuer.requests("api")[-1]["method"] == "POST"


def test_a_user_by_primary_key(stored: dict[str, str], user: User) -> None:
    assert "200 OK" in run("billing", str(user.pk), "GET", "invoices/")


def test_long_answers_are_cut(stored: dict[str, str]) -> None:
    data = json.dumps("x" * 5000)
    text = run("billing", "alice", "POST", "echo", "--data", data)
    assert "5002 characters" in text
    assert text.count("x") < 2100
    assert text.endswith("... cut after 2000 characters; --full prints all\n")
    assert run("billing", "alice", "POST", "echo", "--data", data, "--full").count("x") >= 5000


def test_an_answer_can_not_steer_the_terminal(stored: dict[str, str], issuer: StrictIssuer) -> None:
    issuer.fail(200, door="api", body="one\x1b[2J\ttwo\nthree\x07")
    assert "one\ufffd[2J\ttwo\nthree\ufffd" in get()


def test_a_dry_run(stored: dict[str, str], issuer: StrictIssuer, later: Later) -> None:
    assert "refresh: no (the access token is fresh)" in get("invoices/", "--dry-run")
    later(290)
    text = get("invoices/", "--dry-run")
    assert "refresh: yes (the access token is expired)" in text
    assert "nothing was sent" in text
    assert issuer.requests() == []
    assert TokenPair.objects.get().generation == 1


def test_an_answer_of_400_or_more(stored: dict[str, str], issuer: StrictIssuer) -> None:
    issuer.fail(404, door="api", body="no such invoice")
    out = StringIO()
    with pytest.raises(CommandError, match=r"The service answered 404 Not Found\."):
        call_command("outbound_call", "billing", "alice", "GET", "x/", stdout=out)
    assert "no such invoice" in out.getvalue()


def test_an_unknown_service(user: User) -> None:
    assert "configured: billing" in fails("billling", "alice", "GET", "x/")


@pytest.mark.parametrize("name", ["nobody", "987654", str(10**30), ""])
def test_an_unknown_user(user: User, name: str) -> None:
    assert "There is no user with the username or the primary key" in fails(
        "billing", name, "GET", "x/"
    )


def test_no_pair(user: User) -> None:
    for more in ([], ["--dry-run"]):
        message = fails("billing", "alice", "GET", "x/", *more)
        assert "TokenPair.objects.store(" in message
        assert "jwt_outbound.urls" in message


def test_a_user_who_is_not_active(stored: dict[str, str], user: User) -> None:
    User.objects.update(is_active=False)
    assert "is not active" in fails("billing", "alice", "GET", "x/")


@pytest.mark.parametrize("path", ["https://elsewhere.example/", "//elsewhere.example", "../../x"])
def test_another_origin(stored: dict[str, str], issuer: StrictIssuer, path: str) -> None:
    fails("billing", "alice", "GET", path)
    assert issuer.requests() == []


def test_an_issuer_that_is_down(stored: dict[str, str], issuer: StrictIssuer, later: Later) -> None:
    later(290 + 60)
    issuer.fail(503, times=None, headers={"Retry-After": "30"})
    assert "Try again in 30 s." in fails("billing", "alice", "GET", "x/")


def test_a_refusal(stored: dict[str, str], issuer: StrictIssuer, later: Later) -> None:
    later(290)
    issuer.revoke("alice")
    assert "A new login" in fails("billing", "alice", "GET", "x/")
    assert "A new login" in fails("billing", "alice", "GET", "x/", "--dry-run")


def test_a_service_that_is_down(stored: dict[str, str], issuer: StrictIssuer) -> None:
    issuer.stop()
    message = fails("billing", "alice", "GET", "x/?q=sesame")
    assert "ConnectionError" in message
    assert "BASE_URL" in message
    assert "sesame" not in message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["GE T", "x/"], "no HTTP method"),
        (["POST", "x/", "--data", "{amount: 5}"], "no JSON"),
        (["GET"], "path"),
    ],
)
def test_arguments_that_make_no_sense(user: User, arguments: list[str], words: str) -> None:
    assert words in fails("billing", "alice", *arguments)


def test_the_help_has_examples() -> None:
    text = Command().create_parser("manage.py", "outbound_call").format_help()
    assert "  manage.py outbound_call billing alice GET invoices/ --dry-run\n" in text
    assert "exit status is 1" in text
