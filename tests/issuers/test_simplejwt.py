"""simplejwt's three endpoints: pairs by password, refreshes with and without rotation, the end."""

from collections.abc import Iterator

import pytest

from jwt_outbound.issuers import Answer, Meaning, SimpleJWTIssuer
from tests.issuer_server import StrictIssuer, serve


@pytest.fixture
def strict() -> Iterator[StrictIssuer]:
    with serve() as issuer:
        issuer.add_user("alice", "secret")
        yield issuer


@pytest.fixture
def client(strict: StrictIssuer) -> SimpleJWTIssuer:
    return SimpleJWTIssuer(**strict.options)


def log_in(client: SimpleJWTIssuer, password: str = "secret", name: str = "alice") -> Answer:
    return client.obtain(username=name, password=password, deadline=5)


def test_a_password_obtains_a_pair_that_works(client: SimpleJWTIssuer) -> None:
    answer = log_in(client)
    assert answer.meaning is Meaning.GRANTED
    assert answer.refresh is not None
    assert client.exchange(answer.refresh.reveal(), 5).meaning is Meaning.GRANTED


@pytest.mark.parametrize(("name", "password"), [("alice", "wrong"), ("nobody", "secret")])
def test_wrong_credentials_are_refused(client: SimpleJWTIssuer, name: str, password: str) -> None:
    answer = log_in(client, password, name)
    assert (answer.meaning, answer.if_proven) == (Meaning.REFUSED, False)


def test_the_user_name_has_the_field_that_the_issuer_wants(strict: StrictIssuer) -> None:
    strict.configure(username_field="email")
    strict.add_user("a@example.org", "secret")
    client = SimpleJWTIssuer(**strict.options, username_field="email")
    assert log_in(client, name="a@example.org").meaning is Meaning.GRANTED


def test_with_rotation_both_tokens_are_new(strict: StrictIssuer, client: SimpleJWTIssuer) -> None:
    first = strict.pair_for("alice")
    answer = client.exchange(first["refresh"], 5)
    assert answer.refresh is not None
    assert answer.access.reveal() != first["access"]
    assert answer.refresh.reveal() != first["refresh"]


def test_without_rotation_the_refresh_token_stays(
    strict: StrictIssuer, client: SimpleJWTIssuer
) -> None:
    strict.configure(rotate=False)
    first = strict.pair_for("alice")
    for _ in range(2):
        answer = client.exchange(first["refresh"], 5)
        assert (answer.meaning, answer.refresh) == (Meaning.GRANTED, None)


def test_a_spent_refresh_token_is_refused(strict: StrictIssuer, client: SimpleJWTIssuer) -> None:
    token = strict.pair_for("alice")["refresh"]
    client.exchange(token, 5)
    answer = client.exchange(token, 5)
    assert (answer.meaning, answer.code) == (Meaning.REFUSED, "token_not_valid")


def test_a_deactivated_user_is_refused_by_a_proven_issuer_only(
    strict: StrictIssuer, client: SimpleJWTIssuer
) -> None:
    token = strict.pair_for("alice")["refresh"]
    strict.set_active("alice", False)
    answer = client.exchange(token, 5)
    assert (answer.meaning, answer.code) == (Meaning.REFUSED, "no_active_account")
    assert answer.if_proven


def test_a_deleted_user_looks_like_an_outage(strict: StrictIssuer, client: SimpleJWTIssuer) -> None:
    token = strict.pair_for("alice")["refresh"]
    strict.delete_user("alice")
    answer = client.exchange(token, 5)
    assert (answer.meaning, answer.status) == (Meaning.UNAVAILABLE, 500)


def test_revoking_ends_the_login_once_and_for_all(
    strict: StrictIssuer, client: SimpleJWTIssuer
) -> None:
    token = strict.pair_for("alice")["refresh"]
    assert client.revoke(token, 5).meaning is Meaning.GRANTED
    assert strict.families("alice")[0]["ended"] == "revoked"
    assert client.revoke(token, 5).meaning is Meaning.GRANTED, "it is over, as was asked"
    strict.fail(503, door="revoke")
    assert client.revoke(token, 5).meaning is Meaning.UNAVAILABLE


def test_endpoints_that_were_not_given_are_said_to_be_missing(strict: StrictIssuer) -> None:
    client = SimpleJWTIssuer(refresh_url=strict.refresh_url)
    assert (client.obtains_by_password, client.revokes) == (False, False)
    assert log_in(client).code == "no_obtain_url"
    answer = client.revoke("token", 5)
    assert (answer.meaning, answer.code) == (Meaning.MISCONFIGURED, "no_revoke_url")
    assert strict.requests() == []


def test_each_url_is_checked() -> None:
    client = SimpleJWTIssuer(
        refresh_url="token/", obtain_url="://", revoke_url="https://ok.example"
    )
    assert [error.id for error in client.check("billing")] == ["jwt_outbound.E021"] * 2
