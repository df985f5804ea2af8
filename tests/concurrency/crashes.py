"""A caller's process is killed while it holds the lease, at each point where that hurts."""

from __future__ import annotations

from collections.abc import Callable

from tests.concurrency.scene import Scene, User

Crash = Callable[[Scene, User], None]


def before_sending(scene: Scene, user: User) -> None:
    """The lease is committed, and nothing was sent."""
    _kill_at(scene, user, "Exchange")


def after_sending(scene: Scene, user: User) -> None:
    """The issuer has the token and is about to rotate; nobody will hear its answer."""
    scene.issuer.hold()
    scene.issuer.hold("answer")
    holder = scene.hire()
    scene.start_call(holder, user)
    scene.wait_inside()
    holder.kill()
    scene.issuer.release()
    scene.wait_inside(door="answer")
    scene.issuer.release("answer")


def before_the_commit(scene: Scene, user: User) -> None:
    """The holder has the new pair in its hands."""
    _kill_at(scene, user, "Save")


def after_the_commit(scene: Scene, user: User) -> None:
    """The new pair, or the refusal, is stored, and the receivers are not told."""
    _kill_at(scene, user, "Announce")


def _kill_at(scene: Scene, user: User, step: str) -> None:
    holder = scene.hire(stop_at=step)
    scene.start_call(holder, user)
    holder.expect("stopped")
    holder.kill()
