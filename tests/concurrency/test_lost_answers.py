"""P3: the issuer has rotated, and its answer is lost on the way (design 3.4), by issuer profile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.concurrency.fleet import Worker
from tests.concurrency.scene import SHORT, Scene, User

pytestmark = pytest.mark.database

LIFETIME = 300.5
COOL_AGAIN = 6.0
"""Seconds; after a first ambiguous answer the cool-down is 2 at most."""


@dataclass(frozen=True)
class Profile:
    """A kind of issuer, and how a service that knows it is configured."""

    name: str
    knobs: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    oauth2: bool = False

    def __str__(self) -> str:
        return self.name


WITH_WINDOW = [
    Profile("the same pair again", {"grace": 60}, {"REPLAY_WINDOW": 20}),
    Profile("another pair", {"grace": 60, "grace_answer": "fresh"}, {"REPLAY_WINDOW": 20}),
    Profile("OAuth2 with a window", {"grace": 60}, {"REPLAY_WINDOW": 20}, oauth2=True),
]
WITHOUT_WINDOW = [
    Profile("the family dies"),
    Profile("the successor lives on", {"reuse_ends_family": False}),
    Profile("OAuth2", oauth2=True),
]
LOSSES: list[dict[str, Any]] = [
    {"mode": "drop-after"},
    {"mode": "truncate"},
    {"mode": 503, "after_rotation": True},
    {"mode": "html", "after_rotation": True},
    {"mode": "slow", "seconds": 30},
]


def set_up(scene: Scene, profile: Profile) -> None:
    scene.issuer.configure(lifetime=LIFETIME, **profile.knobs)
    scene.options = {**SHORT, **profile.options}
    if profile.oauth2:
        scene.options |= {
            "ISSUER": "jwt_outbound.issuers.OAuth2Issuer",
            "OPTIONS": {
                "token_url": scene.issuer.refresh_url,
                "client_id": "portal",
                "client_auth": "none",
            },
        }


def call(scene: Scene, worker: Worker, user: User, later: float = 0) -> dict[str, Any]:
    """A call so many seconds later, and the flights that nobody waits for are over."""
    scene.issuer.advance(later)
    seen = scene.call(worker, user, later=later)
    assert worker.do("calls.wait_for_flights")
    return seen


def cases(profiles: list[Profile]) -> list[Any]:
    """The first profile with every loss, the others with one."""
    chosen = [(profiles[0], loss) for loss in LOSSES]
    chosen += [(profile, LOSSES[0]) for profile in profiles[1:]]
    return [pytest.param(*case, id=f"{case[0].name}, {case[1]['mode']}") for case in chosen]


@pytest.mark.parametrize(("profile", "loss"), cases(WITH_WINDOW))
def test_with_a_window_the_user_never_notices(
    scene: Scene, profile: Profile, loss: dict[str, Any]
) -> None:
    set_up(scene, profile)
    user, worker = scene.make_user(state="stale"), scene.hire()
    scene.issuer.fail(**loss)
    seen = [call(scene, worker, user)["token"] for _ in range(2)]
    seen += [call(scene, worker, user, later=COOL_AGAIN)["token"] for _ in range(2)]
    old, new = seen[0], seen[-1]
    assert None not in seen
    assert seen == [old, old, old, new]
    assert old != new
    assert scene.presented(user) == [1, 1]
    assert scene.issuer.reuses() == 0
    scene.assert_login_goes_on(user, worker)


@pytest.mark.parametrize("profile", WITH_WINDOW, ids=str)
def test_with_a_window_an_expired_token_costs_one_try_again(scene: Scene, profile: Profile) -> None:
    set_up(scene, profile)
    user, worker = scene.make_user(), scene.hire()
    scene.issuer.fail("drop-after")
    lost = call(scene, worker, user)
    assert lost["error"] == "IssuerUnavailable"
    assert 0 < lost["retry_after"] <= 20 / 4
    assert call(scene, worker, user, later=lost["retry_after"])["token"]
    assert scene.issuer.reuses() == 0
    scene.assert_login_goes_on(user, worker)


@pytest.mark.parametrize(("profile", "loss"), cases(WITHOUT_WINDOW))
def test_without_a_window_the_access_token_serves_to_its_end(
    scene: Scene, profile: Profile, loss: dict[str, Any]
) -> None:
    set_up(scene, profile)
    user, worker = scene.make_user(state="stale"), scene.hire()
    scene.issuer.fail(**loss)
    seen = {call(scene, worker, user, later=later)["token"] for later in (0, 60, 60, 60, 60)}
    assert len(seen) == 1
    assert None not in seen
    assert scene.presented(user) == [1]
    scene.assert_login_goes_on(user, worker)
    ends = [call(scene, worker, user, later=later) for later in (65, 0, 0)]
    assert {(end["error"], end["reason"]) for end in ends} == {
        ("RefreshTokenRefused", "rotation_lost")
    }
    assert [each["reason"] for each in scene.signals(worker)] == ["rotation_lost"]
    assert scene.presented(user) == [1, 1]


@pytest.mark.parametrize("loss", ["drop-before", 503])
def test_where_nothing_was_rotated_the_login_goes_on(scene: Scene, loss: str | int) -> None:
    """The client cannot know that, so it keeps still until the access token has run out."""
    set_up(scene, WITHOUT_WINDOW[0])
    user, worker = scene.make_user(state="stale"), scene.hire()
    scene.issuer.fail(loss)
    old = {call(scene, worker, user, later=later)["token"] for later in (0, 100, 100)}
    assert scene.presented(user) == [1]
    new = {call(scene, worker, user, later=later)["token"] for later in (105, 0)}
    assert (len(old), len(new), old & new, None in old | new) == (1, 1, set(), False)
    assert scene.presented(user) == [1, 1]
    assert scene.issuer.reuses() == 0
    scene.assert_login_goes_on(user, worker)


def test_an_issuer_that_does_not_rotate_forgives_every_loss(scene: Scene) -> None:
    set_up(scene, Profile("no rotation", {"rotate": False}))
    user, worker = scene.make_user(), scene.hire()
    scene.issuer.fail("drop-after", times=2)
    errors = [call(scene, worker, user, later=later)["error"] for later in (0, COOL_AGAIN)]
    assert errors == ["IssuerUnavailable", "IssuerUnavailable"]
    assert call(scene, worker, user, later=COOL_AGAIN)["token"]
    scene.assert_login_goes_on(user, worker)


def test_where_a_refresh_kills_the_old_access_token_the_refusal_says_why(scene: Scene) -> None:
    """django-oauth-toolkit's way: nothing is left to be served with, so the end comes at once."""
    profile = Profile("toolkit", {"access_dies_early": True}, oauth2=True)
    set_up(scene, profile)
    scene.options["OPTIONS"]["profile"] = "django-oauth-toolkit"
    user, worker = scene.make_user(), scene.hire()
    scene.issuer.fail("drop-after")
    assert call(scene, worker, user)["error"] == "IssuerUnavailable"
    end = call(scene, worker, user, later=COOL_AGAIN)
    assert (end["error"], end["reason"]) == ("RefreshTokenRefused", "rotation_lost")
