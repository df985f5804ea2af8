"""The same verbs for tests in another process, spoken over the issuer's /control/."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from tests.issuer_server.control import ERRORS, PREFIX
from tests.issuer_server.process import running_process
from tests.issuer_server.urls import Urls

# Longer than any wait_inside(); the issuer is on this machine and ends its waits itself.
SECONDS = 120.0


class RemoteIssuer(Urls):
    def __init__(self, url: str) -> None:
        super().__init__(url.rstrip("/"))
        self._opener = build_opener(ProxyHandler({}))

    def _do(self, verb: str, /, **arguments: Any) -> Any:
        body = json.dumps(arguments).encode()
        headers = {"Content-Type": "application/json"}
        request = Request(f"{self.url}{PREFIX}{verb}/", body, headers, method="POST")  # noqa: S310
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                return json.load(answer)["result"]
        except HTTPError as refusal:
            with refusal:
                said = json.load(refusal)
            raise ERRORS[said["error"]](said["message"]) from None

    def configure(self, **knobs: Any) -> dict[str, Any]:
        return dict(self._do("configure", **knobs))

    def set_clock(self, *, skew: float | None = None, drift: float | None = None) -> float:
        return float(self._do("set_clock", skew=skew, drift=drift))

    def advance(self, seconds: float) -> float:
        return float(self._do("advance", seconds=seconds))

    def add_user(self, user: str, password: str = "secret") -> str:
        return str(self._do("add_user", user=user, password=password))

    def pair_for(
        self, user: str, *, lifetime: float | None = None, refresh_lifetime: float | None = None
    ) -> dict[str, str]:
        return dict(
            self._do("pair_for", user=user, lifetime=lifetime, refresh_lifetime=refresh_lifetime)
        )

    def set_active(self, user: str, active: bool) -> None:
        self._do("set_active", user=user, active=active)

    def delete_user(self, user: str) -> None:
        self._do("delete_user", user=user)

    def refuse(self, user: str, on: bool = True) -> None:
        self._do("refuse", user=user, on=on)

    def revoke(self, user: str) -> None:
        self._do("revoke", user=user)

    def reject_access(self, user: str) -> None:
        self._do("reject_access", user=user)

    def fail(
        self,
        mode: str | int = 503,
        *,
        times: int | None = 1,
        door: str = "refresh",
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        seconds: float = 1.0,
        location: str = "",
        size: int = 50_000_000,
        after_rotation: bool | None = None,
    ) -> None:
        self._do(
            "fail",
            mode=mode,
            times=times,
            door=door,
            headers=dict(headers or {}),
            body=body,
            seconds=seconds,
            location=location,
            size=size,
            after_rotation=after_rotation,
        )

    def heal(self) -> None:
        self._do("heal")

    def hold(self, door: str = "refresh", *, until: int | None = None) -> None:
        self._do("hold", door=door, until=until)

    def wait_inside(self, count: int, door: str = "refresh", *, timeout: float = 10.0) -> int:
        return int(self._do("wait_inside", count=count, door=door, timeout=timeout))

    def release(self, door: str = "refresh", *, count: int | None = None) -> None:
        self._do("release", door=door, count=count)

    def release_all(self) -> None:
        self._do("release_all")

    def presentations(self, user: str | None = None) -> list[dict[str, Any]]:
        return list(self._do("presentations", user=user))

    def times_presented(self, user: str, number: int, *, family: int | None = None) -> int:
        return int(self._do("times_presented", user=user, number=number, family=family))

    def most_presented(self) -> int:
        return int(self._do("most_presented"))

    def reuses(self) -> int:
        return int(self._do("reuses"))

    def families(self, user: str | None = None) -> list[dict[str, Any]]:
        return list(self._do("families", user=user))

    def requests(self, door: str | None = None) -> list[dict[str, Any]]:
        return list(self._do("requests", door=door))

    def forget(self) -> None:
        self._do("forget")


@contextmanager
def serve_process(**knobs: Any) -> Iterator[RemoteIssuer]:
    """The strict issuer as a process of its own."""
    with running_process("tests.issuer_server") as served:
        issuer = RemoteIssuer(served.url)
        if knobs:
            issuer.configure(**knobs)
        yield issuer
