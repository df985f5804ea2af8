"""The ledger: whose tokens there are and what each is still worth. No HTTP, no clock of its own.

Look-up and spending are one step under one lock, so a refresh token is granted once, however many
present it at the same time; presented again, it ends its family (RFC 9700 4.14.2).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from tests.issuer_server.knobs import Knobs
from tests.issuer_server.records import (
    AccessRecord,
    Account,
    Family,
    Outcome,
    Pair,
    Record,
    RefreshRecord,
    Spent,
)
from tests.issuer_server.tokens import Minter, Place


class Book:
    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._minter = Minter()
        self._families: list[Family] = []
        self._records: dict[str, Record] = {}
        self.reuses = 0

    def open_family(
        self,
        account: Account,
        now: float,
        knobs: Knobs,
        *,
        lifetime: float | None = None,
        refresh_lifetime: float | None = None,
    ) -> Pair:
        with self._lock:
            family = Family(id=len(self._families) + 1, account=account)
            self._families.append(family)
            return self._issue(family, now, knobs, lifetime, refresh_lifetime)

    def spend(self, token: str, now: float, knobs: Knobs) -> Spent:
        with self._lock:
            record = self._records.get(token)
            if not isinstance(record, RefreshRecord):
                return Spent(Outcome.UNKNOWN if record is None else Outcome.WRONG_TYPE)
            if (trouble := self._trouble(record, now, knobs)) is not None:
                return Spent(trouble)
            if record.spent_at is not None:
                return self._spend_again(record, now, knobs)
            return self._grant(record, now, knobs)

    def _trouble(self, record: RefreshRecord, now: float, knobs: Knobs) -> Outcome | None:
        account = record.family.account
        if record.expires_at <= now:
            return Outcome.EXPIRED
        if record.spent_at is not None and not self._in_grace(record, now, knobs):
            self._detect_reuse(record.family, knobs)
            return Outcome.REUSED
        if record.family.ended:
            return Outcome.ENDED
        if account.deleted:
            return Outcome.DELETED
        if not account.active:
            return Outcome.INACTIVE
        return Outcome.REFUSED if account.refused else None

    def _in_grace(self, record: RefreshRecord, now: float, knobs: Knobs) -> bool:
        # Only the last token spent has a grace: once its successor is spent, it is a theft.
        if record.spent_at is None or record.successor is None or record.family.ended:
            return False
        successor = self._records[record.successor.refresh]
        assert isinstance(successor, RefreshRecord)
        return successor.spent_at is None and now < record.spent_at + knobs.grace

    def _detect_reuse(self, family: Family, knobs: Knobs) -> None:
        self.reuses += 1
        if knobs.reuse_ends_family:
            self._end(family, "reuse", knobs)

    def _spend_again(self, record: RefreshRecord, now: float, knobs: Knobs) -> Spent:
        if knobs.grace_answer == "same":
            return Spent(Outcome.GRACE, record.successor)
        return Spent(Outcome.GRACE, self._issue(record.family, now, knobs))

    def _grant(self, record: RefreshRecord, now: float, knobs: Knobs) -> Spent:
        if knobs.access_dies_early:
            self._kill_access(record.family)
        if not knobs.rotate:
            return Spent(Outcome.GRANTED, self._issue_access(record.family, now, knobs))
        record.spent_at = now
        record.successor = self._issue(record.family, now, knobs)
        return Spent(Outcome.GRANTED, record.successor)

    def _issue(
        self,
        family: Family,
        now: float,
        knobs: Knobs,
        lifetime: float | None = None,
        refresh_lifetime: float | None = None,
    ) -> Pair:
        pair = self._issue_access(family, now, knobs, lifetime)
        place = Place(family.account.id, family.id, pair.number)
        minted = self._minter.mint("refresh", place, now, knobs, refresh_lifetime)
        self._records[minted.token] = RefreshRecord(family, pair.number, minted.expires_at)
        return Pair(pair.access, minted.token, pair.number, pair.lifetime)

    def _issue_access(
        self, family: Family, now: float, knobs: Knobs, lifetime: float | None = None
    ) -> Pair:
        family.issued += 1
        place = Place(family.account.id, family.id, family.issued)
        minted = self._minter.mint("access", place, now, knobs, lifetime)
        record = AccessRecord(family, family.issued, minted.expires_at)
        family.access.append(record)
        self._records[minted.token] = record
        spoken = knobs.lifetime if lifetime is None else lifetime
        return Pair(minted.token, "", family.issued, spoken)

    def check_access(self, token: str, now: float) -> tuple[Outcome, AccessRecord | None]:
        with self._lock:
            record = self._records.get(token)
            if not isinstance(record, AccessRecord):
                return (Outcome.UNKNOWN if record is None else Outcome.WRONG_TYPE), None
            return _worth(record, now), record

    def revoke(self, token: str, now: float, knobs: Knobs) -> Outcome:
        """The owner gives a refresh token back; its login is over."""
        with self._lock:
            record = self._records.get(token)
            if not isinstance(record, RefreshRecord):
                return Outcome.UNKNOWN if record is None else Outcome.WRONG_TYPE
            if record.expires_at <= now:
                return Outcome.EXPIRED
            if record.spent_at is not None or record.family.ended:
                return Outcome.ENDED
            self._end(record.family, "revoked", knobs)
            return Outcome.GRANTED

    def revoke_all(self, account: Account, knobs: Knobs) -> None:
        with self._lock:
            for family in self._of(account):
                self._end(family, "revoked", knobs)

    def reject_access(self, account: Account) -> None:
        with self._lock:
            for family in self._of(account):
                self._kill_access(family)

    def _end(self, family: Family, reason: str, knobs: Knobs) -> None:
        family.ended = family.ended or reason
        if knobs.access_dies_early:
            self._kill_access(family)

    def _kill_access(self, family: Family) -> None:
        for record in family.access:
            record.dead = True

    def _of(self, account: Account) -> Iterator[Family]:
        return (family for family in self._families if family.account is account)

    def find(self, token: str) -> Record | None:
        with self._lock:
            return self._records.get(token)

    def families(self) -> list[Family]:
        with self._lock:
            return list(self._families)


def _worth(record: AccessRecord, now: float) -> Outcome:
    account = record.family.account
    if record.expires_at <= now:
        return Outcome.EXPIRED
    if record.dead:
        return Outcome.UNKNOWN
    if account.deleted:
        return Outcome.DELETED
    return Outcome.GRANTED if account.active else Outcome.INACTIVE
