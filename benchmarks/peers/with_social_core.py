"""social-core with its Django storage: a login library that also keeps the tokens of a login."""

from typing import Any

import requests
from social_core.backends.oauth import BaseOAuth2

from benchmarks.peers.peer import LIFETIME, Peer, run


class Billing(BaseOAuth2):
    """The issuer, in social-core's words."""

    name = "billing"
    REFRESH_TOKEN_METHOD = "POST"
    ACCESS_TOKEN_URL = ""
    EXTRA_DATA = [("refresh_token", "refresh_token", True), ("expires_in", "expires_in")]

    def refresh_token_url(self) -> str:
        url: str = self.setting("TOKEN_ENDPOINT")
        return url


class SocialCore(Peer):
    distribution = "social-auth-core"
    note = (
        "`UserSocialAuth.get_access_token()`; the GET is a kept `requests.Session`'s, since it has "
        "no client. It has no token in memory."
    )
    apps = ("social_django",)

    def settings(self) -> dict[str, Any]:
        return {
            "AUTHENTICATION_BACKENDS": ["benchmarks.peers.with_social_core.Billing"],
            "SOCIAL_AUTH_BILLING_KEY": "benchmark",
            "SOCIAL_AUTH_BILLING_SECRET": "secret",
            "SOCIAL_AUTH_BILLING_TOKEN_ENDPOINT": self.work["issuer"]["token"],
        }

    def store(self, access: str, refresh: str, expires_at: float) -> None:
        from django.contrib.auth import get_user_model
        from social_django.models import UserSocialAuth

        self._session = requests.Session()
        user, _ = get_user_model().objects.get_or_create(username="alice")
        auth_time = int(expires_at - LIFETIME)
        extra = {"access_token": access, "refresh_token": refresh, "auth_time": auth_time}
        row = {"user": user, "extra_data": {**extra, "expires": LIFETIME, "expires_in": LIFETIME}}
        UserSocialAuth.objects.update_or_create(provider="billing", uid="alice", defaults=row)

    def fresh(self, url: str) -> requests.Response:
        from social_django.models import UserSocialAuth
        from social_django.utils import load_strategy

        row = UserSocialAuth.objects.get(provider="billing", uid="alice")
        access = row.get_access_token(load_strategy())
        return self._session.get(url, headers={"Authorization": f"Bearer {access}"})


if __name__ == "__main__":
    run(SocialCore)
