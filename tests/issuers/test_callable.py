"""A function as the issuer: every shape of answer, and what it may raise."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from jwt_outbound.exceptions import IssuerMisconfigured, RefreshTokenRefused
from jwt_outbound.issuers import Answer, CallableIssuer, Meaning

GRANTED, UNAVAILABLE = Meaning.GRANTED, Meaning.UNAVAILABLE


def dotted(token: str) -> str:
    return f"new-{token}"


async def coroutine(token: str) -> str:
    return f"awaited-{token}"


class Refresher:
    """Neither `__call__` nor the lambda below is a coroutine function to `inspect`."""

    def __call__(self, token: str) -> Awaitable[str]:
        return coroutine(token)


def asked(result: Any = None, *, refresh: Callable[..., Any] | None = None) -> Answer:
    return CallableIssuer(refresh=refresh or (lambda token: result)).exchange("old", 1)


@pytest.mark.parametrize(
    ("result", "access", "refresh", "expires_in"),
    [
        ("new", "new", None, None),
        (("new", "next"), "new", "next", None),
        (["new", "next"], "new", "next", None),
        (("new", None), "new", None, None),
        ({"access": "new"}, "new", None, None),
        ({"access": "new", "refresh": "next", "expires_in": 60}, "new", "next", 60.0),
        ({"access": "new", "refresh": None, "expires_in": "60", "more": 1}, "new", None, 60.0),
        ({"access": "new", "expires_in": "soon"}, "new", None, None),
    ],
)
def test_the_shapes_of_a_yes(
    result: Any, access: str, refresh: str | None, expires_in: float | None
) -> None:
    answer = asked(result)
    assert answer.meaning is GRANTED
    assert answer.access.reveal() == access
    assert (answer.refresh.reveal() if answer.refresh else None) == refresh
    assert answer.expires_in == expires_in


@pytest.mark.parametrize(
    "result",
    ["", 5, b"new", {}, {"access": ""}, {"access": None}, (), ("new",), ("", "x"), object()],
)
def test_nonsense_is_ambiguous(result: Any) -> None:
    answer = asked(result)
    assert (answer.meaning, answer.ambiguous) == (UNAVAILABLE, True)
    assert answer.code == "function_returned_nonsense"


@pytest.mark.parametrize(
    "result", ["two words", ("new", "line\nbreak"), {"access": "a", "refresh": 5}]
)
def test_a_token_that_cannot_be_sent_is_ambiguous(result: Any) -> None:
    answer = asked(result)
    assert (answer.meaning, answer.ambiguous) == (UNAVAILABLE, True)


def test_none_means_refused() -> None:
    assert asked(None).meaning is Meaning.REFUSED


@pytest.mark.parametrize(("code", "said"), [("", "refused"), ("invalid_grant", "invalid_grant")])
def test_raising_the_refusal_means_refused(code: str, said: str) -> None:
    def refresh(token: str) -> str:
        raise RefreshTokenRefused("no", code=code)

    answer = asked(refresh=refresh)
    assert (answer.meaning, answer.code) == (Meaning.REFUSED, said)


@pytest.mark.parametrize("user_id", [7, "7"])
def test_a_refusal_that_says_whose_comes_from_another_pair(user_id: Any) -> None:
    def refresh(token: str) -> str:
        raise RefreshTokenRefused("no", service="idp", user_id=user_id, reason="refused")

    answer = asked(refresh=refresh)
    assert (answer.meaning, answer.ambiguous, answer.code) == (UNAVAILABLE, True, "function_raised")


def test_raising_anything_else_is_ambiguous_and_says_where_but_not_what(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refresh(token: str) -> str:
        raise ValueError(f"could not refresh {token}")

    with caplog.at_level(logging.DEBUG):
        answer = asked(refresh=refresh)
    assert (answer.meaning, answer.ambiguous) == (UNAVAILABLE, True)
    assert answer.code == "function_raised"
    assert "ValueError at " in caplog.text
    assert "test_callable.py" in caplog.text
    assert "old" not in caplog.text


def test_a_function_that_meets_its_own_client_is_misconfigured() -> None:
    def refresh(token: str) -> str:
        raise IssuerMisconfigured("The refresh function calls the very client that it refreshes.")

    assert asked(refresh=refresh).meaning is Meaning.MISCONFIGURED


@pytest.mark.parametrize("function", [coroutine, Refresher(), lambda token: coroutine(token)])
def test_async_functions_are_awaited(function: Callable[[str], Awaitable[str]]) -> None:
    assert asked(refresh=function).access.reveal() == "awaited-old"


def test_an_async_function_that_raises_is_ambiguous() -> None:
    async def refresh(token: str) -> str:
        raise OSError("away")

    assert asked(refresh=refresh).code == "function_raised"


def test_a_dotted_path_is_imported_when_it_is_used() -> None:
    issuer = CallableIssuer(refresh=f"{__name__}.dotted")
    assert issuer.exchange("old", 1).access.reveal() == "new-old"
    missing = CallableIssuer(refresh="tests.nowhere.refresh").exchange("old", 1)
    assert (missing.meaning, missing.code) == (Meaning.MISCONFIGURED, "function_not_found")


def test_obtain_is_asked_for_the_user() -> None:
    issuer = CallableIssuer(obtain=lambda user: f"access-of-{user}")
    assert (issuer.exchanges, issuer.makes_first_pair) == (False, True)
    assert issuer.first_pair("alice", 1).access.reveal() == "access-of-alice"
    assert issuer.exchange("old", 1).meaning is Meaning.MISCONFIGURED


def test_refresh_alone_makes_no_first_pair() -> None:
    issuer = CallableIssuer(refresh=dotted)
    assert (issuer.exchanges, issuer.makes_first_pair) == (True, False)
    assert issuer.first_pair("alice", 1).meaning is Meaning.MISCONFIGURED


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        ({}, ["neither a 'refresh' nor an 'obtain'"]),
        ({"refresh": dotted}, []),
        ({"obtain": f"{__name__}.dotted"}, []),
        ({"refresh": "tests.nowhere.refresh"}, ["'refresh' that is no function"]),
        ({"refresh": 5, "obtain": "os.sep"}, ["'refresh'", "'obtain'"]),
    ],
)
def test_the_check_wants_functions(options: dict[str, Any], problems: list[str]) -> None:
    errors = CallableIssuer(**options).check("billing")
    assert [error.id for error in errors] == ["jwt_outbound.E020"] * len(problems)
    for error, problem in zip(errors, problems, strict=True):
        assert problem in error.msg
