"""Each kind of issuer, well and badly configured."""

from collections.abc import Iterator
from typing import Any

from jwt_outbound import issuers
from jwt_outbound.issuers import Answer, CallableIssuer, Issuer, LocalIssuer, OAuth2Issuer
from jwt_outbound.testing import FakeIssuer
from tests.hunt.situations import Scene


def tell_everything(refresh_token: str) -> Any:
    raise ValueError(f"I do not like {refresh_token}", refresh_token)


def return_nonsense(refresh_token: str) -> Any:
    return {"access": 1, "refresh": refresh_token}


class Echo(Issuer):
    """Puts the token into all that an answer can say."""

    def exchange(self, refresh_token: str, deadline: float) -> Answer:
        return Answer.unavailable(ambiguous=False, code=refresh_token.rpartition(".")[2][:64])


class Broken(Issuer):
    def __init__(self, *, client_secret: str) -> None:
        raise ValueError(f"{client_secret} is too short")

    def exchange(self, refresh_token: str, deadline: float) -> Answer:
        return Answer.refused()


CLIENT_SECRET = "a-client-secret-that-is-hunted"


def oauth2(scene: Scene) -> Iterator[dict[str, Any]]:
    scene.issuer.configure(client_id="portal", client_secret=CLIENT_SECRET)
    url = scene.issuer.refresh_url
    for client_auth in ("basic", "post", "private_key_jwt", "none"):
        yield {
            "ISSUER": OAuth2Issuer,
            "OPTIONS": {
                "token_url": url,
                "revoke_url": scene.issuer.revoke_url,
                "client_id": "portal",
                "client_secret": CLIENT_SECRET,
                "client_auth": client_auth,
                "algorithm": "HS256",
            },
        }
    nowhere = {"client_id": "portal", "client_secret": CLIENT_SECRET}
    yield {"ISSUER": OAuth2Issuer, "OPTIONS": {**nowhere, "discovery_url": url}}
    yield {"ISSUER": OAuth2Issuer, "OPTIONS": {**nowhere, "profile": "no.such.profile"}}


def simplejwt(scene: Scene) -> Iterator[dict[str, Any]]:
    yield {"ISSUER": issuers.SimpleJWTIssuer, "OPTIONS": scene.issuer.options}


def functions(scene: Scene) -> Iterator[dict[str, Any]]:
    for function in (tell_everything, return_nonsense, str, "no.such.function"):
        yield {"ISSUER": CallableIssuer, "OPTIONS": {"refresh": function}}
    yield {"ISSUER": CallableIssuer, "OPTIONS": {"refresh": lambda token: (token[::-1], token)}}
    yield {"ISSUER": Echo, "OPTIONS": {}}
    yield {"ISSUER": Broken, "OPTIONS": {"client_secret": CLIENT_SECRET}}
    yield {"ISSUER": FakeIssuer, "OPTIONS": {}}


def local(scene: Scene) -> Iterator[dict[str, Any]]:
    yield {"ISSUER": LocalIssuer, "OPTIONS": {}}


KINDS = {
    "OAuth2Issuer": oauth2,
    "SimpleJWTIssuer": simplejwt,
    "CallableIssuer": functions,
    "LocalIssuer": local,
}
