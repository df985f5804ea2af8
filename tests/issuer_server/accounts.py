"""The issuer's users."""

from __future__ import annotations

import threading

from tests.issuer_server.records import Account


class Accounts:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_name: dict[str, Account] = {}
        self._made = 0

    def add(self, name: str, password: str) -> Account:
        with self._lock:
            if name in self._by_name and not self._by_name[name].deleted:
                raise ValueError(f"The issuer has a user {name!r} already.")
            return self._make(name, password)

    def get_or_add(self, name: str, password: str) -> Account:
        with self._lock:
            return self._by_name.get(name) or self._make(name, password)

    def _make(self, name: str, password: str) -> Account:
        self._made += 1
        account = Account(id=str(self._made), name=name, password=password)
        self._by_name[name] = account
        return account

    def get(self, name: str) -> Account:
        with self._lock:
            if name not in self._by_name:
                raise LookupError(f"The issuer has no user {name!r}; make one with add_user().")
            return self._by_name[name]

    def log_in(self, name: str, password: str) -> Account | None:
        with self._lock:
            account = self._by_name.get(name)
        if account is None or account.deleted or not account.active:
            return None
        return account if account.password == password else None
