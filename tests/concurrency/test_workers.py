"""`manage.py refresh_token_pairs` as processes, which share the due pairs and are ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.concurrency.databases import eventually
from tests.concurrency.scene import PATIENT, Scene, User
from tests.issuer_server.process import ROOT

pytestmark = pytest.mark.database

LONG = 60


class Command:
    """The command in a process of its own."""

    def __init__(self, scene: Scene, *arguments: str) -> None:
        stage = json.loads(scene.fleet.environment["JWT_OUTBOUND_STAGE"])
        stage["settings"] = scene.settings()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "django", "refresh_token_pairs", *arguments],
            cwd=ROOT,
            env={**scene.fleet.environment, "JWT_OUTBOUND_STAGE": json.dumps(stage)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self) -> tuple[int, str]:
        """Its exit status, and what it has said."""
        said, _ = self.process.communicate(timeout=LONG)
        return self.process.returncode, said


class Commands:
    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.started: list[Command] = []

    def start(self, *arguments: str) -> Command:
        self.started.append(Command(self.scene, *arguments))
        return self.started[-1]


@pytest.fixture
def commands(scene: Scene) -> Iterator[Commands]:
    commands = Commands(scene)
    yield commands
    scene.issuer.release_all()
    for each in commands.started:
        if each.process.poll() is None:
            each.process.kill()
        said, _ = each.process.communicate(timeout=LONG)
        assert "eyJ" not in said


def make_due(scene: Scene, number: int, state: str = "stale") -> list[User]:
    """Users whose pairs are due and in use."""
    users = scene.make_users(number, state=state)
    ids = [user.id for user in users]
    scene.clerk.do("rows.make_used", service=scene.service, users=ids)
    return users


def states(scene: Scene) -> list[dict[str, Any]]:
    return list(scene.clerk.do("rows.states", service=scene.service).values())


def refreshed(scene: Scene) -> int:
    return sum(each["generation"] == 2 for each in states(scene))


def claimed(scene: Scene) -> int:
    return sum(each["claimed"] for each in states(scene))


def assert_nobody_is_logged_out(scene: Scene) -> None:
    assert not any(each["refused"] for each in states(scene))


def test_three_workers_share_the_due_pairs(scene: Scene, commands: Commands) -> None:
    make_due(scene, 200)
    scene.issuer.hold()
    workers = [commands.start("--once", "--threads", "4") for _ in range(3)]
    scene.wait_inside(12)  # all three are at it
    scene.issuer.release()
    ends = [worker.end() for worker in workers]
    assert [status for status, _ in ends] == [0, 0, 0], ends
    assert refreshed(scene) == 200
    assert scene.issuer.most_presented() == 1
    assert len(scene.issuer.presentations()) == 200
    assert sum(int(said.split()[-2]) for _, said in ends) == 200
    assert scene.issuer.reuses() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_told_to_end_saves_what_the_issuer_has_answered(
    scene: Scene, commands: Commands, number: int
) -> None:
    make_due(scene, 20)
    scene.issuer.hold()
    worker = commands.start("--loop", "--threads", "4")
    scene.wait_inside(4)
    assert claimed(scene) > 4
    worker.process.send_signal(number)
    scene.issuer.release()
    status, said = worker.end()
    assert status == 0, said
    presented = scene.issuer.presentations()
    assert len(presented) >= 4
    assert scene.issuer.most_presented() == 1
    assert refreshed(scene) == len(presented)
    assert claimed(scene) == 0
    assert_nobody_is_logged_out(scene)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_it_at_once(
    scene: Scene, commands: Commands, number: signal.Signals
) -> None:
    make_due(scene, 4)
    scene.issuer.hold()
    worker = commands.start("--loop", "--threads", "4")
    scene.wait_inside(4)
    # While the issuer holds its answers back nothing else could end it. The first one may not have
    # been taken note of when the second comes: two of one kind are then one.
    while worker.process.poll() is None:
        worker.process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            worker.process.wait(0.05)
    status, said = worker.end()
    assert status == -number
    assert "Traceback" not in said
    assert len(scene.issuer.presentations()) == 4
    assert_nobody_is_logged_out(scene)


def test_what_a_killed_worker_had_in_hand_another_takes_over(
    scene: Scene, commands: Commands
) -> None:
    scene.options = {**PATIENT, "REPLAY_WINDOW": 300}
    scene.issuer.configure(grace=600)
    make_due(scene, 20)
    scene.issuer.hold()
    killed = commands.start("--loop", "--threads", "4")
    scene.wait_inside(4)
    killed.process.kill()
    killed.process.wait(LONG)
    in_hand = claimed(scene)
    scene.issuer.release()
    other = commands.start("--loop", "--threads", "4")
    # Those that nobody had in hand.
    assert eventually(lambda: refreshed(scene) == 20 - in_hand)
    assert claimed(scene) == in_hand > 4
    scene.clerk.do("rows.free_from_the_dead", service=scene.service)
    assert eventually(lambda: refreshed(scene) == 20)
    other.process.terminate()
    assert other.end()[0] == 0
    assert scene.issuer.most_presented() == 2  # the four whose answers were lost
    assert scene.issuer.reuses() == 0
    assert_nobody_is_logged_out(scene)


def test_a_caller_and_a_worker_who_meet_at_one_pair_present_it_once(
    scene: Scene, commands: Commands
) -> None:
    (user,) = make_due(scene, 1, state="expired")
    web = scene.hire()
    scene.issuer.hold()
    worker = commands.start("--once")
    scene.wait_inside(1)
    call = scene.start_call(web, user)
    scene.issuer.release()
    assert call.result(LONG)["token"]
    assert worker.end()[0] == 0
    assert scene.presented(user) == [1]
    scene.expire(user)
    scene.clerk.do("rows.make_used", service=scene.service, users=[user.id])
    scene.issuer.hold()
    call = scene.start_call(web, user)
    scene.wait_inside(1)
    second = commands.start("--once")
    status, said = second.end()
    scene.issuer.release()
    assert call.result(LONG)["token"]
    assert (status, "1 left alone" in said) == (0, True), said
    assert scene.presented(user) == [1, 2]


def test_processes_share_a_budget_and_callers_come_first(scene: Scene, commands: Commands) -> None:
    scene.options = {**PATIENT, "EXCHANGES_PER_SECOND": 20}
    backlog = make_due(scene, 40)
    waiting = scene.make_users(12, state="expired")
    # The workers leave these alone: nobody has used them yet.
    web = scene.hire()
    workers = [commands.start("--once", "--threads", "4") for _ in range(2)]
    assert eventually(lambda: len(scene.issuer.presentations()) > 2)
    calls = web.do("calls.fetch", service=scene.service, users=[u.id for u in waiting], threads=12,
                   shares=12)  # fmt: skip
    assert [call for call in calls if not call["token"]] == []
    assert [worker.end()[0] for worker in workers] == [0, 0]
    seen = scene.issuer.presentations()
    assert scene.issuer.most_presented() == 1
    assert len(seen) == 52
    names = [each["user"] for each in seen]
    last_call = max(names.index(each.name) for each in waiting)
    assert sum(each.name in names[last_call:] for each in backlog) > 5
    times = sorted(each["at"] for each in seen)
    # On a busy machine requests arrive bunched, but no more than are under way at once.
    assert max(sum(a <= b < a + 1 for b in times) for a in times) <= 26
