"""What the issuer saw, in order: refresh tokens presented, and every request. Never a token."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.issuer_server.records import Record
from tests.issuer_server.wire import Call, fingerprint

SECRET_HEADERS = frozenset({"authorization", "cookie"})


@dataclass
class Presentation:
    """`outcome` is the ledger's verdict, empty while it is being worked on or when the failure
    that the test ordered (`fault`) came first."""

    at: float
    fingerprint: str
    user: str | None
    family: int | None
    number: int | None
    dialect: str
    fault: str | None = None
    outcome: str = ""


@dataclass
class Seen:
    at: float
    method: str
    path: str
    query: dict[str, str]
    door: str | None
    scheme: str
    token: str | None
    user: str | None
    token_number: int | None
    cookies: dict[str, str]
    headers: dict[str, str]
    client: str
    status: int | None = field(default=None)


class Journal:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._presentations: list[Presentation] = []
        self._requests: list[Seen] = []

    def present(self, token: str, record: Record | None, dialect: str) -> Presentation:
        user, family, number = _owner(record)
        with self._lock:
            noted = Presentation(time.time(), fingerprint(token), user, family, number, dialect)
            self._presentations.append(noted)
            return noted

    def note(self, call: Call, door: str | None, record: Record | None) -> Seen:
        scheme, token = call.credentials()
        user, _, number = _owner(record)
        with self._lock:
            seen = Seen(
                at=time.time(),
                method=call.method,
                path=call.path,
                query=dict(call.query),
                door=door,
                scheme=scheme,
                token=fingerprint(token) if token else None,
                user=user,
                token_number=number,
                cookies=call.cookies(),
                headers={k: v for k, v in call.headers.items() if k not in SECRET_HEADERS},
                client=call.client,
            )
            self._requests.append(seen)
            return seen

    def presentations(self) -> list[Presentation]:
        with self._lock:
            return list(self._presentations)

    def requests(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(seen) for seen in self._requests]

    def counts(self) -> Counter[str]:
        return Counter(noted.fingerprint for noted in self.presentations())

    def forget(self) -> None:
        with self._lock:
            self._presentations.clear()
            self._requests.clear()


def _owner(record: Record | None) -> tuple[str | None, int | None, int | None]:
    if record is None:
        return None, None, None
    return record.family.account.name, record.family.id, record.number
