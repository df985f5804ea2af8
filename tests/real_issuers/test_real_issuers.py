"""What the real issuers answer, written down; and that the strict one speaks simplejwt's words."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.issuer_server import StrictIssuer, serve
from tests.real_issuers import OAuthToolkit, SimpleJWT, running

INVALID_GRANT = {"error": "invalid_grant"}
NO_ACCOUNT = {"detail": "No active account found for the given token."}
BLACKLISTED = {"detail": "Token is blacklisted", "code": "token_not_valid"}


@pytest.fixture(scope="module")
def simplejwt() -> Iterator[SimpleJWT]:
    with running("simplejwt") as issuer:
        yield issuer


@pytest.fixture(scope="module")
def toolkit() -> Iterator[OAuthToolkit]:
    with running("oauth_toolkit") as issuer:
        yield issuer


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    """A name of its own for each test, since the servers are shared."""
    return f"user{abs(hash(request.node.nodeid))}"


def said(answer: requests.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json()


class TestSimpleJWT:
    def test_obtain_call_refresh(self, simplejwt: SimpleJWT, user: str) -> None:
        simplejwt.create(user)
        old = simplejwt.obtain(user)
        new = simplejwt.refresh(old["refresh"])
        assert set(new.json()) == {"access", "refresh"}
        calls = [simplejwt.me(access) for access in (old["access"], new.json()["access"])]
        assert [each.json()["user"] for each in calls] == [user, user]

    def test_a_spent_token_is_refused_and_its_successor_lives(
        self, simplejwt: SimpleJWT, user: str
    ) -> None:
        simplejwt.create(user)
        spent = simplejwt.obtain(user)["refresh"]
        successor = simplejwt.refresh(spent).json()["refresh"]
        again = simplejwt.refresh(spent)
        assert said(again) == (401, BLACKLISTED)
        assert again.headers["WWW-Authenticate"] == 'Bearer realm="api"'
        assert simplejwt.refresh(successor).status_code == 200

    def test_a_deactivated_user_gets_a_401_without_a_code(
        self, simplejwt: SimpleJWT, user: str
    ) -> None:
        simplejwt.create(user)
        pair = simplejwt.obtain(user)
        simplejwt.deactivate(user)
        refused = simplejwt.refresh(pair["refresh"])
        assert said(refused) == (401, NO_ACCOUNT)
        assert refused.headers["WWW-Authenticate"] == 'Bearer realm="api"'
        assert simplejwt.me(pair["access"]).json()["code"] == "user_inactive"
        simplejwt.activate(user)
        assert simplejwt.refresh(pair["refresh"]).status_code == 200

    def test_a_deleted_user_is_a_500_page_each_time(self, simplejwt: SimpleJWT, user: str) -> None:
        simplejwt.create(user)
        pair = simplejwt.obtain(user)
        simplejwt.delete(user)
        for _ in range(2):
            broken = simplejwt.refresh(pair["refresh"])
            assert broken.status_code == 500
            assert broken.headers["Content-Type"] == "text/html; charset=utf-8"
        assert simplejwt.me(pair["access"]).json()["code"] == "user_not_found"

    def test_an_expired_refresh_token(self, user: str) -> None:
        with running("simplejwt", refresh_lifetime=-1) as issuer:
            issuer.create(user)
            refused = issuer.refresh(issuer.obtain(user)["refresh"])
        assert said(refused) == (401, {"detail": "Token is expired", "code": "token_not_valid"})

    def test_a_blacklisted_token(self, simplejwt: SimpleJWT, user: str) -> None:
        simplejwt.create(user)
        token = simplejwt.obtain(user)["refresh"]
        assert said(simplejwt.revoke(token)) == (200, {})
        assert said(simplejwt.refresh(token)) == (401, BLACKLISTED)


class TestOAuthToolkit:
    def test_obtain_call_refresh(self, toolkit: OAuthToolkit, user: str) -> None:
        toolkit.create(user)
        old = toolkit.obtain(user)
        assert toolkit.me(old["access"]).json()["user"] == user
        new = toolkit.refresh(old["refresh"]).json()
        assert new.keys() >= {"access_token", "refresh_token", "expires_in", "token_type"}
        assert toolkit.me(new["access_token"]).json()["user"] == user

    def test_an_old_access_token_dies_with_the_refresh(
        self, toolkit: OAuthToolkit, user: str
    ) -> None:
        toolkit.create(user)
        old = toolkit.obtain(user)
        toolkit.refresh(old["refresh"])
        refused = toolkit.me(old["access"])
        assert refused.status_code == 401
        assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]

    def test_a_spent_token_ends_the_family(self, toolkit: OAuthToolkit, user: str) -> None:
        toolkit.create(user)
        spent = toolkit.obtain(user)["refresh"]
        successor = toolkit.refresh(spent).json()
        assert said(toolkit.refresh(spent)) == (400, INVALID_GRANT)
        assert said(toolkit.refresh(successor["refresh_token"])) == (400, INVALID_GRANT)
        assert toolkit.me(successor["access_token"]).status_code == 401

    def test_a_deactivated_user_still_gets_a_new_pair(
        self, toolkit: OAuthToolkit, user: str
    ) -> None:
        toolkit.create(user)
        token = toolkit.obtain(user)["refresh"]
        toolkit.deactivate(user)
        assert toolkit.refresh(token).status_code == 200

    def test_a_deleted_user_is_refused(self, toolkit: OAuthToolkit, user: str) -> None:
        toolkit.create(user)
        token = toolkit.obtain(user)["refresh"]
        toolkit.delete(user)
        assert said(toolkit.refresh(token)) == (400, INVALID_GRANT)

    def test_a_revoked_token_is_refused(self, toolkit: OAuthToolkit, user: str) -> None:
        toolkit.create(user)
        token = toolkit.obtain(user)["refresh"]
        assert toolkit.revoke(token).status_code == 200
        assert said(toolkit.refresh(token)) == (400, INVALID_GRANT)

    def test_a_wrong_client(self, toolkit: OAuthToolkit, user: str) -> None:
        toolkit.create(user)
        form = {"grant_type": "refresh_token", "refresh_token": toolkit.obtain(user)["refresh"]}
        refused = toolkit.post("/token/", data=form, auth=(toolkit.client_id, "wrong"))
        assert said(refused) == (401, {"error": "invalid_client"})
        assert refused.headers["WWW-Authenticate"] == 'Bearer error="invalid_client"'


class TestTheStrictIssuerSpeaksSimpleJWT:
    """The same questions to both; the answers must be the same but for the tokens in them."""

    HEADERS = ("Content-Type", "WWW-Authenticate", "Vary", "Allow")

    @pytest.fixture
    def strict(self) -> Iterator[StrictIssuer]:
        # Real simplejwt lets the successor of a spent token live.
        with serve(reuse_ends_family=False) as issuer:
            yield issuer

    def test_word_for_word(self, simplejwt: SimpleJWT, strict: StrictIssuer, user: str) -> None:
        simplejwt.create(user)
        strict.add_user(user)
        like_real = SimpleJWT(strict.url)
        try:
            with ThreadPoolExecutor(2) as pool:
                real, ours = pool.map(lambda each: _converse(each, user), (simplejwt, like_real))
        finally:
            like_real.close()
        assert len(real) == len(ours) > 15
        assert [self.shape(answer) for answer in ours] == [self.shape(answer) for answer in real]

    def test_also_of_users_who_are_gone(
        self, simplejwt: SimpleJWT, strict: StrictIssuer, user: str
    ) -> None:
        simplejwt.create(user)
        strict.add_user(user)
        like_real = SimpleJWT(strict.url)
        pairs = [each.obtain(user) for each in (simplejwt, like_real)]
        simplejwt.deactivate(user)
        strict.set_active(user, False)
        asked = list(zip((simplejwt, like_real), pairs, strict=True))
        answers = [
            [each.refresh(pair["refresh"]), each.me(pair["access"]), each.log_in(user, "secret")]
            for each, pair in asked
        ]
        simplejwt.delete(user)
        strict.set_active(user, True)
        strict.delete_user(user)
        for told, (each, pair) in zip(answers, asked, strict=True):
            told.append(each.me(pair["access"]))
        real, ours = ([self.shape(answer) for answer in told] for told in answers)
        assert ours == real
        assert {each.refresh(pair["refresh"]).status_code for each, pair in asked} == {500}
        like_real.close()

    def shape(self, answer: requests.Response) -> tuple[object, ...]:
        data = answer.json()
        if answer.status_code == 200:
            # "user" and "path" are what both test APIs say; tokens differ of course.
            data = sorted(data.keys() - {"method", "token_number"})
        return answer.status_code, data, [answer.headers.get(name) for name in self.HEADERS]


def _converse(issuer: SimpleJWT, user: str) -> list[requests.Response]:
    first = issuer.obtain(user)
    answers = [issuer.log_in(user, "wrong"), issuer.log_in(user, "secret")]
    answers += [issuer.refresh(first["refresh"]) for _ in range(2)]
    answers += [issuer.refresh("made up"), issuer.refresh(first["access"])]
    answers += [issuer.me(token) for token in (first["access"], first["refresh"], "made up")]
    answers += [issuer.revoke(answers[2].json()["refresh"]) for _ in range(2)]
    for body in ({}, {"refresh": ""}, {"refresh": None}, {"refresh": True}, ["a list"]):
        answers.append(issuer.post("/token/refresh/", json=body))
    answers.append(issuer.post("/token/", json={}))
    answers.append(issuer.post("/token/", data="{", headers={"Content-Type": "application/json"}))
    answers.append(issuer.post("/token/", data="x", headers={"Content-Type": "text/plain"}))
    answers.append(issuer.post("/token/", data={"username": user, "password": "secret"}))
    return answers
