"""One host with two doors, http that redirects to https, at Unix sockets instead of 80 and 443."""

import socketserver
import ssl
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self

from tests.certificates import certify

HOST = "billing.test"


class TwoDoors:
    """What came in at which door, the `Authorization` header of each request."""

    def __init__(self, folder: Path) -> None:
        self.plain, self.tls = folder / "plain.sock", folder / "tls.sock"
        self.certificate = folder / "certificate.pem"
        self.authorizations: list[tuple[str, str | None]] = []
        context = certify(self.certificate, HOST)
        self._servers = [
            _Server(self.plain, self._note, "plain", None),
            _Server(self.tls, self._note, "tls", context),
        ]

    def _note(self, door: str, authorization: str | None) -> None:
        self.authorizations.append((door, authorization))

    def __enter__(self) -> Self:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, note: Any, door: str, context: ssl.SSLContext | None) -> None:
        self.note, self.door, self._context = note, door, context
        super().__init__(str(path), _Handler)

    def get_request(self) -> Any:
        connection, address = super().get_request()
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True)
        return connection, address


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def address_string(self) -> str:
        return ""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""

    def do_GET(self) -> None:
        self.server.note(self.server.door, self.headers["Authorization"])
        self.send_response(301 if self.server.door == "plain" else 200)
        self.send_header("Location", f"https://{HOST}{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()
