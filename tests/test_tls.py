"""Calls and exchanges over TLS: who is trusted, how often that is read, the way through a proxy."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from urllib3.exceptions import InsecureRequestWarning

from jwt_outbound import tls
from jwt_outbound.clients import requests as own
from jwt_outbound.issuers import transport
from tests.certificates import certify

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class _Handler(BaseHTTPRequestHandler):
    """Keeps each connection open, whatever the client says of that."""

    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.clients.append(self.client_address)
        self.server.headers.append(self.headers)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
        self.close_connection = False


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.clients: list[Any] = []
        self.headers: list[Any] = []
        if context is not None:
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A handshake that the client broke off."""


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[_Server]:
    with _Server(context) as server:
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (*BUNDLES, "http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    tls._context.cache_clear()
    yield
    tls._context.cache_clear()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Where the certificate of the `server` is."""
    return tmp_path / "bundle.pem"


@pytest.fixture
def server(bundle: Path) -> Iterator[_Server]:
    with serving(certify(bundle, "localhost")) as server:
        yield server


def post(server: _Server, host: str = "localhost") -> int:
    url = f"https://{host}:{server.server_port}/token"
    return transport.post(url, seconds=10, json={"refresh": "secret"})[0]


@pytest.mark.parametrize("variable", BUNDLES)
def test_who_is_trusted_stands_in_the_environment(
    server: _Server, bundle: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(bundle))
    assert post(server) == 200


def test_a_stranger_gets_nothing(server: _Server) -> None:
    with pytest.raises(transport.NotSent):
        post(server)
    assert server.clients == []


def test_a_certificate_for_another_name_gets_nothing(
    server: _Server, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with pytest.raises(transport.NotSent):
        post(server, "127.0.0.1")
    assert server.clients == []


def test_a_bundle_that_was_replaced_holds_at_once(
    server: _Server, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    assert post(server) == 200
    trusted = bundle.rename(tmp_path / "trusted.pem")
    certify(bundle, "localhost")
    with pytest.raises(transport.NotSent):
        post(server)
    trusted.rename(bundle)
    assert post(server) == 200


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
def test_a_folder_of_certificates_is_a_bundle_too(
    server: _Server, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "certificates"
    folder.mkdir()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder))
    with pytest.raises(transport.NotSent):
        post(server)
    # OpenSSL finds a certificate by the hash of its subject.
    (folder / f"{subject_hash(bundle)}.0").write_bytes(bundle.read_bytes())
    assert post(server) == 200


def subject_hash(certificate: Path) -> str:
    command = ["openssl", "x509", "-noout", "-hash", "-in", str(certificate)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_bundle_is_read_once_for_all_connections(
    server: _Server, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    post(server)
    made = tls._context.cache_info().misses
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: post(server), range(40))) == {200}
    assert (made, tls._context.cache_info().misses) == (1, 1)
    assert len(set(server.clients)) == 41, "one connection each"


def test_a_connection_is_not_kept_though_the_issuer_keeps_it() -> None:
    with serving() as server:
        for _ in range(3):
            transport.post(f"http://127.0.0.1:{server.server_port}/", seconds=10, json={})
        assert len(set(server.clients)) == 3


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """With the adapter of all clients."""
    with requests.Session() as session:
        session.mount("https://", own._Adapter())
        yield session


class TestAClientsConnections:
    def test_trust_what_stands_in_the_environment_as_it_is_now(
        self,
        server: _Server,
        bundle: Path,
        tmp_path: Path,
        session: requests.Session,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        url = f"https://localhost:{server.server_port}/"
        with pytest.raises(requests.exceptions.SSLError):
            session.post(url, json={})
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
        assert [session.post(url, json={}).status_code for _ in range(2)] == [200, 200]
        assert len(set(server.clients)) == 1, "it is kept"
        trusted = bundle.rename(tmp_path / "trusted.pem")
        certify(bundle, "localhost")
        with pytest.raises(requests.exceptions.SSLError):
            session.post(url, json={})
        assert session.post(url, json={}, verify=str(trusted)).status_code == 200

    @pytest.mark.parametrize("kind", [str, Path, os.fsencode])
    def test_trust_nobody_else_than_a_call_says(
        self,
        server: _Server,
        bundle: Path,
        tmp_path: Path,
        session: requests.Session,
        kind: Callable[[str], Any],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        url = f"https://localhost:{server.server_port}/"
        assert session.post(url, json={}, verify=kind(str(bundle))).status_code == 200
        monkeypatch.setattr(tls, "DEFAULT_CA_BUNDLE_PATH", str(bundle))
        other = tmp_path / "other.pem"
        certify(other, "localhost")
        with pytest.raises(requests.exceptions.SSLError):
            session.post(url, json={}, verify=kind(str(other)))

    def test_do_not_verify_where_a_call_says_so_and_the_next_one_does(
        self, server: _Server, session: requests.Session
    ) -> None:
        url = f"https://localhost:{server.server_port}/"
        with pytest.warns(InsecureRequestWarning):
            assert session.post(url, json={}, verify=False).status_code == 200
        with pytest.raises(requests.exceptions.SSLError):
            session.post(url, json={})

    def test_show_a_certificate_of_their_own_to_nobody_else(
        self, server: _Server, bundle: Path, session: requests.Session
    ) -> None:
        url = f"https://localhost:{server.server_port}/"
        adapter = session.get_adapter(url)
        assert isinstance(adapter, own._Adapter)
        request = requests.Request("POST", url).prepare()
        plain = adapter.get_connection_with_tls_context(request, str(bundle))
        mine = str(bundle.with_suffix(".both.pem"))
        shown = adapter.get_connection_with_tls_context(request, str(bundle), cert=mine)
        assert isinstance(plain.conn_kw["ssl_context"], ssl.SSLContext)
        assert "ssl_context" not in shown.conn_kw
        assert session.post(url, json={}, verify=str(bundle), cert=mine).status_code == 200


class Proxy:
    """Notes the first line of what comes in; a tunnel is made to wherever is asked."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.lines: list[bytes] = []
        self.passwords: list[bytes] = []
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._meet, args=[client], daemon=True).start()

    def _meet(self, client: socket.socket) -> None:
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            self.lines.append(head.split(b"\r\n")[0])
            self.passwords += re.findall(rb"(?i)proxy-authorization: (.*)\r", head)
            method, target, _ = self.lines[-1].split()
            if method != b"CONNECT":
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                return
            port = int(target.rsplit(b":", 1)[1])
            with socket.create_connection(("127.0.0.1", port)) as issuer:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=pump, args=[issuer, client])
                back.start()
                pump(client, issuer)
                back.join()


def pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(4096):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        stack.callback(listener.shutdown, socket.SHUT_RDWR)
        proxy = Proxy(listener)
        threading.Thread(target=proxy.serve, daemon=True).start()
        yield proxy


def test_a_proxy_of_the_environment_is_asked(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    for _ in range(2):
        transport.post("http://issuer.test/token", seconds=10, json={})
    assert proxy.lines == [b"POST http://issuer.test/token HTTP/1.1"] * 2


def test_through_a_proxy_tls_is_the_issuers_own(
    server: _Server, bundle: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with pytest.raises(transport.NotSent):
        post(server)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    assert [post(server), post(server)] == [200, 200]
    assert len(proxy.lines) == 3
    assert all(line.startswith(b"CONNECT localhost:") for line in proxy.lines)


def test_the_proxys_own_password_goes_to_it_alone(
    server: _Server, bundle: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy.url.replace("//", "//gate:keeper@"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    transport.post("http://issuer.test/token", seconds=10, json={})
    assert post(server) == 200
    assert proxy.passwords == [b"Basic " + b64encode(b"gate:keeper")] * 2
    assert [headers["Proxy-Authorization"] for headers in server.headers] == [None]


@pytest.mark.parametrize(
    ("proxy_url", "code"),
    [
        ("socks5://127.0.0.1:1", "socks_proxy"),
        ("ftp://127.0.0.1:1", "invalid_proxy"),
        ("http://gate:\u20ac@127.0.0.1:1", "invalid_proxy"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_said_to_be_one(
    proxy_url: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy_url)
    with pytest.raises(transport.Unusable) as caught:
        transport.post("http://issuer.test/token", seconds=10, json={})
    assert caught.value.code == code


def test_no_proxy_goes_straight(
    server: _Server, bundle: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert (post(server), proxy.lines) == (200, [])
