"""A browser without a screen: what the walk does at the portal and sees there."""

import html
import re
import time
from collections.abc import Callable
from typing import Any, Self

import requests
from requests.cookies import RequestsCookieJar

JSON = {"Accept": "application/json"}
PAGE = {"Accept": "text/html"}
LONGEST_WAIT = 20


class Visitor:
    """One browser's session at the portal; closed by `with`."""

    def __init__(self, portal: str, cookies: RequestsCookieJar | None = None) -> None:
        self._portal = portal
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy stands between us and this machine
        self.cookies = self._session.cookies
        self.cookies.update(cookies or {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def log_in(self, username: str, password: str) -> requests.Response:
        """Fill in the portal's login form; the answer to it, not followed."""
        self.open("/login/")
        credentials = {"username": username, "password": password}
        return self.press("/login/", headers=PAGE, **credentials)

    def open(self, path: str, **options: Any) -> requests.Response:
        return self._session.get(self._portal + path, timeout=30, **options)

    def press(self, path: str, headers: dict[str, str] = JSON, **fields: str) -> requests.Response:
        """Send a form as the page's script does, or with `PAGE` as a browser without scripts."""
        token = {"csrfmiddlewaretoken": self.cookies.get("csrftoken", "")}
        return self._session.post(
            self._portal + path,
            data=fields | token,
            headers=headers,
            timeout=60,
            allow_redirects=False,
        )

    def status(self) -> dict[str, Any]:
        answer = self.open("/status/", headers=JSON)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def wait_until(self, what: str, holds: Callable[[dict[str, Any]], bool]) -> float:
        """Watch the pair until that holds of it; returns the seconds that took."""
        start = time.monotonic()
        while not holds(self.status()["pair"]):
            if time.monotonic() - start > LONGEST_WAIT:
                raise TimeoutError(f"the pair was not {what} within {LONGEST_WAIT} s")
            time.sleep(0.1)
        return time.monotonic() - start


def messages_on(page: str) -> list[str]:
    """The sentences that Django's messages show on a page."""
    found = re.findall(r'<p class="message[^"]*"[^>]*>(.*?)</p>', page, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]+>|\s+", " ", text)).strip() for text in found]
