"""The issuer as a process of its own, commanded from another one."""

from __future__ import annotations

import inspect
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.issuer_server import RemoteIssuer, StrictIssuer, serve_process
from tests.issuer_server.control import VERBS
from tests.issuer_server.process import ROOT, running_process


def refresh(issuer: RemoteIssuer, token: str) -> requests.Response:
    return requests.post(issuer.refresh_url, json={"refresh": token}, timeout=10)


def test_the_remote_verbs_are_the_local_ones() -> None:
    verbs = {name for name, _ in inspect.getmembers(StrictIssuer, inspect.isfunction)}
    assert {name for name in verbs if name[0] != "_"} - {"start", "stop"} == VERBS
    for verb in VERBS:
        local, remote = (getattr(kind, verb) for kind in (StrictIssuer, RemoteIssuer))
        assert inspect.signature(local) == inspect.signature(remote), verb


def test_it_is_commanded_from_another_process() -> None:
    with serve_process(lifetime=60) as remote, ThreadPoolExecutor(2) as pool:
        token = remote.pair_for("alice")["refresh"]
        remote.hold()
        answers = [pool.submit(refresh, remote, token) for _ in range(2)]
        assert remote.wait_inside(2) == 2
        remote.release(count=1)
        remote.release()
        assert sorted(answer.result(10).status_code for answer in answers) == [200, 401]
        assert (remote.times_presented("alice", 1), remote.reuses()) == (2, 1)
        assert [each["ended"] for each in remote.families()] == ["reuse"]
        with pytest.raises(TimeoutError, match="0 of 1 requests stood at 'refresh'"):
            remote.wait_inside(1, timeout=0)
        with pytest.raises(LookupError, match="no door 'back'"):
            remote.hold("back")


def test_it_leaves_when_its_parent_does() -> None:
    with running_process("tests.issuer_server") as served:
        assert served.process.stdin is not None
        served.process.stdin.close()
        assert served.process.wait(10) == 0


@pytest.mark.parametrize("module", ["issuer_server", "real_issuers.simplejwt"])
def test_a_busy_port_is_a_clear_message(module: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        command = [sys.executable, "-m", f"tests.{module}", "--port", port]
        if module.startswith("real"):
            command.append("--database=:memory:")
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    assert f"cannot listen at port {port}: Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr
