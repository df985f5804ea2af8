"""The test's side: start a real issuer, command it, and ask it what a client would ask."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, overload

import requests

from tests.issuer_server.process import running_process

Pair = dict[str, str]


class RealIssuer(ABC):
    """What both have in common; `refresh()` and the like give the bare answer, to be looked at."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.base_url = f"{url}/api/"
        self.obtain_url = f"{url}/token/"
        self._http = requests.Session()
        self._http.trust_env = False
        # A DRF server answers a client that prefers HTML with a page.
        self._http.headers["Accept"] = "application/json"

    def create(self, user: str, password: str = "secret") -> int:
        return int(self._command("create", name=user, password=password)["id"])

    def deactivate(self, user: str) -> None:
        self._command("set_active", name=user, active=False)

    def activate(self, user: str) -> None:
        self._command("set_active", name=user, active=True)

    def delete(self, user: str) -> None:
        self._command("delete", name=user)

    def _command(self, verb: str, **arguments: Any) -> dict[str, Any]:
        return self._control(f"people/{verb}/", arguments)

    def _control(self, path: str, arguments: dict[str, Any]) -> dict[str, Any]:
        answer = self.post(f"/control/{path}", json=arguments)
        answer.raise_for_status()
        said: dict[str, Any] = answer.json()
        return said

    def post(self, path: str, **arguments: Any) -> requests.Response:
        return self._http.post(self.url + path, timeout=30, allow_redirects=False, **arguments)

    def me(self, access: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {access}"}
        return self._http.get(f"{self.base_url}me/", headers=headers, timeout=30)

    def close(self) -> None:
        self._http.close()

    @abstractmethod
    def obtain(self, user: str, password: str = "secret") -> Pair: ...

    @abstractmethod
    def refresh(self, refresh: str) -> requests.Response: ...

    @abstractmethod
    def revoke(self, refresh: str) -> requests.Response: ...


class SimpleJWT(RealIssuer):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.refresh_url = f"{url}/token/refresh/"
        self.revoke_url = f"{url}/token/blacklist/"

    def log_in(self, user: str, password: str) -> requests.Response:
        return self.post("/token/", json={"username": user, "password": password})

    def obtain(self, user: str, password: str = "secret") -> Pair:
        answer = self.log_in(user, password)
        answer.raise_for_status()
        pair: Pair = answer.json()
        return pair

    def refresh(self, refresh: str) -> requests.Response:
        return self.post("/token/refresh/", json={"refresh": refresh})

    def revoke(self, refresh: str) -> requests.Response:
        return self.post("/token/blacklist/", json={"refresh": refresh})


class OAuthToolkit(RealIssuer):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.refresh_url = self.obtain_url
        self.revoke_url = f"{url}/revoke/"
        client = self._control("application/", {})
        self.client_id: str = client["client_id"]
        self.client_secret: str = client["client_secret"]

    def obtain(self, user: str, password: str = "secret") -> Pair:
        answer = self._form("/token/", grant_type="password", username=user, password=password)
        answer.raise_for_status()
        said = answer.json()
        return {"access": said["access_token"], "refresh": said["refresh_token"]}

    def refresh(self, refresh: str) -> requests.Response:
        return self._form("/token/", grant_type="refresh_token", refresh_token=refresh)

    def revoke(self, refresh: str) -> requests.Response:
        return self._form("/revoke/", token=refresh, token_type_hint="refresh_token")

    def _form(self, path: str, **fields: str) -> requests.Response:
        return self.post(path, data=fields, auth=(self.client_id, self.client_secret))


KINDS: dict[str, type[RealIssuer]] = {"simplejwt": SimpleJWT, "oauth_toolkit": OAuthToolkit}


@overload
@contextmanager
def running(
    kind: Literal["simplejwt"], *, lifetime: float = ..., refresh_lifetime: float = ...
) -> Iterator[SimpleJWT]: ...
@overload
@contextmanager
def running(
    kind: Literal["oauth_toolkit"], *, lifetime: float = ..., refresh_lifetime: float = ...
) -> Iterator[OAuthToolkit]: ...
@contextmanager
def running(
    kind: str, *, lifetime: float = 300, refresh_lifetime: float = 86400
) -> Iterator[RealIssuer]:
    """A real issuer on a free loopback port with a database of its own; lifetimes in seconds."""
    with tempfile.TemporaryDirectory(prefix="real-issuer-") as folder:
        arguments = [
            f"--database={Path(folder) / 'issuer.sqlite3'}",
            f"--lifetime={lifetime}",
            f"--refresh-lifetime={refresh_lifetime}",
        ]
        with running_process(f"tests.real_issuers.{kind}", arguments) as served:
            issuer = KINDS[kind](served.url)
            try:
                yield issuer
            finally:
                issuer.close()
