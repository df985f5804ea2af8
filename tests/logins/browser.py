"""A person's browser, which goes to and fro between the portal and the provider."""

from typing import Any

import requests

from tests.logins.provider import Provider

BEGINNINGS = {
    "django-allauth": ("GET", "/accounts/oidc/our-login/login/"),
    "social-auth-app-django": ("POST", "/login/oidc/"),
    "mozilla-django-oidc": ("GET", "/oidc/authenticate/"),
    "Authlib": ("GET", "/begin/"),
}


class Browser:
    def __init__(self, portal: str, library: str, provider: Provider) -> None:
        self.portal = portal
        self.library = library
        self.provider = provider
        self._http = requests.Session()
        self._http.trust_env = False

    def _ask(self, method: str, url: str, **arguments: Any) -> requests.Response:
        return self._http.request(method, url, timeout=30, allow_redirects=False, **arguments)

    def log_in(self, query: str = "") -> requests.Response:
        """From the library's first page to the end of its callback."""
        method, path = BEGINNINGS[self.library]
        begun = self._ask(method, f"{self.portal}{path}{query}")
        assert begun.status_code == 302, begun.text[:2000]
        return self._ask("GET", self.provider.authorize(begun.headers["Location"]))

    def home(self) -> Any:
        return self._ask("GET", f"{self.portal}/").json()

    def generation(self) -> int | None:
        """Of the one pair, if there is one."""
        pair = self.home()["pairs"].get("billing")
        return pair["generation"] if pair else None

    def call(self) -> requests.Response:
        headers = {"Accept": "application/json"}
        return self._ask("GET", f"{self.portal}/call/", headers=headers)

    def control(self, verb: str, **arguments: Any) -> Any:
        answer = self._ask("POST", f"{self.portal}/control/{verb}/", json=arguments)
        assert answer.status_code == 200, answer.text[:2000]
        return answer.json()["said"]
