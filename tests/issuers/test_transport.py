"""An exchange ends within its deadline, whatever the other side does with the socket."""

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from urllib3.exceptions import HTTPError

from jwt_outbound import __version__
from jwt_outbound.issuers import transport
from tests.issuer_server import StrictIssuer, fingerprint, serve

WATCHDOG = 30.0
"""Seconds; only for a deadline that is not kept at all."""


@pytest.fixture
def strict() -> Iterator[StrictIssuer]:
    with serve() as issuer:
        yield issuer


def post(url: str, token: str = "token", deadline: float = 0.4) -> tuple[int, bytes]:
    """In another thread, so that a deadline that is not kept fails the test."""
    pool = ThreadPoolExecutor(1)
    try:
        job = pool.submit(transport.post, url, seconds=deadline, json={"refresh": token})
        status, _, body = job.result(WATCHDOG)
    finally:
        pool.shutdown(wait=False)
    return status, body


@contextmanager
def deaf_host(address: str, port: int = 0) -> Iterator[int]:
    """Listens, but its queue is full: the kernel lets further connections wait for ever."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextmanager
def silent_host() -> Iterator[int]:
    """Accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as listener:
        yield listener.getsockname()[1]


def test_an_answer_is_returned_whole(strict: StrictIssuer) -> None:
    status, body = post(strict.refresh_url, strict.pair_for("alice")["refresh"], deadline=5)
    assert status == 200
    assert set(json.loads(body)) == {"access", "refresh"}
    headers = strict.requests()[0]["headers"]
    assert headers["connection"] == "close"
    assert headers["user-agent"] == f"jwt-outbound/{__version__}"


@pytest.mark.parametrize("mode", ["drip", "drip-headers", "slow"])
def test_a_byte_now_and_then_does_not_prolong_it(strict: StrictIssuer, mode: str) -> None:
    strict.fail(mode, seconds=0.1 if mode != "slow" else 60)
    with pytest.raises((HTTPError, OSError)):
        post(strict.refresh_url, strict.pair_for("alice")["refresh"])
    assert strict.families("alice")[0]["issued"] == 2, "it had been rotated: ambiguous"


def test_silence_ends_it() -> None:
    with silent_host() as port, pytest.raises((HTTPError, OSError)) as caught:
        post(f"http://127.0.0.1:{port}/")
    assert not isinstance(caught.value, transport.NotSent)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_without_any_time_left_nothing_is_sent(strict: StrictIssuer, seconds: float) -> None:
    with pytest.raises(transport.NotSent):
        post(strict.refresh_url, deadline=seconds)
    assert strict.requests() == []


def test_a_name_in_the_url_is_not_a_password(strict: StrictIssuer) -> None:
    with pytest.raises(transport.Unusable):
        post(strict.refresh_url.replace("//", "//somebody:else@"))
    assert strict.requests() == []


def test_a_tls_handshake_that_nobody_answers_has_sent_nothing() -> None:
    with silent_host() as port, pytest.raises(transport.NotSent):
        post(f"https://127.0.0.1:{port}/")


def test_a_connection_that_nobody_takes_has_sent_nothing() -> None:
    with deaf_host("127.0.0.1") as port, pytest.raises(transport.NotSent):
        post(f"http://127.0.0.1:{port}/")


def test_many_addresses_share_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with deaf_host("127.0.0.1") as port:
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address] * 200)
        with pytest.raises(transport.NotSent):
            post(f"http://many.test:{port}/")


@pytest.mark.parametrize("port", [1, 0])
def test_a_refused_connection_has_sent_nothing(port: int) -> None:
    with pytest.raises(transport.NotSent):
        post(f"http://127.0.0.1:{port}/")


def test_an_unknown_host_has_got_nothing() -> None:
    with pytest.raises(transport.NotSent):
        post("http://no-such-host.invalid/")


def test_tls_that_the_other_side_does_not_speak_has_sent_nothing(strict: StrictIssuer) -> None:
    with pytest.raises(transport.NotSent):
        post(strict.refresh_url.replace("http:", "https:"), deadline=5)
    assert strict.presentations() == []


@pytest.mark.parametrize("mode", ["huge", "huge-chunked", "bomb"])
def test_a_body_of_50_megabytes_is_not_read_on(strict: StrictIssuer, mode: str) -> None:
    strict.fail(mode)
    with pytest.raises(transport.Oversized):
        post(strict.refresh_url, deadline=10)


@pytest.mark.parametrize("mode", ["drop-before", "drop-after", "truncate"])
def test_a_connection_that_breaks_is_the_networks_own_error(
    strict: StrictIssuer, mode: str
) -> None:
    strict.fail(mode)
    with pytest.raises((HTTPError, OSError)) as caught:
        post(strict.refresh_url, strict.pair_for("alice")["refresh"], deadline=5)
    assert not isinstance(caught.value, transport.NotSent)
    assert len(strict.presentations()) == 1, "sent once, and not again"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer(strict: StrictIssuer, status: int) -> None:
    with serve() as elsewhere:
        strict.fail(status, headers={"Location": elsewhere.refresh_url})
        assert post(strict.refresh_url, deadline=5)[0] == status
        assert elsewhere.requests() == []


@pytest.mark.parametrize("url", ["", "billing", "ftp://billing/", "http://", "http://[::1/"])
def test_what_is_no_url_says_so(url: str) -> None:
    with pytest.raises(transport.Unusable):
        transport.post(url, seconds=1, json={})


def test_netrc_adds_nothing(
    strict: StrictIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    post(strict.refresh_url, deadline=5)
    assert strict.requests()[0]["scheme"] == ""


def test_threads_do_not_share_a_connection(strict: StrictIssuer) -> None:
    tokens = [strict.pair_for(name)["refresh"] for name in ("alice", "bob", "carol", "dave")]
    strict.hold(until=len(tokens))
    answers: dict[str, bytes] = {}

    def ask(token: str) -> None:
        answers[token] = transport.post(strict.refresh_url, seconds=10, json={"refresh": token})[2]

    threads = [threading.Thread(target=ask, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WATCHDOG)
    assert len({request["client"] for request in strict.requests()}) == len(tokens)
    seen = {each["fingerprint"]: each["user"] for each in strict.presentations()}
    assert {seen[fingerprint(token)] for token in answers} == {"alice", "bob", "carol", "dave"}
