"""Where the issuer's doors are; for a service's `BASE_URL` and `OPTIONS`."""

from __future__ import annotations


class Urls:
    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def base_url(self) -> str:
        return f"{self.url}/api/"

    @property
    def obtain_url(self) -> str:
        return f"{self.url}/token/"

    @property
    def refresh_url(self) -> str:
        return f"{self.url}/token/refresh/"

    @property
    def revoke_url(self) -> str:
        return f"{self.url}/token/blacklist/"

    @property
    def options(self) -> dict[str, str]:
        return {
            "obtain_url": self.obtain_url,
            "refresh_url": self.refresh_url,
            "revoke_url": self.revoke_url,
        }
