"""What each door answers where nothing was ordered to go wrong, and what is written down."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.issuer_server import StrictIssuer, fingerprint, serve


def ask(method: str, url: str, access: str = "", **arguments: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {access}"} if access else {}
    headers |= arguments.pop("headers", {})
    return requests.request(
        method, url, headers=headers, timeout=10, allow_redirects=False, **arguments
    )


def test_obtain_then_call(issuer: StrictIssuer) -> None:
    issuer.add_user("alice", "secret")
    pair = ask("POST", issuer.obtain_url, json={"username": "alice", "password": "secret"}).json()
    answer = ask("GET", issuer.base_url + "invoices/", pair["access"])
    assert answer.json() == {
        "user": "alice",
        "path": "/api/invoices/",
        "method": "GET",
        "token_number": 1,
    }


def test_another_field_can_name_the_user(issuer: StrictIssuer) -> None:
    issuer.configure(username_field="email")
    issuer.add_user("alice@example.org")
    named = {"email": "alice@example.org", "password": "secret"}
    assert ask("POST", issuer.obtain_url, json=named).status_code == 200


def test_the_blacklist_ends_the_login(issuer: StrictIssuer) -> None:
    token = issuer.pair_for("alice")["refresh"]
    assert ask("POST", issuer.revoke_url, json={"refresh": token}).status_code == 200
    assert ask("POST", issuer.refresh_url, json={"refresh": token}).status_code == 401
    assert issuer.families("alice")[0]["ended"] == "revoked"


class TestOAuth2:
    @pytest.mark.parametrize("door", ["obtain_url", "refresh_url"])
    def test_a_form_is_answered_as_oauth2(self, issuer: StrictIssuer, door: str) -> None:
        form = {"grant_type": "refresh_token", "refresh_token": issuer.pair_for("a")["refresh"]}
        answers = [ask("POST", getattr(issuer, door), data=form) for _ in range(2)]
        said = answers[0].json()
        assert set(said) == {"access_token", "refresh_token", "token_type", "expires_in"}
        assert (answers[1].status_code, answers[1].json()) == (400, {"error": "invalid_grant"})
        assert {each["dialect"] for each in issuer.presentations()} == {"oauth2"}

    def test_other_grants_are_not_supported(self, issuer: StrictIssuer) -> None:
        answer = ask("POST", issuer.obtain_url, data={"grant_type": "client_credentials"})
        assert answer.json() == {"error": "unsupported_grant_type"}

    def test_a_wrong_client_spends_nothing(self, issuer: StrictIssuer) -> None:
        issuer.configure(client_id="us", client_secret="k:%")
        form = {"grant_type": "refresh_token", "refresh_token": issuer.pair_for("a")["refresh"]}
        wrong = ask("POST", issuer.obtain_url, data=form, auth=("us", "no"))
        assert (wrong.status_code, wrong.json()) == (401, {"error": "invalid_client"})
        # RFC 6749 2.3.1 encodes both words before they become Basic credentials.
        right = ask("POST", issuer.obtain_url, data=form, auth=("us", quote("k:%")))
        assert right.status_code == 200

    def test_revoking_says_yes_to_any_token(self, issuer: StrictIssuer) -> None:
        token = issuer.pair_for("alice")["refresh"]
        answers = [ask("POST", issuer.revoke_url, data={"token": each}) for each in (token, "no")]
        assert [(each.status_code, each.text) for each in answers] == [(200, ""), (200, "")]
        assert issuer.families("alice")[0]["ended"] == "revoked"


class TestApi:
    @pytest.fixture
    def access(self, issuer: StrictIssuer) -> str:
        return issuer.pair_for("alice")["access"]

    def test_it_asks_for_its_own_scheme(self, issuer: StrictIssuer, access: str) -> None:
        issuer.configure(scheme="JWT")
        answer = ask("GET", issuer.base_url, access)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'JWT realm="api"'
        jwt = {"Authorization": f"JWT {access}"}
        assert ask("GET", issuer.base_url, headers=jwt).status_code == 200

    def test_a_token_of_another_issuer_is_refused(self, issuer: StrictIssuer) -> None:
        with serve() as other:
            foreign = other.pair_for("alice")["access"]
        assert ask("GET", issuer.base_url, foreign).status_code == 401

    def test_always401(self, issuer: StrictIssuer, access: str) -> None:
        assert ask("GET", issuer.base_url + "always401", access).status_code == 401

    def test_redirect(self, issuer: StrictIssuer, access: str) -> None:
        where = {"to": "http://elsewhere.test/a", "status": "307"}
        answer = ask("GET", issuer.base_url + "redirect", access, params=where)
        assert (answer.status_code, answer.headers["Location"]) == (307, where["to"])

    @pytest.mark.parametrize(
        "body", [b"\x00 any", iter([b"\x00", b" any"])], ids=["at once", "chunked"]
    )
    def test_echo(self, issuer: StrictIssuer, access: str, body: Any) -> None:
        answer = ask("POST", issuer.base_url + "echo", access, data=body)
        assert answer.content == b"\x00 any"

    def test_head_has_no_body(self, issuer: StrictIssuer, access: str) -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {access}"
            assert session.head(issuer.base_url, timeout=10).content == b""
            assert session.get(issuer.base_url, timeout=10).json()["user"] == "alice"
        assert len({each["client"] for each in issuer.requests()}) == 1

    def test_a_cookie_is_set_and_written_down(self, issuer: StrictIssuer, access: str) -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {access}"
            for page in ("cookie", "me"):
                session.get(issuer.base_url + page, timeout=10)
        assert [each["cookies"] for each in issuer.requests("api")] == [{}, {"whose": "alice"}]

    def test_requests_are_written_down_without_their_token(
        self, issuer: StrictIssuer, access: str
    ) -> None:
        ask("GET", issuer.base_url + "a?b=c", access)
        ask("GET", issuer.url + "/elsewhere")
        first, second = issuer.requests()
        told = (first["door"], first["path"], first["query"], first["scheme"], first["token"])
        assert told == ("api", "/api/a", {"b": "c"}, "Bearer", fingerprint(access))
        assert (first["user"], first["token_number"], first["status"]) == ("alice", 1, 200)
        assert (second["door"], second["token"], second["status"]) == (None, None, 404)
        assert access not in repr((first, second))


def test_a_stopped_issuer_refuses_connections_and_comes_back(issuer: StrictIssuer) -> None:
    token = issuer.pair_for("alice")["refresh"]
    issuer.stop()
    with pytest.raises(requests.ConnectionError):
        ask("POST", issuer.refresh_url, json={"refresh": token})
    issuer.start()
    assert ask("POST", issuer.refresh_url, json={"refresh": token}).status_code == 200


def test_an_error_of_the_issuer_itself_is_not_hidden() -> None:
    issuer = StrictIssuer()
    issuer.start()
    access = issuer.pair_for("alice")["access"]
    with pytest.raises(requests.ConnectionError):
        ask("GET", issuer.base_url + "redirect?status=odd", access)
    with pytest.raises(ExceptionGroup, match="The issuer itself failed"):
        issuer.stop()
