"""The row read without the ORM is the row that the ORM reads."""

import gc
import threading
import uuid
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, models
from django.test.utils import CaptureQueriesContext, isolate_apps

from jwt_outbound import row_query
from jwt_outbound.fields import DatabaseNow
from jwt_outbound.models import TokenPair, TokenPairEvent
from jwt_outbound.querysets import COLUMNS, UNIX_EPOCH, alias, database_now
from jwt_outbound.row_query import fetch_row
from jwt_outbound.testing import shift_clock
from tests.conftest import Configure

pytestmark = [pytest.mark.database, pytest.mark.django_db]

HOUR = 3600 * 1_000_000


def pair_of(user_id: int, **columns: Any) -> TokenPair:
    return TokenPair.objects.create(
        user_id=user_id, service="billing", access_sealed=b"\x00\xff%s%%", **columns
    )


def by_orm(model: Any, columns: tuple[str, ...], **which: Any) -> list[Any]:
    rows = model._base_manager.using(alias()).filter(**which).values_list(*columns, DatabaseNow())
    return [bytes(v) if isinstance(v, memoryview) else v for v in rows.get()][:-1]


def by_us(model: Any, columns: tuple[str, ...], **which: Any) -> list[Any]:
    row = fetch_row(model, columns, alias(), which)
    assert row is not None
    return [bytes(v) if isinstance(v, memoryview) else v for v in row[:-1]]


def alike(ours: list[Any], theirs: list[Any]) -> bool:
    return ours == theirs and [type(v) for v in ours] == [type(v) for v in theirs]


class TestWhatIsRead:
    @pytest.mark.parametrize("unended", [True, False])
    @pytest.mark.parametrize("event_id", [uuid.uuid4(), None])
    def test_values_and_their_types(self, event_id: uuid.UUID | None, unended: bool) -> None:
        pair = pair_of(7, event_id=event_id, unended=unended, expires_at=1 << 52, reason="refused")
        pair_of(8)
        theirs = by_orm(TokenPair, COLUMNS, pk=pair.pk)
        assert alike(by_us(TokenPair, COLUMNS, pk=pair.pk), theirs)
        assert alike(by_us(TokenPair, COLUMNS, user_id=7, service="billing"), theirs)
        assert alike(by_us(TokenPair, COLUMNS, service="billing", user_id="7"), theirs)
        assert pair.pk in theirs

    @pytest.mark.parametrize("ambiguous", [True, False])
    def test_columns_of_other_kinds(self, ambiguous: bool) -> None:
        line = TokenPairEvent.objects.create(
            pair_id=uuid.uuid4(), user_id=7, service="billing", generation=3, at=UNIX_EPOCH,
            ambiguous=ambiguous,
        )  # fmt: skip
        columns = tuple(field.attname for field in TokenPairEvent._meta.concrete_fields)
        theirs = by_orm(TokenPairEvent, columns, pk=line.pk)
        assert alike(by_us(TokenPairEvent, columns, pk=line.pk), theirs)

    @pytest.mark.parametrize("which", [{"pk": uuid.uuid4()}, {"user_id": 7, "service": "crm"}])
    def test_no_row(self, which: dict[str, Any]) -> None:
        pair_of(7)
        assert fetch_row(TokenPair, COLUMNS, alias(), which) is None

    def test_text_that_sql_or_a_placeholder_might_be(self) -> None:
        for service in ("'; --", "%s", "%(service)s", "%%"):
            TokenPair.objects.create(user_id=7, service=service)
            assert by_us(TokenPair, ("service",), user_id=7, service=service) == [service]

    def test_a_moved_clock(self) -> None:
        pair = pair_of(7)
        for seconds in (0, 3600, -3600, 0):
            with shift_clock(seconds):
                before = database_now()
                row = fetch_row(TokenPair, ("pk",), alias(), {"pk": pair.pk})
                assert row is not None
                assert before <= row[-1] < before + HOUR

    @pytest.mark.django_db(databases=["default", "tokens"])
    def test_each_alias_has_its_own_row(self, configure: Configure) -> None:
        here = pair_of(7)
        configure(DATABASE="tokens")
        there = pair_of(7)
        for name, pair in (("tokens", there), ("default", here), ("tokens", there)):
            configure(DATABASE=name)
            reading = TokenPair.objects.read(user_id=7, service="billing")
            assert reading.pair is not None
            assert reading.pair.pk == pair.pk
        on_default = TokenPair.objects.db_manager("default").read(pk=here.pk)
        assert on_default.pair is not None


class TestHowItIsRead:
    def test_whoever_watches_djangos_queries_sees_it(self) -> None:
        pair = pair_of(7)
        seen: list[str] = []

        def note(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
            seen.append(sql)
            return execute(sql, *arguments)

        with connection.execute_wrapper(note), CaptureQueriesContext(connection) as captured:
            TokenPair.objects.read(pk=pair.pk)
        assert len(seen) == len(captured) == 1
        assert "jwt_outbound_tokenpair" in seen[0]

    def test_it_sees_what_its_transaction_has_written(self) -> None:
        pair = pair_of(7)
        TokenPair.objects.filter(pk=pair.pk).update(generation=5)
        assert by_us(TokenPair, ("generation",), pk=pair.pk) == [5]

    def test_a_tenants_schema_is_that_of_the_connection(self, user: User) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("schemas are PostgreSQL's")
        pair_of(user.pk, generation=1)
        assert by_us(TokenPair, ("generation",), user_id=user.pk, service="billing") == [1]
        with connection.cursor() as cursor:
            cursor.execute("CREATE SCHEMA tenant")
            cursor.execute("CREATE TABLE tenant.jwt_outbound_tokenpair"
                           " (LIKE public.jwt_outbound_tokenpair)")  # fmt: skip
            cursor.execute("SET LOCAL search_path TO tenant")
        which = {"user_id": user.pk, "service": "billing"}
        assert fetch_row(TokenPair, COLUMNS, alias(), which) is None

    def test_the_converters_keep_no_threads_connection_alive(self) -> None:
        row_query._query.cache_clear()
        gone: list[weakref.ref[Any]] = []

        def read() -> None:
            fetch_row(TokenPair, COLUMNS, alias(), {"user_id": 7, "service": "billing"})
            gone.append(weakref.ref(connections[alias()]))
            connections[alias()].close()

        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        gc.collect()
        assert [each() for each in gone] == [None]


@pytest.mark.django_db(transaction=True)
@isolate_apps("tests")
def test_the_users_primary_key_may_be_of_another_type() -> None:
    class Owner(models.Model):  # noqa: DJ008
        id = models.UUIDField(primary_key=True, default=uuid.uuid4)

        class Meta:
            app_label = "tests"

    class Owned(models.Model):  # noqa: DJ008
        user = models.ForeignKey(Owner, models.DO_NOTHING, db_constraint=False, db_column="who")
        name = models.CharField(max_length=20)

        class Meta:
            app_label = "tests"
            db_table = "owned by somebody"

    owner = uuid.uuid4()
    with connection.schema_editor() as editor:
        editor.create_model(Owned)
    try:
        Owned.objects.create(user_id=uuid.uuid4(), name="another's")
        Owned.objects.create(user_id=owner, name="ours")
        theirs = by_orm(Owned, ("user_id", "name"), user_id=owner)
        assert theirs == [owner, "ours"]
        assert alike(by_us(Owned, ("user_id", "name"), user_id=owner), theirs)
        assert alike(by_us(Owned, ("user_id", "name"), user_id=str(owner)), theirs)
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Owned)
