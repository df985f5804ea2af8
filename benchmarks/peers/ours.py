"""The library of this project, through the same."""

import time
from typing import Any

import requests

from benchmarks.peers.peer import Call, Peer, run


class Ours(Peer):
    distribution = "jwt-outbound"
    note = "`ServiceClient`"
    apps = ("jwt_outbound",)

    def settings(self) -> dict[str, Any]:
        home, *others = self.work["base_urls"]
        service = {
            "BASE_URL": home,
            "ALLOWED_ORIGINS": others,
            "ISSUER": "jwt_outbound.issuers.OAuth2Issuer",
            "OPTIONS": {"token_url": self.work["issuer"]["token"], "client_id": "benchmark"},
        }
        return {"JWT_OUTBOUND": {"SERVICES": {"billing": service}}}

    def user(self) -> Any:
        from django.contrib.auth import get_user_model

        if not hasattr(self, "_user"):
            self._user, _ = get_user_model().objects.get_or_create(username="alice")
        return self._user

    def store(self, access: str, refresh: str, expires_at: float) -> None:
        from jwt_outbound.models import TokenPair

        TokenPair.objects.store(
            user=self.user(),
            service="billing",
            access=access,
            refresh=refresh,
            expires_in=max(0.0, expires_at - time.time()),
        )

    def fresh(self, url: str) -> requests.Response:
        from jwt_outbound.clients import ServiceClient

        with ServiceClient("billing", self.user()) as client:
            answer: requests.Response = client.get(url)
            return answer

    def kept(self, url: str) -> Call | None:
        from jwt_outbound.clients import ServiceClient

        client = ServiceClient("billing", self.user())
        return lambda: client.get(url)


if __name__ == "__main__":
    run(Ours)
