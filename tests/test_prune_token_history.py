import uuid
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from jwt_outbound.management.commands import prune_token_history
from jwt_outbound.models import TokenPairEvent
from jwt_outbound.querysets import database_now, shown

pytestmark = [pytest.mark.django_db(databases=["default", "tokens"]), pytest.mark.database]


def add_events(*ages: float) -> None:
    """One event for each age in days."""
    now = shown(database_now())
    TokenPairEvent.objects.bulk_create(
        TokenPairEvent(
            pair_id=uuid.uuid4(),
            user_id=1,
            service="billing",
            generation=1,
            kind="refreshed",
            at=now - timedelta(days=age),
            reason=str(age),
        )
        for age in ages
    )


def left() -> set[str]:
    return set(TokenPairEvent.objects.values_list("reason", flat=True))


def run(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command("prune_token_history", *arguments, stdout=out, **options)
    return out.getvalue().strip()


def test_what_is_older_goes() -> None:
    add_events(0, 29.9, 30.1, 400)
    assert run("--days", "30") == "2 events older than 30 days were deleted."
    assert left() == {"0", "29.9"}
    assert run("--days", "30") == "0 events older than 30 days were deleted."


def test_ninety_days_stay_unless_told() -> None:
    add_events(89, 91)
    run()
    assert left() == {"89"}


def test_a_dry_run_deletes_nothing() -> None:
    add_events(1, 100, 200)
    assert run(dry_run=True).startswith("2 events are older than 90 days; nothing was deleted")
    assert left() == {"1", "100", "200"}


def test_it_works_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune_token_history, "BATCH", 10)
    add_events(*(100 + number for number in range(25)))
    with CaptureQueriesContext(connections["default"]) as queries:
        assert run().startswith("25 events")
    deletes = [query for query in queries if query["sql"].startswith("DELETE")]
    assert len(deletes) == 3
    assert left() == set()


def test_the_tables_of_another_alias() -> None:
    own = {
        "JWT_OUTBOUND": {"DATABASE": "tokens"},
        "DATABASE_ROUTERS": ["jwt_outbound.routers.TokenRouter"],
    }
    add_events(500)
    with override_settings(**own):
        add_events(1, 300)
        assert run().startswith("1 events")
        assert left() == {"1"}
    assert left() == {"500"}


@pytest.mark.parametrize("days", ["0", "-1", "soon", "1.5", "99999"])
def test_days_that_make_no_sense(days: str) -> None:
    add_events(500)
    with pytest.raises(CommandError, match="from 1 to 36500"):
        run("--days", days)
    assert left() == {"500"}
