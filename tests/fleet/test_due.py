"""Taking due pairs in hand: by the index, each by one worker alone, and waiting for nobody."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections

from jwt_outbound import swaps
from jwt_outbound.clock import SECOND
from jwt_outbound.fleet import due as module
from jwt_outbound.fleet.due import claim, due_pairs, let_go, take
from jwt_outbound.fleet.forecast import count_due
from jwt_outbound.fleet.plans import Do
from jwt_outbound.models import TokenPair
from jwt_outbound.querysets import database_now
from jwt_outbound.refresh.connections import own_connection
from jwt_outbound.rows import IssuerHealth
from jwt_outbound.testing import shift_clock
from tests.fleet.locking import LONG, At, locked
from tests.fleet.pairs import make_rows
from tests.refresh.pairs import a_policy
from tests.settings import ENGINE

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

SERVICES = {"billing": a_policy()}
has_row_locks = pytest.mark.skipif(ENGINE == "sqlite", reason="SQLite locks the whole file")


def keys() -> list[UUID]:
    return list(TokenPair.objects.order_by("refresh_at").values_list("pk", flat=True))


class TestTheQuery:
    @pytest.mark.skipif(ENGINE == "mariadb", reason="its EXPLAIN says it in a table")
    def test_uses_the_index(self) -> None:
        make_rows(5_000, refresh_at=database_now() + 3600 * SECOND)
        TokenPair.objects.filter(user_id__gte=-20).update(refresh_at=1)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        explained = due_pairs(database_now(), SERVICES)[:16].explain()
        assert "jwt_outbound_due" in explained
        assert "Seq Scan" not in explained
        assert "TEMP B-TREE" not in explained

    def test_finds_the_most_urgent_first_and_only_what_is_due_and_free(self) -> None:
        make_rows(6)
        now = database_now()
        for n, columns in enumerate([
            {"refresh_at": now - 3}, {"refresh_at": now - 9}, {"refresh_at": None},
            {"refresh_at": now + SECOND}, {"claimed_until": now + SECOND}, {"service": "other"},
        ], 1):  # fmt: skip
            TokenPair.objects.filter(user_id=-n).update(**columns)
        assert [pair.user_id for pair in claim(SERVICES, 9)] == [-2, -1]

    def test_leaves_out_what_came_due_later(self) -> None:
        make_rows(2)
        by = database_now() - 2 * SECOND
        TokenPair.objects.filter(user_id=-1).update(refresh_at=by)
        assert [pair.user_id for pair in claim(SERVICES, 9, by)] == [-1]


class TestClaims:
    def test_two_workers_at_once_never_take_the_same_pair(self) -> None:
        make_rows(60)
        barrier = threading.Barrier(4)

        def work() -> list[UUID]:
            taken: list[UUID] = []
            with own_connection("default"):
                barrier.wait(LONG)
                while pairs := claim(SERVICES, 4):
                    taken += [pair.pk for pair in pairs]
            return taken

        with ThreadPoolExecutor(4) as pool:
            shares = [job.result(LONG) for job in [pool.submit(work) for _ in range(4)]]
        taken = [pk for share in shares for pk in share]
        assert len(taken) == len(set(taken))
        # Where a row was in another's hand for a moment, a worker may end before all are taken.
        assert len(taken) + count_due(SERVICES) == 60

    def test_nor_where_both_have_read_before_either_writes(self) -> None:
        """As on SQLite in the transactions that it begins by default, which read first."""
        make_rows(4)
        barrier = threading.Barrier(2)

        def work() -> list[UUID]:
            with own_connection("default"):
                if ENGINE == "sqlite":
                    connections["default"].transaction_mode = "DEFERRED"  # type: ignore[attr-defined]
                meet = At("ORDER BY", lambda: barrier.wait(LONG))
                with connections["default"].execute_wrapper(meet):
                    return [pair.pk for pair in claim(SERVICES, 4)]

        with ThreadPoolExecutor(2) as pool:
            shares = [job.result(LONG) for job in [pool.submit(work) for _ in range(2)]]
        assert sorted(pk for share in shares for pk in share) == sorted(keys())

    @pytest.mark.skipif(ENGINE != "sqlite", reason="elsewhere the row is locked as it is found")
    def test_a_pair_that_another_has_done_meanwhile_is_not_taken(self) -> None:
        make_rows(2)
        first, second = keys()
        change = {"refresh_at": database_now() + 99 * SECOND, "generation": 2}

        def save() -> None:
            TokenPair.objects.filter(pk=first).update(**change)

        with connection.execute_wrapper(At("ORDER BY", save)):
            pairs = claim(SERVICES, 2)
        assert [pair.pk for pair in pairs] == [second]

    @pytest.mark.skipif(ENGINE != "sqlite", reason="elsewhere the row is locked as it is found")
    def test_where_others_were_quicker_there_is_more(self) -> None:
        make_rows(5)
        for urgency, pk in enumerate(keys()):
            TokenPair.objects.filter(pk=pk).update(refresh_at=urgency + 1)
        first, second, *others = keys()

        def be_quicker() -> None:
            rows = TokenPair.objects.filter(pk__in=[first, second])
            rows.update(claimed_until=database_now() + 30 * SECOND)

        with connection.execute_wrapper(At("UPDATE", be_quicker, before=True)):
            assert [pair.pk for pair in claim(SERVICES, 2)] == others[:2]

    def test_a_claim_runs_out(self) -> None:
        make_rows(1)
        (pair,) = claim(SERVICES, 9)
        assert not claim(SERVICES, 9)
        shift_clock(29)
        assert not claim(SERVICES, 9)
        shift_clock(2.1)
        assert [each.pk for each in claim(SERVICES, 9)] == [pair.pk]

    def test_what_is_let_go_is_free_at_once_unless_it_is_anothers_by_now(self) -> None:
        User.objects.bulk_create([User(pk=n, username=f"u{n}") for n in (1, 2)])
        make_rows(2, used_generation=1)
        TokenPair.objects.filter(user_id=-1).update(user_id=1)
        TokenPair.objects.filter(user_id=-2).update(user_id=2)
        todo, _ = take(SERVICES, 2, {})
        assert len(todo) == 2
        let_go(todo[:1])
        assert [pair.pk for pair in claim(SERVICES, 9)] == [todo[0].pair.pk]
        shift_clock(31)
        assert len(claim(SERVICES, 9)) == 2
        let_go(todo)
        assert not claim(SERVICES, 9)

    @has_row_locks
    def test_what_a_caller_has_locked_is_passed_over(self) -> None:
        make_rows(3)
        first, *others = keys()
        with locked([first]):
            assert [pair.pk for pair in claim(SERVICES, 2)] == others


class TestWhatIsLeft:
    def test_it_is_out_of_the_index_until_its_time_comes(self) -> None:
        User.objects.create(pk=1, username="alice")
        make_rows(3)
        TokenPair.objects.filter(user_id=-1).update(user_id=1)
        ends = {"refresh_expires_at": database_now() + 90_000 * SECOND}
        TokenPair.objects.filter(user_id=1).update(**ends, refresh_lifetime=400_000 * SECOND)
        TokenPair.objects.filter(user_id=-2).update(refresh_sealed=b"")
        todo, left = take(SERVICES, 9, {})
        assert (todo, len(left)) == ([], 3)
        rows = {row.user_id: row for row in TokenPair.objects.all()}
        assert rows[1].refresh_at > database_now()
        assert [(rows[n].refresh_at, rows[n].parked) for n in (-2, -3)] == [
            (None, False),
            (None, True),
        ]
        assert not any(row.claimed_until for row in rows.values())

    def test_what_is_used_at_that_moment_is_not_parked(self, user: User) -> None:
        make_rows(1)
        TokenPair.objects.update(user_id=user.pk)

        def use() -> None:
            (pair,) = TokenPair.objects.pairs(1)
            assert TokenPair.objects.swap(swaps.used(pair), pk=pair.pk)

        with connection.execute_wrapper(At("auth_user", use)):
            take(SERVICES, 9, {})
        (row,) = TokenPair.objects.all()
        assert (row.parked, row.used_generation) == (False, 1)
        assert row.refresh_at is not None

    @has_row_locks
    def test_nobody_who_locks_a_pair_meanwhile_is_waited_for(self, user: User) -> None:
        """He may want another pair that is in this worker's hand, and both would wait for ever."""
        make_rows(3)
        first = keys()[0]
        holding = locked([first])
        with connection.execute_wrapper(At("auth_user", holding.__enter__)):
            _, left = take(SERVICES, 9, {})
        holding.__exit__(None, None, None)
        assert len(left) == 3
        assert [row.parked for row in TokenPair.objects.order_by("refresh_at")].count(True) == 2

    def test_a_pair_that_is_put_aside_is_due_later_and_not_by_its_use(self) -> None:
        make_rows(1)
        (pair,) = claim(SERVICES, 1)
        module.put_aside(pair, 300 * SECOND)
        assert not TokenPair.objects.get().parked
        TokenPair.objects.swap(swaps.used(pair), pk=pair.pk)
        shift_clock(299)
        assert not claim(SERVICES, 1)
        shift_clock(2)
        assert claim(SERVICES, 1)

    def test_a_use_that_comes_after_the_refusal_makes_no_refused_pair_due(self) -> None:
        """It would be due for ever: nothing is left to be done for it."""
        make_rows(1, parked=True)
        (read_before,) = TokenPair.objects.pairs(1)
        TokenPair.objects.update(refused_at=5, announced_at=5, refresh_at=None)
        assert not TokenPair.objects.swap(swaps.used(read_before), pk=read_before.pk)
        TokenPair.objects.update(refresh_at=1)
        _, left = take(SERVICES, 1, {"billing": IssuerHealth()})
        assert [due.plan.do for due in left] == [Do.FORGET]
        assert TokenPair.objects.get().refresh_at is None
