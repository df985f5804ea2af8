import re
import subprocess
from pathlib import Path

import pytest

from demo_project.servers import Server
from demo_project.walk import steps
from demo_project.walk.ledger import Ledger, PromiseBroken
from tests.demo.processes import manage


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> "subprocess.CompletedProcess[str]":
    return manage(tmp_path_factory.mktemp("walk"), "demo", "--walk")


def test_it_ends_well(told: "subprocess.CompletedProcess[str]") -> None:
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stderr == ""
    assert f"All {len(steps.STEPS)} steps did what is promised" in told.stdout


def test_every_step_says_what_was_seen(told: "subprocess.CompletedProcess[str]") -> None:
    said = re.findall(r"^ *\d+\. (.+)\n    ok +(.+)$", told.stdout, re.MULTILINE)
    assert [title for title, _ in said] == [step.__doc__ for step in steps.STEPS]
    assert all(seen for _, seen in said)


@pytest.mark.parametrize(
    "seen",
    [
        "expiry: .+\n.+200 with 3 invoices; 1 refresh request at the issuer, generation 2,",
        "stampede: .+\n.+50 of 50 calls at once succeeded; 1 refresh request at the issuer",
        "rollback: .+\n.+ answered 500 .+; 200 .+; 0 refresh requests at the issuer",
        "outage: .+\n.+503 with Retry-After \\d+, still logged in; 1 refresh request",
        'revocation: .+\n.+every session of alice ended: "[A-Z].+\\.?"',
    ],
)
def test_the_promises(told: "subprocess.CompletedProcess[str]", seen: str) -> None:
    assert re.search(seen, told.stdout), told.stdout


def test_no_token_is_told(told: "subprocess.CompletedProcess[str]") -> None:
    assert "eyJ" not in told.stdout + told.stderr


def test_a_broken_promise_ends_the_walk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def kept(ledger: Ledger) -> str:
        """kept: this one holds"""
        return "seen"

    def broken(ledger: Ledger) -> str:
        """broken: this one does not"""
        raise PromiseBroken("2 refresh requests, promised 1")

    def after(ledger: Ledger) -> str:
        raise AssertionError("a step after the broken one was taken")

    monkeypatch.setattr(steps, "STEPS", [kept, broken, after])
    said: list[str] = []
    server = Server("portal", "http://127.0.0.1:1", tmp_path / "log", process=None, environment={})  # type: ignore[arg-type]
    assert steps.walk(server, server, said.append) is False
    assert said == [
        " 1. kept: this one holds",
        "    ok      seen",
        " 2. broken: this one does not",
        "    FAILED  2 refresh requests, promised 1",
    ]
