"""What a call can meet. The issuer's failures are all of those that the strict issuer knows."""

import base64
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from jwt_outbound.models import TokenPair
from jwt_outbound.testing import shift_clock
from tests.conftest import EXPIRED_AFTER, STALE_AFTER, Configure
from tests.issuer_server import StrictIssuer
from tests.issuer_server.faults import MODES

UNSENDABLE = "a-hunted-token-that-nobody-will-take"
NEARLY_A_KEY = "Tm90LXF1aXRlLWEta2V5LWJ1dC1uZWFybHk"
NOWHERE = "http://127.0.0.1:1"
HUNTED_KEY = base64.urlsafe_b64encode(bytes(range(100, 132))).decode()
PASSWORD = "a-password-that-is-hunted-too"


@dataclass
class Scene:
    issuer: StrictIssuer
    configure: Configure
    user: Any
    path: str = "invoices/"

    def begin(self) -> None:
        """A good pair, a healthy issuer, an API that answers."""
        self.path = "invoices/"
        self.issuer.heal()
        self.issuer.refuse("alice", on=False)
        self.configure(
            BASE_URL=self.issuer.base_url,
            ISSUER="jwt_outbound.issuers.SimpleJWTIssuer",
            OPTIONS=self.issuer.options,
            ENCRYPTION_KEYS=[HUNTED_KEY],
            ISSUER_DEADLINE=0.4,
            TIMEOUT=0.3,
        )
        TokenPair.objects.store(user=self.user, service="billing", **self.issuer.pair_for("alice"))

    def later(self, seconds: float) -> None:
        shift_clock(seconds)
        self.issuer.advance(seconds)

    def fail_api(self, mode: str) -> None:
        seconds = 0.01 if mode.startswith("drip") else 0.5
        self.issuer.fail(
            mode, door="api", times=2, seconds=seconds, size=50_000, location=f"{NOWHERE}/x"
        )

    def fail_refresh(self, mode: str) -> None:
        self.later(EXPIRED_AFTER)
        self.issuer.fail(mode, seconds=0.5, location=f"{NOWHERE}/x")

    def lose_the_issuer(self) -> None:
        self.later(EXPIRED_AFTER)
        self.configure(OPTIONS={"refresh_url": f"{NOWHERE}/"})

    def be_refused(self) -> None:
        self.later(EXPIRED_AFTER)
        self.issuer.refuse("alice")

    def go(self, path: str) -> None:
        self.path = path


Situation = Callable[[Scene], Any]

CALLS: dict[str, Situation] = {
    "fresh": lambda scene: None,
    "stale": lambda scene: scene.later(STALE_AFTER),
    "expired": lambda scene: scene.later(EXPIRED_AFTER),
    "rejected": lambda scene: scene.issuer.reject_access("alice"),
    "always rejected": lambda scene: scene.go("always401/"),
    "refused": Scene.be_refused,
    "redirected at home": lambda scene: scene.go("redirect/"),
    "redirected away": lambda scene: scene.go(f"redirect/?to={NOWHERE}/x"),
    "a foreign URL": lambda scene: scene.go("https://elsewhere.example/"),
    "a path that climbs": lambda scene: scene.go("../up"),
    "the API is down": lambda scene: scene.configure(BASE_URL=f"{NOWHERE}/"),
    "the issuer is down": Scene.lose_the_issuer,
    "another key": lambda scene: scene.configure(ENCRYPTION_KEYS=["A" * 43 + "="]),
    "keys that are none": lambda scene: scene.configure(ENCRYPTION_KEYS=[NEARLY_A_KEY]),
    "a provider without keys": lambda scene: scene.configure(ENCRYPTION_KEYS="os.getcwd"),
    "nothing stored": lambda scene: TokenPair.objects.all().delete(),
    "revoked": lambda scene: TokenPair.objects.revoke(user=scene.user, service="billing"),
    "settings of the wrong kind": lambda scene: scene.configure(OPTIONS={"client_secret": 1}),
    **{f"API: {mode}": lambda scene, mode=mode: scene.fail_api(mode) for mode in MODES},
}
REFRESHES: dict[str, Situation] = {
    f"issuer: {mode}": lambda scene, mode=mode: scene.fail_refresh(mode) for mode in MODES
}


def in_each(scene: Scene, situations: dict[str, Situation], work: Callable[[str], Any]) -> None:
    """Does `work` in all of them, each of which starts anew."""
    for name, arrange in situations.items():
        with ExitStack() as stack:
            scene.begin()
            arrange(scene)
            stack.callback(scene.issuer.heal)
            work(name)
