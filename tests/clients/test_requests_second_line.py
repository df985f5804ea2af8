"""A 401 through `requests`, in the order of design 3.5; resent once at most."""

import io
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.db import connections
from requests.adapters import BaseAdapter
from requests.auth import HTTPBasicAuth
from urllib3 import HTTPResponse

from jwt_outbound import swaps
from jwt_outbound.ciphers import ACCESS, REFRESH, sealer
from jwt_outbound.clients import ServiceClient, TokenPairAuth
from jwt_outbound.clock import SECOND
from jwt_outbound.exceptions import IssuerUnavailable, RefreshTokenRefused
from jwt_outbound.issuers import SimpleJWTIssuer
from jwt_outbound.models import TokenPair
from jwt_outbound.querysets import database_now
from jwt_outbound.rows import Pair
from tests.conftest import Configure
from tests.issuer_server import StrictIssuer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stored")]

Row = Callable[[], Pair]
Later = Callable[[float], None]


@pytest.fixture
def client(user: User) -> ServiceClient:
    return ServiceClient("billing", user)


def statuses(issuer: StrictIssuer) -> list[Any]:
    return [each["status"] for each in issuer.requests("api")]


class TestTheOrder:
    @pytest.mark.parametrize("session", ["ours", "a caller's own"])
    @pytest.mark.usefixtures("rejected")
    def test_it_is_refreshed_and_resent_once(
        self, client: ServiceClient, user: User, issuer: StrictIssuer, row: Row, session: str
    ) -> None:
        if session == "ours":
            answer = client.get("me")
        else:
            answer = requests.get(f"{issuer.base_url}me", auth=TokenPairAuth("billing", user))
        assert answer.json()["token_number"] == 2
        assert [each.status_code for each in answer.history] == [401]
        assert statuses(issuer) == [401, 200]
        assert (row().generation, len(issuer.presentations())) == (2, 1)

    def test_1_a_row_that_is_past_it_only_costs_the_resend(
        self, client: ServiceClient, user: User, issuer: StrictIssuer, row: Row,
        stored: dict[str, str],
    ) -> None:  # fmt: skip
        issuer.configure(access_dies_early=True)
        client.get("me")
        _refresh_on_another_host(user, row(), issuer, stored["refresh"])
        assert client.get("me").json()["token_number"] == 2
        assert statuses(issuer) == [200, 401, 200]
        assert len(issuer.presentations()) == 1, "the other host's"

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.usefixtures("rejected")
    def test_2_a_flight_under_way_is_waited_for(self, user: User, issuer: StrictIssuer) -> None:
        issuer.hold()
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(_call_elsewhere, user)
            issuer.wait_inside(1)
            issuer.hold("api")
            second = pool.submit(_call_elsewhere, user)
            issuer.wait_inside(1, "api")
            issuer.release("api")
            issuer.release()
            assert [first.result(10), second.result(10)] == [2, 2]
        assert len(issuer.presentations()) == 1

    def test_3_to_a_young_token_it_is_an_answer(
        self, client: ServiceClient, issuer: StrictIssuer
    ) -> None:
        issuer.reject_access("alice")
        assert client.get("me").status_code == 401
        assert statuses(issuer) == [401]
        assert issuer.presentations() == []

    @pytest.mark.usefixtures("rejected")
    def test_4_in_a_cool_down_it_is_an_outage(
        self, client: ServiceClient, issuer: StrictIssuer
    ) -> None:
        TokenPair.objects.update(cooldown_until=database_now() + 5 * SECOND)
        with pytest.raises(IssuerUnavailable) as caught:
            client.get("me")
        assert 0 < (caught.value.retry_after or 0) <= 5
        assert (statuses(issuer), issuer.presentations()) == ([401], [])

    @pytest.mark.usefixtures("rejected")
    def test_5_the_refresh_may_fail_or_be_refused(
        self, client: ServiceClient, issuer: StrictIssuer, later: Later
    ) -> None:
        issuer.fail(503)
        with pytest.raises(IssuerUnavailable):
            client.get("me")
        later(3)
        issuer.refuse("alice")
        with pytest.raises(RefreshTokenRefused):
            client.get("me")
        assert statuses(issuer) == [401, 401]

    def test_after_a_second_401_no_more_of_them_start_a_refresh_for_a_while(
        self, client: ServiceClient, issuer: StrictIssuer, row: Row, later: Later
    ) -> None:
        later(30)
        for seconds, calls, refreshes, holds in (
            (30, 2, 1, 1),  # refreshed and resent: no use, so held for a quarter of the lifetime
            (50, 3, 1, 1),
            (30, 5, 2, 2),  # then once more, and held for twice as long
            (140, 6, 2, 2),
        ):
            assert client.get("always401").status_code == 401
            assert len(statuses(issuer)) == calls
            assert (len(issuer.presentations()), row().holds) == (refreshes, holds)
            later(seconds)
        assert client.get("me").status_code == 200

    @pytest.mark.usefixtures("rejected")
    def test_what_did_not_carry_our_token_is_not_ours_to_answer(
        self, client: ServiceClient, issuer: StrictIssuer
    ) -> None:
        assert client.get("me", auth=HTTPBasicAuth("alice", "secret")).status_code == 401
        assert issuer.presentations() == []

    @pytest.mark.usefixtures("rejected")
    def test_a_redirect_after_the_resend_goes_on_with_the_new_token(
        self, client: ServiceClient, issuer: StrictIssuer
    ) -> None:
        answer = client.get("redirect", params={"to": "/api/there"})
        assert (answer.status_code, answer.json()["token_number"]) == (200, 2)
        assert statuses(issuer) == [401, 302, 200]

    @pytest.mark.usefixtures("rejected")
    def test_a_redirect_elsewhere_after_the_resend_loses_it(
        self, user: User, issuer: StrictIssuer, elsewhere: StrictIssuer
    ) -> None:
        url = f"{issuer.base_url}redirect?to={elsewhere.base_url}me"
        for call in (ServiceClient("billing", user).get, _caller(user)):
            assert call(url).status_code == 401
        assert [each["scheme"] for each in elsewhere.requests()] == ["", ""]

    def test_it_is_resent_once_for_a_call_and_its_redirects(
        self, client: ServiceClient, issuer: StrictIssuer, configure: Configure, later: Later
    ) -> None:
        configure(BASE_URL="http://billing.test/", ALLOWED_ORIGINS=["https://billing.test"])
        api = Scripted(401, 302, 401)
        api.before_each = lambda: later(30)
        client.mount("http://", api)
        client.mount("https://", api)
        assert client.get("").status_code == 401
        assert api.schemes == ["Bearer"] * 3
        assert len(issuer.presentations()) == 1

    @pytest.mark.parametrize("before", [[], [401]])
    def test_nor_is_it_taken_from_http_to_https_on_a_callers_own_session(
        self, user: User, configure: Configure, later: Later, before: list[int]
    ) -> None:
        later(30)
        configure(BASE_URL="http://billing.test/")
        api = Scripted(*before, 302)
        with requests.Session() as session:
            session.mount("http://", api)
            session.mount("https://", api)
            session.get("http://billing.test/", auth=TokenPairAuth("billing", user))
        assert api.schemes == ["Bearer"] * (len(before) + 1) + [""]
        assert api.urls[-1] == "https://billing.test/"

    def test_an_api_that_asks_for_another_scheme_is_said_once(
        self, client: ServiceClient, issuer: StrictIssuer, caplog: pytest.LogCaptureFixture
    ) -> None:
        issuer.configure(scheme="Token")
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                assert client.get("me").status_code == 401
        assert [record.getMessage() for record in caplog.records] == [
            "Service 'billing' answered 401 and asks for the scheme 'Token', "
            "but AUTH_SCHEME is 'Bearer'."
        ]


class Scripted(BaseAdapter):
    """Answers with these statuses, then with 200; a redirect goes from http to https."""

    def __init__(self, *statuses: int) -> None:
        super().__init__()
        self.statuses = list(statuses)
        self.urls: list[str] = []
        self.schemes: list[str] = []
        self.before_each: Callable[[], object] = lambda: None

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        self.before_each()
        self.urls.append(request.url or "")
        self.schemes.append(request.headers.get("Authorization", "").partition(" ")[0])
        response = requests.Response()
        response.status_code = self.statuses.pop(0) if self.statuses else 200
        response.headers["Location"] = "https://billing.test/"
        response.request, response.url = request, request.url or ""
        response.raw, response.connection = HTTPResponse(io.BytesIO()), self
        return response

    def close(self) -> None:
        """Nothing is open."""


def _caller(user: User) -> Callable[[str], requests.Response]:
    return lambda url: requests.get(url, auth=TokenPairAuth("billing", user))


def _call_elsewhere(user: User) -> int:
    """In another thread; the number of the token that the API took."""
    try:
        number: int = ServiceClient("billing", user).get("me").json()["token_number"]
        return number
    finally:
        connections.close_all()


def _refresh_on_another_host(user: User, pair: Pair, issuer: StrictIssuer, refresh: str) -> None:
    """This process does not see it."""
    answer = SimpleJWTIssuer(**issuer.options).exchange(refresh, 5)
    assert answer.refresh is not None
    seal = sealer("billing", user.pk).seal
    columns = {
        "access_sealed": seal(answer.access.reveal(), ACCESS),
        "refresh_sealed": seal(answer.refresh.reveal(), REFRESH),
    }
    assert TokenPair.objects.swap(swaps.saved(pair, columns), pk=pair.pk)
