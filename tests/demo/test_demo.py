import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from demo_project.walk.visitor import JSON, PAGE, Visitor, messages_on
from tests.demo.processes import Demo, answers, demo, line_to, manage

JWT_HEADER = b"eyJhbGciOi"
"""How `{"alg":` begins in base64; a Django session may begin with `eyJ` too."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with demo(tmp_path_factory.mktemp("demo")) as started:
        yield started


@pytest.fixture
def visitor(running: Demo) -> Iterator[Visitor]:
    with Visitor(running.portal) as someone:
        yield someone


@pytest.fixture
def bob(visitor: Visitor) -> Visitor:
    assert visitor.log_in("bob", "bob-demo").headers["Location"] == "/"
    return visitor


def an_elderly_token(visitor: Visitor) -> None:
    """Younger than a tenth of its life, a token that is refused is not taken to have run out."""
    visitor.wait_until("two seconds old", lambda pair: pair["lifetime"] - pair["left"] > 2)


def revoke_at_billing(running: Demo, username: str) -> None:
    answer = requests.post(f"{running.billing}/control/{username}/revoke/", json={}, timeout=10)
    assert answer.json()["revoked"] >= 1


def assert_ended(started: Demo, number: signal.Signals) -> None:
    status, said = started.end(number)
    assert status == 0
    assert "both services have ended" in said
    assert not answers(started.portal)
    assert not answers(started.billing)


def test_the_greeting_names_the_address_and_the_users(running: Demo) -> None:
    assert f"{running.portal}/" in running.greeting
    for user in ("alice", "alice-demo", "bob", "bob-demo", "admin", "admin-demo"):
        assert user in running.greeting


def test_the_page_shows_the_pair_and_its_history(bob: Visitor) -> None:
    page = bob.open("/").text
    assert '<span id="username">bob</span>' in page
    assert "stored" in page
    status = bob.status()
    assert status["pair"]["state"] == "fresh"
    # simplejwt counts `exp` from when the refresh token was made, `iat` from the access token.
    assert status["pair"]["lifetime"] in (14, 15)
    assert status["history"][0]["kind"] == "stored"
    assert status["billing"]["down_for"] == 0


def test_no_page_needs_another_host(bob: Visitor) -> None:
    page = bob.open("/").text
    assert re.findall(r"""(?:src|href|action)=["'](?:https?:)?//""", page) == []
    for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        assert bob.open(path).status_code == 200


def test_billing_answers(bob: Visitor) -> None:
    outcome = bob.press("/call/").json()
    assert outcome["status"] == 200
    assert "Nordwind AG" in {invoice["customer"] for invoice in outcome["invoices"]}


def test_an_invoice_is_added_and_a_bad_one_is_not(bob: Visitor) -> None:
    added = bob.press("/invoices/", customer="Café Ñandú", amount="12.30").json()
    assert (added["status"], added["invoices"][0]["amount"]) == (201, "12.30")
    refused = bob.press("/invoices/", customer="Nobody", amount="much").json()
    assert (refused["status"], refused["good"]) == (400, False)


def test_billing_answers_by_graphql(bob: Visitor) -> None:
    outcome = bob.press("/graphql/").json()
    assert len(outcome["invoices"]) == 3
    assert "bob" in outcome["headline"]


def test_the_buttons_work_without_a_script(bob: Visitor) -> None:
    answer = bob.press("/call/", headers=PAGE)
    assert answer.headers["Location"] == "/"
    (sentence,) = messages_on(bob.open("/").text)
    assert sentence.startswith("Billing answered with ")


def test_no_page_shows_a_token(bob: Visitor) -> None:
    bob.press("/call/")
    seen = bob.open("/").text + bob.open("/status/", headers=JSON).text
    assert "eyJ" not in seen
    assert "eyJ" not in bob.press("/failing/").text


def test_the_portal_keeps_no_token_in_clear(running: Demo, bob: Visitor) -> None:
    """Billing does, as simplejwt's blacklist is made: that is the issuer's own."""
    bob.press("/call/")
    files = [
        *running.directory.glob("portal.*"),
        *running.directory.glob("tokens.*"),
        *running.directory.glob("*.log"),
    ]
    assert {"portal.log", "billing.log", "tokens.sqlite3"} <= {file.name for file in files}
    issued = running.directory.glob("billing.sqlite3*")
    assert any(JWT_HEADER in file.read_bytes() for file in issued)
    assert [file.name for file in files if JWT_HEADER in file.read_bytes()] == []


def test_a_revoked_login_ends_at_the_login_page_which_says_why(running: Demo, bob: Visitor) -> None:
    an_elderly_token(bob)
    told = bob.press("/revoke/").json()
    assert told["good"]
    answer = bob.press("/call/", headers=PAGE)
    assert answer.status_code == 302
    location = answer.headers["Location"]
    assert urlsplit(location).path == "/login/"
    (sentence,) = messages_on(bob.open(location).text)
    assert "billing" in sentence.lower()
    assert bob.open("/status/", headers=JSON).status_code == 401
    assert bob.log_in("bob", "bob-demo").headers["Location"] == "/"
    assert bob.press("/call/").json()["status"] == 200


def test_a_script_is_told_that_a_login_is_required(running: Demo, bob: Visitor) -> None:
    an_elderly_token(bob)
    revoke_at_billing(running, "bob")
    answer = bob.press("/call/")
    assert answer.status_code == 401
    assert answer.json()["code"] == "login_required"
    assert answer.json()["service"] == "billing"
    assert bob.open("/status/", headers=JSON).json()["code"] == "session_ended"


def test_many_calls_at_once_end_in_one_401(running: Demo, bob: Visitor) -> None:
    an_elderly_token(bob)
    revoke_at_billing(running, "bob")
    answer = bob.press("/at-once/")
    assert (answer.status_code, answer.json()["code"]) == (401, "login_required")


def test_wrong_password_is_not_let_in(visitor: Visitor) -> None:
    answer = visitor.log_in("bob", "not-his")
    assert answer.status_code == 200
    assert "Billing knows no such name and password" in answer.text
    assert "not-his" not in answer.text


def test_a_login_during_an_outage_is_no_wrong_password(running: Demo, visitor: Visitor) -> None:
    outage = f"{running.billing}/control/outage/"
    requests.post(outage, json={"seconds": 60}, timeout=10)
    try:
        answer = visitor.log_in("bob", "bob-demo")
    finally:
        requests.post(outage, json={"seconds": 0}, timeout=10)
    assert answer.status_code == 503


def test_the_admin_shows_pairs_and_no_token(visitor: Visitor) -> None:
    visitor.log_in("bob", "bob-demo")
    visitor.press("/logout/", headers=PAGE)
    visitor.log_in("admin", "admin-demo")
    answer = visitor.open("/admin/jwt_outbound/tokenpair/")
    assert answer.status_code == 200
    assert "bob" in answer.text
    assert "eyJ" not in answer.text


def test_a_web_page_cannot_work_the_controls(running: Demo) -> None:
    form = requests.post(f"{running.billing}/control/bob/revoke/", data={}, timeout=10)
    assert form.status_code == 403


def test_the_controls_are_only_in_the_demo(tmp_path: Path) -> None:
    asked = "from django.urls import resolve; print(resolve('/control/outage/'))"
    arguments = ("shell", "--settings", "demo_project.billing.settings", "-c", asked)
    assert "Resolver404" in manage(tmp_path, *arguments).stderr
    assert manage(tmp_path, *arguments, JWT_OUTBOUND_DEMO_CONTROLS="1").returncode == 0


@pytest.mark.parametrize("service", ["billing", "portal"])
def test_migrations_and_checks(service: str, tmp_path: Path) -> None:
    settings = ("--settings", f"demo_project.{service}.settings")
    missing = manage(tmp_path, "makemigrations", "--check", "--dry-run", *settings)
    assert missing.returncode == 0, missing.stdout + missing.stderr
    checked = manage(tmp_path, "check", "--fail-level", "WARNING", *settings)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("option", ["--port", "--billing-port"])
def test_a_busy_port_is_one_clear_line(option: str, tmp_path: Path) -> None:
    ports = {"--port": "0", "--billing-port": "0"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports[option] = str(taken.getsockname()[1])
        run = manage(tmp_path, "demo", *(word for pair in ports.items() for word in pair))
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert ports[option] in line
    assert f"Give another port with {option}" in line
    assert "in use" in line


def test_ctrl_c_ends_both_services(tmp_path: Path) -> None:
    with demo(tmp_path) as started:
        assert (tmp_path / "billing.url").exists()
        assert_ended(started, signal.SIGINT)
    assert not (tmp_path / "billing.url").exists()


def test_even_a_killed_demo_leaves_no_service_behind(tmp_path: Path) -> None:
    with demo(tmp_path) as started, line_to(started.portal) as one, line_to(started.billing) as two:
        started.end(signal.SIGKILL)
        assert (one.recv(1), two.recv(1)) == (b"", b"")


def test_a_second_start_works_on_what_the_first_left(tmp_path: Path) -> None:
    with demo(tmp_path) as first, Visitor(first.portal) as alice:
        alice.log_in("alice", "alice-demo")
        alice.press("/invoices/", customer="Kept", amount="1.00")
        cookies = alice.cookies
        assert_ended(first, signal.SIGTERM)
    with demo(tmp_path) as second, Visitor(second.portal, cookies) as alice:
        assert alice.status()["user"] == "alice"
        invoices = alice.press("/call/").json()["invoices"]
        assert [invoice["customer"] for invoice in invoices].count("Kept") == 1
        assert len(invoices) == 4
        found = manage(tmp_path, "outbound_call", "billing", "alice", "GET", "invoices/")
        assert found.returncode == 0, found.stdout + found.stderr
        assert "Kept" in found.stdout
