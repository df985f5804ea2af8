"""A bare function as the issuer, the whole way: with a stored pair, and with none."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from django.contrib.auth.models import User
from django.db import connections

from jwt_outbound.clients import ServiceClient
from jwt_outbound.exceptions import (
    IssuerMisconfigured,
    IssuerUnavailable,
    RefreshTokenRefused,
)
from jwt_outbound.models import TokenPair
from jwt_outbound.rows import Pair
from jwt_outbound.testing import shift_clock
from jwt_outbound.tokens import afetch_valid_access_token, fetch_valid_access_token
from tests.conftest import Configure, Heard
from tests.issuer_server import StrictIssuer

pytestmark = pytest.mark.django_db(transaction=True)

Row = Callable[[], Pair]


def fetch(user: Any) -> str:
    return fetch_valid_access_token("billing", user)


def fetch_elsewhere(user: Any) -> str:
    try:
        return fetch(user)
    finally:
        connections.close_all()


@pytest.fixture
def issued_by(configure: Configure) -> Callable[..., None]:
    def use(**functions: Any) -> None:
        configure(ISSUER="jwt_outbound.issuers.CallableIssuer", OPTIONS=functions)

    return use


Use = Callable[..., None]


class TestRefresh:
    @pytest.fixture(autouse=True)
    def expired(self, user: User) -> None:
        TokenPair.objects.store(
            user=user, service="billing", access="old", refresh="token-1", expires_in=0
        )

    def test_its_answer_is_stored_and_its_refresh_token_is_used_next(
        self, user: User, issued_by: Use, row: Row
    ) -> None:
        asked: list[str] = []

        def refresh(token: str) -> dict[str, Any]:
            asked.append(token)
            number = len(asked) + 1
            return {"access": f"new-{number}", "refresh": f"token-{number}", "expires_in": 60}

        issued_by(refresh=refresh)
        assert fetch(user) == fetch(user) == "new-2"
        shift_clock(61)
        assert fetch(user) == "new-3"
        assert asked == ["token-1", "token-2"]
        assert row().generation == 3

    def test_an_async_one_is_awaited_beside_the_caller(self, user: User, issued_by: Use) -> None:
        ran_in: list[threading.Thread] = []

        async def refresh(token: str) -> str:
            ran_in.append(threading.current_thread())
            return "new"

        issued_by(refresh=refresh)
        assert fetch(user) == "new"
        assert threading.current_thread() not in ran_in

    def test_none_ends_the_login(self, user: User, issued_by: Use, heard: Heard) -> None:
        issued_by(refresh=lambda token: None)
        for _ in range(2):
            with pytest.raises(RefreshTokenRefused):
                fetch(user)
        assert [name for name, _ in heard] == ["failed"]

    @pytest.mark.parametrize("answer", ["", 5, {"access": "two words"}, RuntimeError("token-1")])
    def test_nonsense_and_errors_are_an_outage(
        self, user: User, issued_by: Use, row: Row, heard: Heard, answer: Any
    ) -> None:
        def refresh(token: str) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        issued_by(refresh=refresh)
        with pytest.raises(IssuerUnavailable) as caught:
            fetch(user)
        assert caught.value.ambiguous
        assert "token-1" not in str(caught.value)
        assert (row().presented, row().refused_at, heard) == (True, 0, [])

    def test_one_that_calls_the_very_client_is_an_error_at_once(
        self, user: User, issued_by: Use, row: Row, heard: Heard
    ) -> None:
        errors: list[Exception] = []

        def refresh(token: str) -> str:
            try:
                return fetch(user)
            except IssuerMisconfigured as error:
                errors.append(error)
                raise

        issued_by(refresh=refresh)
        with pytest.raises(IssuerMisconfigured):
            fetch(user)
        assert "calls the very client that it refreshes" in str(errors[0])
        assert (row().presented, row().lease_until, heard) == (False, 0, [])

    def test_an_async_one_that_does_so_too(self, user: User, issued_by: Use) -> None:
        async def refresh(token: str) -> str:
            return await afetch_valid_access_token("billing", user)

        issued_by(refresh=refresh)
        with pytest.raises(IssuerMisconfigured):
            fetch(user)

    def test_it_may_call_another_users_client(self, user: User, issued_by: Use) -> None:
        robot = User.objects.create_user("robot")
        TokenPair.objects.store(user=robot, service="billing", access="robots", expires_in=60)
        issued_by(refresh=lambda token: f"by-{fetch(robot)}")
        assert fetch(user) == "by-robots"

    def test_an_issuer_that_is_not_there_is_the_operators_fault(
        self, user: User, issued_by: Use, heard: Heard
    ) -> None:
        issued_by(refresh="no.such.function")
        with pytest.raises(IssuerMisconfigured, match="function_not_found"):
            fetch(user)
        assert heard == []


class TestObtain:
    """The article's own `refreshAccessToken`: no refresh token anywhere."""

    def test_no_pair_need_be_stored(self, user: User, issued_by: Use, row: Row) -> None:
        asked: list[User] = []

        def obtain(who: User) -> dict[str, Any]:
            asked.append(who)
            return {"access": f"access-{len(asked)}", "expires_in": 60}

        issued_by(obtain=obtain)
        assert fetch(user) == fetch(user.pk) == "access-1"
        shift_clock(61)
        assert fetch(user.pk) == "access-2"
        assert asked == [user, user]
        assert (row().generation, row().refresh_sealed) == (2, b"")

    @pytest.mark.database
    def test_callers_without_a_pair_cause_one_request(self, user: User, issued_by: Use) -> None:
        asked: list[User] = []
        at_once = threading.Barrier(6)

        def obtain(who: User) -> str:
            asked.append(who)
            return f"access-{len(asked)}"

        def call(_: int) -> str:
            at_once.wait(10)
            return fetch_elsewhere(user)

        issued_by(obtain=obtain)
        with ThreadPoolExecutor(6) as pool:
            assert set(pool.map(call, range(6))) == {"access-1"}
        assert len(asked) == 1

    def test_the_articles_example(self, user: User, issued_by: Use, issuer: StrictIssuer) -> None:
        years_ago = jwt.encode(
            {"iat": 1_500_000_000, "exp": 1_500_000_300},
            "a key of the issuer that nobody here knows",
        )
        TokenPair.objects.store(user=user, service="billing", access=years_ago)
        issued_by(obtain=lambda who: issuer.pair_for(who.username)["access"])
        with ServiceClient("billing", user) as client:
            answers = [client.get("invoices/").json() for _ in range(3)]
        assert [answer["user"] for answer in answers] == ["alice"] * 3
        assert len(issuer.families("alice")) == 1

    def test_with_refresh_it_is_for_those_who_have_nothing_left(
        self, user: User, issued_by: Use
    ) -> None:
        issued_by(
            obtain=lambda who: {"access": "first", "refresh": "token", "expires_in": 60},
            refresh=lambda token: {"access": f"by-{token}", "expires_in": 60},
        )
        assert fetch(user) == "first"
        shift_clock(61)
        assert fetch(user) == "by-token"

    def test_its_outage_is_one(self, user: User, issued_by: Use, row: Row, heard: Heard) -> None:
        def obtain(who: User) -> str:
            raise OSError("away")

        issued_by(obtain=obtain)
        with pytest.raises(IssuerUnavailable):
            fetch(user)
        issued_by(obtain=lambda who: "access")
        with pytest.raises(IssuerUnavailable, match="cool-down"):
            fetch(user)
        shift_clock(3)
        assert fetch(user) == "access"
        assert [name for name, _ in heard] == ["refreshed"]

    def test_null_is_the_articles_failure(self, user: User, issued_by: Use, heard: Heard) -> None:
        issued_by(obtain=lambda who: None)
        for _ in range(2):
            with pytest.raises(RefreshTokenRefused):
                fetch(user)
        assert [(name, said["reason"]) for name, said in heard] == [("failed", "refused")]
