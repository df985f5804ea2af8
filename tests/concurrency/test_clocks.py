"""P8: clocks may be wrong. The hosts' time and the issuer's pass in jumps of our own, together."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate

import pytest

from tests.concurrency.fleet import Worker
from tests.concurrency.scene import Scene, User
from tests.issuer_server import wire

pytestmark = pytest.mark.database

HOUR = 3600.0
AHEAD = 0.25
"""The part of its life before its end at which a token is due for a refresh ahead."""


@dataclass
class Life:
    """What users' calls came to while time passed."""

    scene: Scene
    user: User
    workers: list[Worker]
    seen: Counter[str] = field(default_factory=Counter)
    lived: float = 0.0

    def go_on(self, seconds: float, *, step: float, rate: float = 1.0) -> None:
        """`rate`: seconds by the issuer's clock in each second."""
        began = time.monotonic()
        steps = round(seconds / step)
        if len(self.workers) == 1:
            self._live(self.workers[0], steps, step, step * rate)
        else:
            for _ in range(steps):
                self._live(self.workers[0], 1, step, step * rate)
                for worker in self.workers[1:]:
                    self._live(worker, 1, step, 0.0)
        self.lived += seconds + time.monotonic() - began

    def _live(self, worker: Worker, steps: int, step: float, issuers_step: float) -> None:
        seen = worker.do(
            "clocks.live_on",
            service=self.scene.service,
            user=self.user.id,
            issuer=self.scene.issuer.url,
            steps=steps,
            step=step,
            issuers_step=issuers_step,
        )
        self.seen.update(seen)

    def refreshes(self) -> int:
        return len(self.scene.presented(self.user))

    def rejections(self) -> int:
        """Requests that the API answered with a 401."""
        return sum(each["status"] == 401 for each in self.scene.issuer.requests("api"))

    def assert_calm(self, *, lifetime: float) -> None:
        """Every call is served, each lifetime has its one refresh, and the login goes on."""
        assert set(self.seen) == {"200"}
        assert 1 <= self.refreshes() <= self.lived / (lifetime * (1 - AHEAD)) + 1
        assert self.scene.issuer.most_presented() == 1
        self.scene.assert_login_goes_on(self.user, *self.workers)


def begin(scene: Scene, lifetime: float, *, clocks: tuple[float, ...] = (0.0,)) -> Life:
    """`clocks`: how far each host's wall clock is off."""
    scene.issuer.configure(lifetime=lifetime)
    user = scene.make_user(state="fresh")
    return Life(scene, user, [scene.hire(wall_clock=off) for off in clocks])


@pytest.mark.parametrize("lifetime", [5.5, 300.0])
@pytest.mark.parametrize("skew", [-HOUR, 0.0, HOUR], ids=["behind", "right", "ahead"])
def test_an_issuer_an_hour_off(scene: Scene, skew: float, lifetime: float) -> None:
    scene.issuer.set_clock(skew=skew)
    life = begin(scene, lifetime)
    life.go_on(6 * lifetime, step=lifetime / 8)
    life.assert_calm(lifetime=lifetime)
    assert life.rejections() == 0


def test_tokens_of_five_whole_seconds(scene: Scene) -> None:
    """Their times are cut to the second, so one may be over a second early: the 401 is cured."""
    life = begin(scene, 5)
    life.go_on(30, step=0.7)
    life.assert_calm(lifetime=5)


@pytest.mark.parametrize("rate", [0.97, 1.03], ids=["slow", "fast"])
def test_an_issuer_whose_clock_drifts(scene: Scene, rate: float) -> None:
    life = begin(scene, 60.5)
    life.go_on(6 * 60.5, step=7, rate=rate)
    life.assert_calm(lifetime=60.5)
    assert life.rejections() == 0


def test_an_issuer_whose_clock_jumps_back(scene: Scene) -> None:
    life = begin(scene, 60.5)
    for _ in range(3):
        life.go_on(100, step=10)
        scene.issuer.advance(-HOUR)
    life.go_on(200, step=10)
    life.assert_calm(lifetime=60.5)
    assert life.rejections() == 0


def test_an_issuer_whose_clock_jumps_ahead(scene: Scene) -> None:
    """All its tokens are over at once, which only a 401 can tell: one for each jump."""
    life = begin(scene, 600.5)
    for _ in range(3):
        life.go_on(1500, step=100)
        scene.issuer.advance(HOUR)
    life.go_on(1500, step=100)
    assert life.rejections() <= 3
    assert set(life.seen) == {"200"}
    assert scene.issuer.most_presented() == 1
    scene.assert_login_goes_on(life.user, *life.workers)


def test_two_hosts_whose_clocks_are_two_hours_apart(scene: Scene) -> None:
    life = begin(scene, 60.5, clocks=(-HOUR, HOUR))
    life.go_on(4 * 60.5, step=10)
    life.assert_calm(lifetime=60.5)
    assert life.rejections() == 0


def test_a_host_whose_clock_jumps(scene: Scene) -> None:
    """As it is set right, or wrong, while the process lives."""
    life = begin(scene, 60.5)
    for off in (HOUR, -HOUR, 2 * HOUR, 0.0):
        life.go_on(70, step=7)
        life.workers[0].do("clocks.set_wall_clock", seconds=off)
    life.go_on(70, step=7)
    life.assert_calm(lifetime=60.5)
    assert life.rejections() == 0


Dated = Callable[[bool], None]


@pytest.fixture
def dated(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Dated:
    """Whether the issuer's answers carry a `Date`, which is by its own clock."""

    def set_date(there: bool) -> None:
        def date(usegmt: bool) -> str:
            return formatdate(scene.issuer.advance(0), usegmt=usegmt) if there else ""

        monkeypatch.setattr(wire, "formatdate", date)

    return set_date


@pytest.mark.parametrize("skew", [-HOUR, 0.0, HOUR], ids=["behind", "right", "ahead"])
def test_without_iat_the_date_of_the_answer_tells(scene: Scene, dated: Dated, skew: float) -> None:
    dated(True)
    scene.issuer.set_clock(skew=skew)
    scene.issuer.configure(iat=False)
    life = begin(scene, 60.5)
    life.go_on(6 * 60.5, step=7)
    life.assert_calm(lifetime=60.5)


@pytest.mark.parametrize("skew", [-HOUR, 0.0, HOUR], ids=["behind", "right", "ahead"])
def test_without_iat_and_date_a_401_is_cured_and_starts_no_storm(
    scene: Scene, dated: Dated, skew: float
) -> None:
    dated(False)
    scene.issuer.set_clock(skew=skew)
    scene.issuer.configure(iat=False)
    life = begin(scene, 60.5)
    life.go_on(6 * 60.5, step=7)
    life.assert_calm(lifetime=60.5)
    assert life.rejections() <= life.lived / 60.5 + 1
