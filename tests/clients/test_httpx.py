"""httpx and httpx2, sync and async: an auth for any client, and the clients for one service."""

import pickle
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from jwt_outbound.ciphers import ACCESS, sealer
from jwt_outbound.clients.httpx import TokenPairAuth, service_client
from jwt_outbound.clients.httpx_libraries import installed
from jwt_outbound.exceptions import (
    LoginRequired,
    RefreshTokenRefused,
    ServiceNotConfigured,
    TemporarilyUnavailable,
)
from jwt_outbound.models import TokenPair
from jwt_outbound.rows import Pair
from jwt_outbound.testing import shift_clock
from tests.clients.ways import Way, api, asked, get, then, ways
from tests.conftest import Configure
from tests.issuer_server import StrictIssuer, fingerprint

pytestmark = [pytest.mark.django_db, ways]

Row = Callable[[], Pair]


# The token


def test_it_is_an_auth_of_the_library(way: Way, user: User) -> None:
    auth = TokenPairAuth("billing", user)
    assert isinstance(auth, way.library.Auth)
    assert isinstance(auth, TokenPairAuth)


def test_a_call_carries_the_token(
    issuer: StrictIssuer, stored: dict[str, str], way: Way, anybodys: Any
) -> None:
    response = way.one(anybodys, get(api(issuer)))
    assert response.json()["user"] == "alice"
    (seen,) = issuer.requests("api")
    assert (seen["scheme"], seen["token"]) == ("Bearer", fingerprint(stored["access"]))


def test_one_auth_serves_a_second_client(
    issuer: StrictIssuer, stored: dict[str, str], way: Way, anybodys: Any
) -> None:
    for _ in range(2):
        assert way.one(anybodys, get(api(issuer))).status_code == 200


def test_auth_for_a_single_call(
    issuer: StrictIssuer, stored: dict[str, str], way: Way, user: User
) -> None:
    step = get(api(issuer), auth=TokenPairAuth("billing", user))
    assert way.one(way.client, step).status_code == 200


def test_an_expired_token_is_refreshed_before_the_call(
    issuer: StrictIssuer, stored: dict[str, str], way: Way, anybodys: Any, later: Any
) -> None:
    later(301)
    assert way.one(anybodys, get(api(issuer))).json()["token_number"] == 2
    assert asked(issuer) == [200]
    assert len(issuer.presentations()) == 1


def test_the_auth_scheme_is_the_service_s(
    issuer: StrictIssuer, stored: dict[str, str], way: Way, anybodys: Any, configure: Configure
) -> None:
    configure(AUTH_SCHEME="JWT")
    issuer.configure(scheme="JWT")
    assert way.one(anybodys, get(api(issuer))).status_code == 200


def test_no_pair_no_request(issuer: StrictIssuer, way: Way, anybodys: Any) -> None:
    with pytest.raises(LoginRequired):
        way.one(anybodys, get(api(issuer)))
    assert issuer.requests() == []


def test_unknown_service_and_nobody(way: Way, user: User) -> None:
    with pytest.raises(ServiceNotConfigured):
        TokenPairAuth("nowhere", user)
    with pytest.raises(LoginRequired):
        TokenPairAuth("billing", None)
    with pytest.raises(ServiceNotConfigured):
        way.service(user, "nowhere")


# After a 401


def test_a_401_is_followed_by_one_refresh_and_one_resend(
    issuer: StrictIssuer, rejected: dict[str, str], way: Way, anybodys: Any
) -> None:
    response = way.one(anybodys, get(api(issuer)))
    assert (response.status_code, response.json()["token_number"]) == (200, 2)
    assert [past.status_code for past in response.history] == [401]
    assert asked(issuer) == [401, 200]
    assert len(issuer.presentations()) == 1


def test_the_next_call_uses_the_new_token_at_once(
    issuer: StrictIssuer, rejected: dict[str, str], way: Way, anybodys: Any
) -> None:
    way.run(anybodys, get(api(issuer)), get(api(issuer)))
    assert asked(issuer) == [401, 200, 200]


def test_a_row_that_is_past_the_refused_token_costs_no_refresh(
    issuer: StrictIssuer, rejected: dict[str, str], way: Way, user: User, later: Any
) -> None:
    auth = TokenPairAuth("billing", user)
    auth._fetch(None)
    another = issuer.pair_for("alice")
    TokenPair.objects.filter(user_id=user.pk).update(generation=9)
    _replace_tokens(user, another)
    response = way.one(lambda: way.client(auth=auth), get(api(issuer)))
    assert response.status_code == 200
    assert asked(issuer) == [401, 200]
    assert issuer.presentations() == []


def _replace_tokens(user: User, tokens: dict[str, str]) -> None:
    """As another host would: this process's copies in memory do not hear of it."""
    sealed = sealer("billing", user.pk).seal(tokens["access"], ACCESS)
    TokenPair.objects.filter(user_id=user.pk).update(access_sealed=sealed)


def test_a_401_to_a_token_just_issued_is_an_answer(
    issuer: StrictIssuer, stored: dict[str, str], way: Way, anybodys: Any
) -> None:
    issuer.reject_access("alice")
    assert way.one(anybodys, get(api(issuer))).status_code == 401
    assert asked(issuer) == [401]
    assert issuer.presentations() == []


def test_a_401_that_a_refresh_does_not_cure_starts_no_more(
    issuer: StrictIssuer, stored: dict[str, str], way: Way, anybodys: Any, row: Row, later: Any
) -> None:
    later(30)
    page = api(issuer, "always401/")
    responses = way.run(anybodys, get(page), then(lambda: later(30)), get(page))
    assert [response.status_code for response in responses] == [401, 401]
    assert asked(issuer) == [401, 401, 401]
    assert len(issuer.presentations()) == 1
    assert row().holds == 1


def test_a_401_in_a_cool_down_is_temporary(
    issuer: StrictIssuer, rejected: dict[str, str], way: Way, anybodys: Any
) -> None:
    issuer.fail(503, times=None)
    for _ in range(2):
        with pytest.raises(TemporarilyUnavailable) as caught:
            way.one(anybodys, get(api(issuer)))
        assert caught.value.retry_after
    assert asked(issuer) == [401, 401]
    assert len(issuer.presentations()) == 1


def test_a_refusal_rises_and_later_calls_send_nothing(
    issuer: StrictIssuer, rejected: dict[str, str], way: Way, anybodys: Any
) -> None:
    issuer.refuse("alice")
    for _ in range(2):
        with pytest.raises(RefreshTokenRefused):
            way.one(anybodys, get(api(issuer)))
    assert asked(issuer) == [401]


def test_a_401_behind_a_redirect_is_resent_from_there(
    issuer: StrictIssuer, rejected: dict[str, str], way: Way, user: User
) -> None:
    issuer.fail(302, door="api", headers={"Location": "/api/invoices/"})
    auth = TokenPairAuth("billing", user)
    step = get(api(issuer, "old/"))
    response = way.one(lambda: way.client(auth=auth, follow_redirects=True), step)
    assert response.json()["path"] == "/api/invoices/"
    assert asked(issuer) == [302, 401, 200]


# The object itself


def test_without_either_library_the_cure_is_named(
    way: Way, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("httpx", "httpx2"):
        monkeypatch.setitem(sys.modules, name, None)
    installed.cache_clear()
    try:
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'jwt-outbound\[httpx2\]'"):
            service_client("billing", user)
    finally:
        installed.cache_clear()


def test_pickled_it_is_made_anew_and_holds_no_token(
    issuer: StrictIssuer, stored: dict[str, str], way: Way, user: User
) -> None:
    auth = TokenPairAuth("billing", user)
    way.one(lambda: way.client(auth=auth), get(api(issuer)))
    pickled = pickle.dumps(auth)
    assert stored["access"].encode() not in pickled
    again = pickle.loads(pickled)  # noqa: S301
    assert way.one(lambda: way.client(auth=again), get(api(issuer))).status_code == 200


def test_a_token_in_memory_is_not_read_again(
    issuer: StrictIssuer,
    stored: dict[str, str],
    way: Way,
    anybodys: Any,
    django_assert_num_queries: Any,
) -> None:
    with django_assert_num_queries(1):
        way.run(anybodys, get(api(issuer)), get(api(issuer)))
    shift_clock(6)
    with django_assert_num_queries(1):
        way.run(anybodys, get(api(issuer)))
