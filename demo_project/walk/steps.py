"""The steps of the walk, in order. Each does something real and says what was seen."""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests

from demo_project import places
from demo_project.people import BILLING_USERS, PORTAL_ADMIN
from demo_project.servers import Server
from demo_project.walk.ledger import Issuer, Ledger, PromiseBroken, expect, expect_that
from demo_project.walk.visitor import JSON, PAGE, Visitor, messages_on

USERNAME = "alice"
PASSWORD = BILLING_USERS[USERNAME]
CALLS_AT_ONCE = 50
Step = Callable[[Ledger], str]


def log_in(ledger: Ledger) -> str:
    """log in: the portal's form, checked at billing, the pair stored"""
    answer = ledger.visitor.log_in(USERNAME, PASSWORD)
    expect("login", (answer.status_code, answer.headers.get("Location")), (302, "/"))
    return ledger.note(f"{USERNAME} is in", refreshes=0)


def first_call(ledger: Ledger) -> str:
    """first call: with the token of the login"""
    return ledger.note(_invoices(ledger), refreshes=0)


def expiry(ledger: Ledger) -> str:
    """expiry: the access token runs out, the next call refreshes first"""
    generation = ledger.generation()
    waited = _run_out(ledger)
    did = f"expired after {waited:.1f} s, then {_invoices(ledger)}"
    return ledger.note(did, refreshes=1, generation=generation + 1)


def stampede(ledger: Ledger) -> str:
    """stampede: 50 calls at once on an expired token"""
    generation = ledger.generation()
    _run_out(ledger)
    outcome = _press(ledger, "/at-once/")
    promised = f"{CALLS_AT_ONCE} of {CALLS_AT_ONCE} calls at once succeeded"
    expect_that(outcome["headline"].startswith(promised), outcome["headline"])
    return ledger.note(promised, refreshes=1, generation=generation + 1)


def rollback(ledger: Ledger) -> str:
    """rollback: a view refreshes inside a transaction and then raises"""
    generation = ledger.generation()
    _run_out(ledger)
    expect("the failing view", ledger.visitor.press("/failing/").status_code, 500)
    ledger.note("the failing view", refreshes=1, generation=generation + 1)
    did = f"the view answered 500 and was rolled back, the new pair was kept; {_invoices(ledger)}"
    return ledger.note(did, refreshes=0, generation=generation + 1)


def outage(ledger: Ledger) -> str:
    """outage: billing's token endpoint is down, the access token runs out"""
    generation = ledger.generation()
    # To its very end: in a cool-down the last second before it is used too.
    ledger.visitor.wait_until("over", lambda pair: pair["left"] == 0)
    ledger.issuer.down_for(60)
    start = time.monotonic()
    waits = [_unavailable(ledger) for _ in range(3)]
    in_one_cool_down = time.monotonic() - start < 1
    expect("the page of the user", ledger.visitor.open("/").status_code, 200)
    did = f"3 calls got 503 with Retry-After {waits[-1]}, still logged in"
    # On a machine too busy for three calls in a second, the cool-down may end in between.
    at_most = 1 if in_one_cool_down else 3
    return ledger.note(did, refreshes=1, generation=generation, at_most=at_most)


def recovery(ledger: Ledger) -> str:
    """recovery: it is back, and a call after Retry-After works"""
    generation = ledger.generation()
    ledger.issuer.down_for(0)
    while (answer := ledger.visitor.press("/call/")).status_code == 503:
        time.sleep(int(answer.headers["Retry-After"]))
    expect("the call", answer.status_code, 200)
    return ledger.note(_invoices(ledger), refreshes=1, generation=generation + 1)


def graphql(ledger: Ledger) -> str:
    """GraphQL: the same pair through gql's RequestsHTTPTransport"""
    outcome = _press(ledger, "/graphql/")
    expect("invoices by GraphQL", len(outcome["invoices"]), 3)
    return str(outcome["headline"]).removesuffix(".")


def command(ledger: Ledger) -> str:
    """outbound_call: a third process uses the same pair"""
    run = subprocess.run(
        [sys.executable, "manage.py", "outbound_call", "billing", USERNAME, "GET", "invoices/"],
        cwd=places.TOP,
        env=ledger.portal.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    expect_that(run.returncode == 0 and "Harbour" in run.stdout, run.stdout + run.stderr)
    return "exit status 0, the invoices are in its output"


def revocation(ledger: Ledger) -> str:
    """revocation: billing revokes the login; the next call ends at the login page"""
    phone = Visitor(ledger.portal.url)
    phone.log_in(USERNAME, PASSWORD)
    _invoices(ledger)
    # Younger than a tenth of its life, a token that is refused is not taken to have run out.
    ledger.visitor.wait_until("a second old", lambda pair: pair["lifetime"] - pair["left"] > 1)
    revoked = ledger.issuer.revoke()
    answer = ledger.visitor.press("/call/", headers=PAGE)
    sentence = _sentence_on_login_page(ledger.visitor, answer)
    expect("the page of the user", _where_home_leads(ledger.visitor), "/login/")
    expect("the same user's phone", phone.open("/status/", headers=JSON).status_code, 401)
    ledger.issuer.new_requests()
    return f'{revoked} refresh tokens revoked; every session of {USERNAME} ended: "{sentence}"'


def again(ledger: Ledger) -> str:
    """again: a new login makes everything good"""
    answer = ledger.visitor.log_in(USERNAME, PASSWORD)
    expect("login", (answer.status_code, answer.headers.get("Location")), (302, "/"))
    return ledger.note(_invoices(ledger), refreshes=0)


def connect(ledger: Ledger) -> str:
    """connect: a local user without a pair is asked for the login at billing"""
    admin = Visitor(ledger.portal.url)
    admin.log_in(*PORTAL_ADMIN)
    answer = admin.press("/call/", headers=PAGE)
    expect("the first call", answer.status_code, 302)
    form = answer.headers["Location"]
    expect_that(form.startswith("/outbound/connect/billing/"), f"the first call led to {form}")
    admin.open(form)
    bob = {"username": "bob", "password": BILLING_USERS["bob"]}
    expect("connecting", admin.press(form, headers=PAGE, **bob).status_code, 302)
    expect("the next call", admin.press("/call/").status_code, 200)
    return "the admin was sent to the connect page, connected as bob, and called"


STEPS: list[Step] = [
    log_in,
    first_call,
    expiry,
    stampede,
    rollback,
    outage,
    recovery,
    graphql,
    command,
    revocation,
    again,
    connect,
]


def walk(portal: Server, billing: Server, write: Callable[[str], Any]) -> bool:
    """Take the steps up to the first that breaks a promise; whether none did."""
    ledger = Ledger(portal, Visitor(portal.url), Issuer(billing, USERNAME))
    start = time.monotonic()
    for number, step in enumerate(STEPS, start=1):
        write(f"{number:>2}. {step.__doc__}")
        try:
            write(f"    ok      {step(ledger)}")
        except (PromiseBroken, TimeoutError, KeyError, requests.RequestException) as broken:
            write(f"    FAILED  {broken}")
            return False
    write(f"All {len(STEPS)} steps did what is promised, in {time.monotonic() - start:.0f} s.")
    return True


def _press(ledger: Ledger, path: str) -> dict[str, Any]:
    answer = ledger.visitor.press(path)
    expect(f"POST {path}", answer.status_code, 200)
    found: dict[str, Any] = answer.json()
    return found


def _invoices(ledger: Ledger) -> str:
    outcome = _press(ledger, "/call/")
    expect("billing's status", outcome["status"], 200)
    return f"200 with {len(outcome['invoices'])} invoices"


def _run_out(ledger: Ledger) -> float:
    """Wait until the access token would not be sent any more; returns the seconds that took."""
    return ledger.visitor.wait_until("expired", lambda pair: pair["state"] == "expired")


def _unavailable(ledger: Ledger) -> int:
    """Call while the token endpoint is down; returns Retry-After."""
    answer = ledger.visitor.press("/call/")
    expect("a call during the outage", answer.status_code, 503)
    return int(answer.headers["Retry-After"])


def _sentence_on_login_page(visitor: Visitor, answer: requests.Response) -> str:
    expect("the call after the revocation", answer.status_code, 302)
    location = answer.headers["Location"]
    expect("it leads to", urlsplit(location).path, "/login/")
    sentences = messages_on(visitor.open(location).text)
    expect_that(len(sentences) == 1, f"messages on the login page: {sentences}")
    return sentences[0]


def _where_home_leads(visitor: Visitor) -> str:
    return urlsplit(visitor.open("/", allow_redirects=False).headers["Location"]).path
