"""Any OAuth 2.0 authorization server: the refresh token grant (RFC 6749 section 6)."""

import time
import uuid
from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Final, Literal
from urllib.parse import quote_plus

import jwt
from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables

from jwt_outbound import clock
from jwt_outbound.issuers.answers import Answer, Profile
from jwt_outbound.issuers.discovery import Discovery, NotDiscovered
from jwt_outbound.issuers.http import HTTPIssuer, check_urls

ClientAuth = Literal["basic", "post", "private_key_jwt", "none"]

ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""RFC 7523 2.2."""
ASSERTION_LIFE: Final = 60

PROFILES: Final = {
    "standard": Profile(),
    "django-oauth-toolkit": Profile(old_access_dies=True),
}
"""Measured against the real servers in the tests; none is made up from documentation."""


class OAuth2Issuer(HTTPIssuer):
    """Refreshes and revokes (RFC 7009) at a standard token endpoint.

    Give `token_url` (and `revoke_url`), or `discovery_url`: the issuer's URL or that of its
    metadata (RFC 8414, OpenID discovery). `client_auth`: how the client proves itself; with
    `"private_key_jwt"` (RFC 7523) `client_secret` is the private key in PEM. `resource` (RFC
    8707): one URI or a list. `profile`: a name in `PROFILES`, a `Profile`, or its dotted path.
    """

    def __init__(
        self,
        *,
        client_id: str,
        client_secret: str = "",
        client_auth: ClientAuth = "basic",
        token_url: str | None = None,
        revoke_url: str | None = None,
        discovery_url: str | None = None,
        scope: str = "",
        audience: str = "",
        resource: str | Sequence[str] = (),
        profile: str | Profile = "standard",
        algorithm: str = "RS256",
        key_id: str | None = None,
    ) -> None:
        self._client_id, self._client_secret = client_id, client_secret
        self._client_auth, self._algorithm, self._key_id = client_auth, algorithm, key_id
        self._token_url, self._revoke_url = token_url, revoke_url
        self._discovery_url = discovery_url
        self._discovery = Discovery(discovery_url) if discovery_url else None
        self._wishes = {"scope": scope, "audience": audience, "resource": resource}
        self.profile = _profile(profile)
        self.revokes = revoke_url is not None or discovery_url is not None

    @sensitive_variables()
    def exchange(self, refresh_token: str, deadline: float) -> Answer:
        """RFC 6749 section 6."""
        body = {"grant_type": "refresh_token", "refresh_token": refresh_token, **self._wishes}
        return self._ask("token_endpoint", self._token_url, body, deadline)

    @sensitive_variables()
    def revoke(self, refresh_token: str, deadline: float) -> Answer:
        """RFC 7009; an issuer answers 200 for a token that is over already."""
        body = {"token": refresh_token, "token_type_hint": "refresh_token"}
        answer = self._ask("revocation_endpoint", self._revoke_url, body, deadline)
        return Answer.granted("") if (answer.status or 500) < 300 else answer

    def check(self, service: str) -> list[CheckMessage]:
        """The URLs must be URLs, and there must be one; the client must be able to prove itself."""
        problems = check_urls(
            service,
            token_url=self._token_url,
            revoke_url=self._revoke_url,
            discovery_url=self._discovery_url,
        )
        if not self._token_url and not self._discovery_url:
            problems.append(_error(service, "has neither a token_url nor a discovery_url"))
        if self._client_auth not in ("basic", "post", "private_key_jwt", "none"):
            problems.append(_error(service, "has an unknown client_auth"))
        elif self._client_auth != "none" and not self._client_secret:
            problems.append(_error(service, "has no client_secret for its client_auth"))
        return problems

    @sensitive_variables()
    def _ask(self, endpoint: str, url: str | None, body: dict[str, Any], deadline: float) -> Answer:
        ends_at = clock.seconds() + deadline
        if url is None:
            if self._discovery is None:
                return Answer.misconfigured(f"no_{endpoint}")
            try:
                url = self._discovery.endpoint(endpoint, deadline)
            except NotDiscovered as problem:
                if problem.passes:
                    return Answer.unavailable(ambiguous=False, code=problem.code)
                return Answer.misconfigured(problem.code)
        try:
            headers, proof = self._prove(url)
        except (jwt.PyJWTError, ValueError, TypeError):
            return Answer.misconfigured("client_key_unusable")
        fields = {name: value for name, value in {**body, **proof}.items() if value}
        left = max(0.0, ends_at - clock.seconds())
        return self._post(url, seconds=left, headers=headers, data=fields)

    @sensitive_variables()
    def _prove(self, audience: str) -> tuple[dict[str, str], dict[str, str]]:
        """Headers and fields that say who the client is (RFC 6749 2.3)."""
        match self._client_auth:
            case "basic":
                pair = f"{quote_plus(self._client_id)}:{quote_plus(self._client_secret)}"
                return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}, {}
            case "post":
                return {}, {"client_id": self._client_id, "client_secret": self._client_secret}
            case "private_key_jwt":
                return {}, {
                    "client_id": self._client_id,
                    "client_assertion_type": ASSERTION,
                    "client_assertion": self._assertion(audience),
                }
            case _:
                return {}, {"client_id": self._client_id}

    @sensitive_variables()
    def _assertion(self, audience: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": audience,
            "jti": uuid.uuid4().hex,
            "iat": now,
            "exp": now + ASSERTION_LIFE,
        }
        headers = {"kid": self._key_id} if self._key_id else None
        return jwt.encode(claims, self._client_secret, self._algorithm, headers=headers)


def _profile(given: str | Profile) -> Profile:
    if isinstance(given, Profile):
        return given
    if given in PROFILES:
        return PROFILES[given]
    found = import_string(given)
    if not isinstance(found, Profile):
        raise ValueError(f"{given} is no Profile.")
    return found


def _error(service: str, problem: str) -> CheckMessage:
    return Error(
        f"The OAuth2Issuer of service {service!r} {problem}.",
        hint="See docs/howto/oauth2.md for the OPTIONS.",
        id="jwt_outbound.E022",
    )
