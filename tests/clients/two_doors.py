"""One host with two doors, http that redirects to https, at Unix sockets instead of 80 and 443."""

import datetime
import socketserver
import ssl
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "billing.test"


class TwoDoors:
    """What came in at which door, the `Authorization` header of each request."""

    def __init__(self, folder: Path) -> None:
        self.plain, self.tls = folder / "plain.sock", folder / "tls.sock"
        self.certificate = folder / "certificate.pem"
        self.authorizations: list[tuple[str, str | None]] = []
        context = _certify(self.certificate)
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


def _certify(path: Path) -> ssl.SSLContext:
    """A certificate of its own for the host, written to `path`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    both = path.with_suffix(".both.pem")
    both.write_bytes(private + path.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context
