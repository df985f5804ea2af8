"""OAuth2Issuer: what it sends, how the client proves itself, where it finds the endpoints."""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from jwt_outbound.issuers import Meaning, OAuth2Issuer, Profile
from jwt_outbound.issuers.oauth2 import PROFILES
from tests.issuers.recorder import Recorder, recording

PAIR = {
    "access_token": "new-access",
    "refresh_token": "new-refresh",
    "expires_in": 300,
    "refresh_expires_in": 3600,
    "refresh_in": 100,
}
PROFILE = Profile(refused_codes=frozenset({"bad_refresh_token"}))


@pytest.fixture
def server() -> Iterator[Recorder]:
    with recording() as server:
        server.answers["/token"] = (200, PAIR)
        server.answers["/revoke"] = (200, {})
        yield server


def issuer_at(server: Recorder, **options: Any) -> OAuth2Issuer:
    places = {"token_url": f"{server.url}/token", "revoke_url": f"{server.url}/revoke"}
    return OAuth2Issuer(**{"client_id": "me", "client_secret": "s3cret", **places, **options})


def test_it_exchanges_a_refresh_token(server: Recorder) -> None:
    answer = issuer_at(server).exchange("old-refresh", 5)
    assert server.asked[0].form == {"grant_type": "refresh_token", "refresh_token": "old-refresh"}
    assert answer.meaning is Meaning.GRANTED
    assert answer.refresh is not None
    assert (answer.access.reveal(), answer.refresh.reveal()) == ("new-access", "new-refresh")
    assert (answer.expires_in, answer.refresh_expires_in, answer.refresh_in) == (300, 3600, 100)


def test_wishes_go_along(server: Recorder) -> None:
    resources = ["https://a.example", "https://b.example"]
    wishes = {"scope": "read write", "audience": "billing", "resource": resources}
    issuer_at(server, **wishes).exchange("old-refresh", 5)
    sent = server.asked[0].form_lists
    assert (sent["scope"], sent["audience"], sent["resource"]) == (
        ["read write"],
        ["billing"],
        resources,
    )


def test_basic_encodes_id_and_secret_first(server: Recorder) -> None:
    issuer_at(server, client_id="a:b", client_secret="p%ss wörd").exchange("old-refresh", 5)
    asked = server.asked[0]
    expected = b64encode(b"a%3Ab:p%25ss+w%C3%B6rd").decode()
    assert asked.headers["Authorization"] == f"Basic {expected}"
    assert "client_secret" not in asked.form


def test_post(server: Recorder) -> None:
    issuer_at(server, client_auth="post").exchange("old-refresh", 5)
    asked = server.asked[0]
    assert (asked.form["client_id"], asked.form["client_secret"]) == ("me", "s3cret")
    assert "Authorization" not in asked.headers


def test_a_public_client(server: Recorder) -> None:
    issuer_at(server, client_auth="none", client_secret="").exchange("old-refresh", 5)
    assert server.asked[0].form["client_id"] == "me"
    assert "Authorization" not in server.asked[0].headers


def test_private_key_jwt(server: Recorder) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    issuer = issuer_at(server, client_auth="private_key_jwt", client_secret=pem, key_id="k1")
    for _ in range(2):
        issuer.exchange("old-refresh", 5)
    assertions = [asked.form["client_assertion"] for asked in server.asked]
    audience = f"{server.url}/token"
    claims = [jwt.decode(a, key.public_key(), ["RS256"], audience=audience) for a in assertions]
    assert (claims[0]["iss"], claims[0]["sub"]) == ("me", "me")
    assert claims[0]["exp"] - claims[0]["iat"] == 60
    assert claims[0]["jti"] != claims[1]["jti"]
    assert jwt.get_unverified_header(assertions[0])["kid"] == "k1"
    assert pem not in server.asked[0].body.decode()


def test_a_key_that_is_none_is_the_operators_fault_and_nothing_is_sent(server: Recorder) -> None:
    issuer = issuer_at(server, client_auth="private_key_jwt", client_secret="no key")
    answer = issuer.exchange("old-refresh", 5)
    assert (answer.meaning, answer.code) == (Meaning.MISCONFIGURED, "client_key_unusable")
    assert server.asked == []


def test_revoke(server: Recorder) -> None:
    assert issuer_at(server).revoke("old-refresh", 5).is_grant
    assert server.asked[0].path == "/revoke"
    assert server.asked[0].form == {"token": "old-refresh", "token_type_hint": "refresh_token"}


def test_a_revocation_that_fails_is_no_revocation(server: Recorder) -> None:
    server.answers["/revoke"] = (503, {})
    assert issuer_at(server).revoke("old-refresh", 5).meaning is Meaning.UNAVAILABLE


@pytest.mark.parametrize("profile", [PROFILE, f"{__name__}.PROFILE"])
def test_a_profile_adds_terminal_codes_also_with_http_200(
    server: Recorder, profile: str | Profile
) -> None:
    server.answers["/token"] = (200, {"error": "bad_refresh_token"})
    answer = issuer_at(server, profile=profile).exchange("old-refresh", 5)
    assert (answer.meaning, answer.code) == (Meaning.REFUSED, "bad_refresh_token")
    assert issuer_at(server).exchange("old-refresh", 5).ambiguous


def test_an_unknown_profile_is_an_error() -> None:
    with pytest.raises(ImportError):
        OAuth2Issuer(client_id="me", token_url="https://a.example/", profile="nobody")


def test_the_toolkits_profile_says_that_the_old_access_token_dies() -> None:
    assert PROFILES["django-oauth-toolkit"].old_access_dies
    assert not PROFILES["standard"].old_access_dies


class TestChecks:
    def ids(self, **options: Any) -> list[str]:
        issuer = OAuth2Issuer(**{"client_id": "me", "client_secret": "s", **options})
        return [str(message.id).removeprefix("jwt_outbound.") for message in issuer.check("x")]

    def test_good_options(self) -> None:
        assert self.ids(token_url="https://a.example/token") == []
        assert self.ids(discovery_url="https://a.example") == []
        assert self.ids(token_url="https://a.example/", client_auth="none", client_secret="") == []

    def test_bad_ones(self) -> None:
        assert self.ids() == ["E022"]
        assert self.ids(token_url="a.example") == ["E021"]
        assert self.ids(token_url="https://a.example/", client_auth="other") == ["E022"]
        assert self.ids(token_url="https://a.example/", client_secret="") == ["E022"]


class TestDiscovery:
    WELL_KNOWN = "/realm/.well-known/openid-configuration"
    RFC_8414 = "/.well-known/oauth-authorization-server/realm"

    def metadata(self, server: Recorder, **more: Any) -> dict[str, Any]:
        return {
            "issuer": f"{server.url}/realm",
            "token_endpoint": f"{server.url}/token",
            "revocation_endpoint": f"{server.url}/revoke",
            **more,
        }

    def discovering(self, server: Recorder, url: str = "/realm") -> OAuth2Issuer:
        return OAuth2Issuer(
            client_id="me", client_secret="s3cret", discovery_url=f"{server.url}{url}"
        )

    @pytest.mark.parametrize("place", [WELL_KNOWN, RFC_8414])
    def test_both_places_and_only_once(self, server: Recorder, place: str) -> None:
        server.answers[place] = (200, self.metadata(server))
        issuer = self.discovering(server)
        assert issuer.exchange("old-refresh", 5).is_grant
        assert issuer.exchange("old-refresh", 5).is_grant
        assert issuer.revoke("old-refresh", 5).is_grant
        assert server.paths().count(place) == 1
        assert server.paths()[-3:] == ["/token", "/token", "/revoke"]

    def test_the_full_address(self, server: Recorder) -> None:
        server.answers[self.RFC_8414] = (200, self.metadata(server))
        assert self.discovering(server, self.RFC_8414).exchange("old-refresh", 5).is_grant

    @pytest.mark.parametrize(
        ("status", "content", "meaning", "code"),
        [
            (503, {}, Meaning.UNAVAILABLE, "discovery_failed"),
            (200, b"<html>", Meaning.UNAVAILABLE, "discovery_failed"),
            (404, {}, Meaning.MISCONFIGURED, "no_metadata"),
            (200, {"issuer": "https://evil.example"}, Meaning.MISCONFIGURED, "issuer_mismatch"),
        ],
    )
    def test_without_metadata_nothing_is_presented(
        self, server: Recorder, status: int, content: Any, meaning: Meaning, code: str
    ) -> None:
        server.answers[self.WELL_KNOWN] = (status, content)
        answer = self.discovering(server).exchange("old-refresh", 5)
        assert (answer.meaning, answer.code, answer.ambiguous) == (meaning, code, False)
        assert "/token" not in server.paths()

    def test_an_endpoint_that_is_missing(self, server: Recorder) -> None:
        server.answers[self.WELL_KNOWN] = (200, {"issuer": f"{server.url}/realm"})
        answer = self.discovering(server).exchange("old-refresh", 5)
        assert (answer.meaning, answer.code) == (Meaning.MISCONFIGURED, "no_token_endpoint")

    def test_an_endpoint_in_clear_over_the_network(self, server: Recorder) -> None:
        told = self.metadata(server, token_endpoint="http://issuer.example/token")
        server.answers[self.WELL_KNOWN] = (200, told)
        answer = self.discovering(server).exchange("old-refresh", 5)
        assert (answer.meaning, answer.code) == (Meaning.MISCONFIGURED, "plain_http_endpoint")
