"""An OpenID provider over real HTTP, with the API that takes its access tokens.

Single-use codes bound to PKCE, single-use refresh tokens, signed ID tokens; opaque tokens, all of
which begin with `MARK`.
"""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

CLIENT = ("portal", "secret of portal")
MARK = "tok-"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
Form = dict[str, str]
Reply = tuple[int, Any]


@dataclass
class Provider:
    url: str = ""
    lifetime: int = 300
    gives_refresh: bool = True
    email_verified: bool = True
    person: str = "alice"
    """Who sits at the browser."""
    issued: list[tuple[str, str]] = field(default_factory=list)
    """The pairs, oldest first."""
    refreshes: list[str] = field(default_factory=list)
    """Refresh tokens as they were presented."""
    _codes: dict[str, Form] = field(default_factory=dict)
    _good: dict[str, str] = field(default_factory=dict)
    """Tokens that work, and whose they are."""
    _numbers: Iterator[int] = field(default_factory=count)

    def authorize(self, location: str) -> str:
        """The user agrees: where the browser goes to, from where the library has sent it."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert location.startswith(f"{self.url}/authorize?"), location
        assert "offline_access" in asked["scope"].split()
        code = f"code-{next(self._numbers)}"
        self._codes[code] = {**asked, "person": self.person}
        separator = "&" if "?" in asked["redirect_uri"] else "?"
        query = urlencode({"code": code, "state": asked["state"]})
        return f"{asked['redirect_uri']}{separator}{query}"

    def forget(self) -> None:
        """All logins at the provider are over."""
        self._good.clear()

    def answer(self, method: str, path: str, form: Form, authorization: str) -> Reply:
        doors: dict[tuple[str, str], Callable[[], Reply]] = {
            ("GET", "/.well-known/openid-configuration"): self._metadata,
            ("GET", "/jwks"): self._jwks,
            ("POST", "/token"): lambda: self._token(form, authorization),
            ("GET", "/userinfo"): lambda: self._userinfo(authorization),
            ("GET", "/api/me/"): lambda: self._userinfo(authorization),
        }
        return doors.get((method, path), lambda: (404, {}))()

    def _metadata(self) -> Reply:
        return 200, {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
        }

    def _jwks(self) -> Reply:
        public = RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
        return 200, {"keys": [{**public, "kid": "1", "use": "sig", "alg": "RS256"}]}

    def _userinfo(self, authorization: str) -> Reply:
        person = self._good.get(authorization.removeprefix("Bearer "))
        if person is None or not authorization.startswith("Bearer "):
            return 401, {"detail": "no"}
        return 200, self._claims(person)

    def _claims(self, person: str) -> dict[str, Any]:
        email = f"{person}@example.com"
        return {"sub": person, "email": email, "email_verified": self.email_verified}

    def _token(self, form: Form, authorization: str) -> Reply:
        if not _is_our_client(form, authorization):
            return 401, {"error": "invalid_client"}
        if form["grant_type"] == "refresh_token":
            self.refreshes.append(form["refresh_token"])
            person = self._good.pop(form["refresh_token"], None)
            return self._grant(person) if person else (400, {"error": "invalid_grant"})
        asked = self._codes.pop(form["code"], None)
        if asked is None or not _proves(asked, form):
            return 400, {"error": "invalid_grant"}
        status, said = self._grant(asked["person"])
        return status, {**said, "id_token": self._id_token(asked)}

    def _grant(self, person: str) -> Reply:
        number = next(self._numbers)
        access = f"{MARK}access-{number}"
        refresh = f"{MARK}refresh-{number}" if self.gives_refresh else ""
        self.issued.append((access, refresh))
        said = {"access_token": access, "token_type": "Bearer", "expires_in": self.lifetime}
        self._good[access] = person
        if refresh:
            self._good[refresh] = person
            said["refresh_token"] = refresh
        return 200, said

    def _id_token(self, asked: Form) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT[0], "iat": now, "exp": now + 300}
        if "nonce" in asked:
            claims["nonce"] = asked["nonce"]
        claims.update(self._claims(asked["person"]))
        return jwt.encode(claims, KEY, "RS256", headers={"kid": "1"})


def _is_our_client(form: Form, authorization: str) -> bool:
    if authorization.startswith("Basic "):
        given = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        return given.replace("%20", "+").replace("+", " ") == ":".join(CLIENT)
    return (form.get("client_id"), form.get("client_secret")) == CLIENT


def _proves(asked: Form, form: Form) -> bool:
    """RFC 7636 4.6, and the same redirect URI as before."""
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return asked["code_challenge"] == challenge and asked["redirect_uri"] == form["redirect_uri"]


@contextmanager
def serving() -> Iterator[Provider]:
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            path, authorization = urlsplit(self.path).path, self.headers.get("Authorization", "")
            status, said = provider.answer(self.command, path, form, authorization)
            raw = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = reply  # noqa: N815 - the names that http.server looks for

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        thread.start()
        yield provider
        server.shutdown()
        thread.join()
