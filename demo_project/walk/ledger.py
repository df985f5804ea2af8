"""What is seen at a step, and whether it is what was promised."""

from dataclasses import dataclass
from typing import Any

import requests

from demo_project.servers import Server
from demo_project.walk.visitor import Visitor


class PromiseBroken(Exception):
    """A step did not do what is promised; the message says what was seen."""


def expect(what: str, seen: Any, promised: Any) -> None:
    if seen != promised:
        raise PromiseBroken(f"{what}: {seen!r}, promised {promised!r}")


def expect_that(kept: bool, otherwise: str) -> None:
    if not kept:
        raise PromiseBroken(otherwise)


@dataclass
class Issuer:
    """Billing's own count of what arrives at its token endpoint for one user."""

    billing: Server
    username: str
    counted: int = 0

    def new_requests(self) -> int:
        """Refresh requests since the last time that this was asked."""
        before, self.counted = self.counted, int(self._control("")["refresh_requests"])
        return self.counted - before

    def revoke(self) -> int:
        return int(self._control("revoke/", {})["revoked"])

    def down_for(self, seconds: float) -> None:
        self._post("control/outage/", {"seconds": seconds})

    def _control(self, path: str, payload: dict[str, Any] | None = None) -> dict[str, Any]:
        address = f"control/{self.username}/{path}"
        return self._get(address) if payload is None else self._post(address, payload)

    def _get(self, path: str) -> dict[str, Any]:
        return _read(requests.get(f"{self.billing.url}/{path}", timeout=10))

    def _post(self, path: str, payload: dict[str, Any]) -> dict[str, Any]:
        return _read(requests.post(f"{self.billing.url}/{path}", json=payload, timeout=10))


def _read(answer: requests.Response) -> dict[str, Any]:
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


@dataclass
class Ledger:
    """A visitor and the issuer's count, read together after each step."""

    portal: Server
    visitor: Visitor
    issuer: Issuer

    def generation(self) -> int:
        return int(self.visitor.status()["pair"]["generation"])

    def note(
        self, did: str, refreshes: int, generation: int | None = None, at_most: int | None = None
    ) -> str:
        """Check the two numbers that every step promises, and say them."""
        pair = self.visitor.status()["pair"]
        seen = self.issuer.new_requests()
        expect_that(
            refreshes <= seen <= (refreshes if at_most is None else at_most),
            f"{did}; {seen} refresh requests at the issuer, promised {refreshes}",
        )
        if generation is not None:
            expect(f"{did}; generation", pair["generation"], generation)
        counted = f"{seen} refresh request{'' if seen == 1 else 's'} at the issuer"
        return f"{did}; {counted}, generation {pair['generation']}, {pair['state']}"
