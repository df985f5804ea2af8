"""django-esi's token row; it is made for one issuer, of whose tokens it asks that one's keys."""

import datetime as dt
from typing import Any

import requests

from benchmarks.peers.peer import Peer, run


class DjangoEsi(Peer):
    distribution = "django-esi"
    note = (
        "its `Token` and `valid_access_token()`; the GET is a kept `requests.Session`'s, since its "
        "own client speaks to one API alone. The check of a new token's signature with that "
        "issuer's keys is left out. It has no token in memory."
    )
    apps = ("esi",)

    def settings(self) -> dict[str, Any]:
        return {
            "ESI_SSO_CLIENT_ID": "benchmark",
            "ESI_SSO_CLIENT_SECRET": "secret",
            "ESI_SSO_CALLBACK_URL": "http://127.0.0.1/callback",
            "ESI_CODE_EXCHANGE_URL": self.work["issuer"]["token"],
            "ESI_USER_CONTACT_EMAIL": "nobody@example.com",
            "ESI_TOKEN_VALID_DURATION": 3600,
        }

    def store(self, access: str, refresh: str, expires_at: float) -> None:
        from esi.managers import TokenManager
        from esi.models import Token

        self._session = requests.Session()
        TokenManager.validate_access_token = staticmethod(lambda token: None)
        Token.objects.all().delete()
        row = Token.objects.create(
            pk=1,
            access_token=access,
            refresh_token=refresh,
            character_id=1,
            character_name="alice",
            character_owner_hash="hash",
        )
        made = dt.datetime.fromtimestamp(expires_at - 3600, tz=dt.UTC)
        Token.objects.filter(pk=row.pk).update(created=made)

    def fresh(self, url: str) -> requests.Response:
        from esi.models import Token

        access = Token.objects.get(pk=1).valid_access_token()
        return self._session.get(url, headers={"Authorization": f"Bearer {access}"})


if __name__ == "__main__":
    run(DjangoEsi)
