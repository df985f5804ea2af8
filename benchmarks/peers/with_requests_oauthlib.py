"""requests-oauthlib's session; the row and its reading are the project's."""

import os
from typing import Any

import requests

from benchmarks.peers.peer import Call, Peer, run


class RequestsOAuthlib(Peer):
    distribution = "requests-oauthlib"
    note = (
        "`OAuth2Session` with `auto_refresh_url`, and a row of the project's own; a session, and "
        "so a connection, for each web request."
    )

    def session(self) -> Any:
        from requests_oauthlib import OAuth2Session

        from benchmarks.peers import stored_token

        os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # loopback has no TLS
        return OAuth2Session(
            "benchmark",
            token=stored_token.get(),
            auto_refresh_url=self.work["issuer"]["token"],
            auto_refresh_kwargs={"client_id": "benchmark"},
            token_updater=stored_token.keep,
        )

    def store(self, access: str, refresh: str, expires_at: float) -> None:
        from benchmarks.peers import stored_token

        token = {"access_token": access, "refresh_token": refresh, "token_type": "Bearer"}
        stored_token.put({**token, "expires_at": expires_at})

    def fresh(self, url: str) -> requests.Response:
        with self.session() as session:
            answer: requests.Response = session.get(url)
            return answer

    def kept(self, url: str) -> Call | None:
        session = self.session()
        return lambda: session.get(url)


if __name__ == "__main__":
    run(RequestsOAuthlib)
