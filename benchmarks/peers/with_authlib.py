"""Authlib's Django client; the row and its reading are the project's."""

from typing import Any

import requests

from benchmarks.peers.peer import Call, Peer, run


class Authlib(Peer):
    distribution = "Authlib"
    note = (
        "its Django client, with a row of the project's own; it makes a session, and so a "
        "connection, for each call. Kept: its `OAuth2Session`."
    )

    def client(self) -> Any:
        from authlib.integrations.django_client import OAuth

        from benchmarks.peers import stored_token

        if not hasattr(self, "_client"):
            self._client = OAuth().register(
                "billing",
                client_id="benchmark",
                client_kwargs={"token_endpoint_auth_method": "none"},
                access_token_url=self.work["issuer"]["token"],
                fetch_token=lambda request: stored_token.get(),
                update_token=lambda token, **old: stored_token.keep(token),
            )
        return self._client

    def store(self, access: str, refresh: str, expires_at: float) -> None:
        from benchmarks.peers import stored_token

        token = {"access_token": access, "refresh_token": refresh, "token_type": "Bearer"}
        stored_token.put({**token, "expires_at": int(expires_at)})

    def fresh(self, url: str) -> requests.Response:
        answer: requests.Response = self.client().get(url, request=object())
        return answer

    def kept(self, url: str) -> Call | None:
        from authlib.integrations.requests_client import OAuth2Session

        from benchmarks.peers import stored_token

        session = OAuth2Session("benchmark", token=stored_token.get())
        return lambda: session.get(url)


if __name__ == "__main__":
    run(Authlib)
