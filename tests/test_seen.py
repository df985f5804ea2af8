"""No copy in memory outlives what this process has seen change."""

import pytest

from jwt_outbound import seen


def test_each_change_of_a_pair_is_another_version_of_that_pair_alone() -> None:
    mine, theirs = ("billing", "mine"), ("billing", "theirs")
    before, others = seen.version(*mine), [seen.version(*theirs), seen.version("crm", "mine")]
    seen.change(*mine)
    changed = seen.version(*mine)
    assert changed != before
    assert [seen.version(*theirs), seen.version("crm", "mine")] == others
    seen.change(*mine)
    assert seen.version(*mine) not in (before, changed)


def test_when_memory_is_full_all_versions_are_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "_changes", {})
    monkeypatch.setattr(seen, "MOST_KEYS", 3)
    before = {user: seen.version("billing", user) for user in range(9)}
    for user in range(9):
        seen.change("billing", user)
    assert all(seen.version("billing", user) != before[user] for user in range(9))
    assert len(seen._changes) <= 3


def test_outside_a_request_nobody_has_logged_in_anew() -> None:
    assert seen.logged_in_anew.get() is None
