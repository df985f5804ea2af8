"""Tokens that would write headers of their own, and answers that would fill the memory."""

import gzip
import io
import json
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import parse_headers
from typing import Any

import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jwt_outbound.exceptions import IssuerUnavailable
from jwt_outbound.issuers import Answer, CallableIssuer, SimpleJWTIssuer, transport
from jwt_outbound.issuers.answers import read_answer
from jwt_outbound.issuers.wire import LONGEST_WORD, json_object, word
from jwt_outbound.managers import LONGEST_TOKEN
from jwt_outbound.models import TokenPair
from jwt_outbound.secret import Header, Secret
from jwt_outbound.testing import shift_clock
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import EXPIRED_AFTER, Configure

INJECTIONS = [
    "sesame\r\nX-Injected: 1",
    "sesame\nX-Injected: 1",
    "sesame\r",
    "sesame\x00",
    "sesame\x0b",
    "sesame\x85X-Injected: 1",
    "sesame\u2028X-Injected: 1",
    "sesame\u560d\u560aX-Injected: 1",
    " sesame",
    "ses ame",
    "s\u00e9same",
]
any_text = st.text(max_size=40) | st.text(alphabet="a!~ \r\n\t\x00\x7f\u0130", max_size=12)


def headers_with(token: str) -> list[tuple[str, str]]:
    """As a server reads them, when the token is sent as `http.client` sends it."""
    line = b"Authorization: " + Header(f"Bearer {token}").encode("latin-1") + b"\r\n\r\n"
    return parse_headers(io.BytesIO(line)).items()


def is_sendable(token: str) -> bool:
    try:
        return headers_with(token) == [("Authorization", f"Bearer {token}")]
    except UnicodeEncodeError:
        return False


PACK: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


@contextmanager
def answering(body: bytes, compression: str) -> Iterator[str]:
    """A server that holds its answer ready, so that only the client needs memory."""
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        f"Content-Encoding: {compression}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(65_536)
            connection.sendall(head)
            connection.sendall(body)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(10)
        assert not thread.is_alive()


def is_visible(token: str) -> bool:
    return token.isascii() and token.isprintable() and " " not in token


class TestNoTokenWritesAHeader:
    @pytest.mark.django_db
    @pytest.mark.parametrize("kind", ["access", "refresh"])
    @pytest.mark.parametrize("token", INJECTIONS)
    def test_at_the_door(self, user: User, kind: str, token: str) -> None:
        with pytest.raises(ValueError, match=f"The {kind} token has a character") as raised:
            TokenPair.objects.store(user=user, service="billing", **{kind: token})
        assert token not in str(raised.value)
        assert not TokenPair.objects.exists()

    @pytest.mark.django_db
    @settings(
        max_examples=60,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
        deadline=None,
    )
    @given(token=any_text)
    @example(token="~" * 99)
    def test_what_is_stored_is_one_header(self, user: User, token: str) -> None:
        try:
            TokenPair.objects.store(user=user, service="billing", access=token)
        except ValueError:
            assert not token or not is_visible(token)
            return
        assert is_sendable(token)

    @given(access=any_text, refresh=any_text)
    def test_nor_one_that_an_issuer_of_yours_gives(self, access: str, refresh: str) -> None:
        try:
            answer = Answer.granted(access, refresh)
        except ValueError:
            assert not (is_visible(access) and is_visible(refresh))
            return
        assert is_sendable(answer.access.reveal())
        assert answer.refresh is None or is_sendable(answer.refresh.reveal())

    @pytest.mark.parametrize("token", INJECTIONS)
    def test_nor_one_in_an_issuers_answer(self, token: str) -> None:
        for body in ({"access": token}, {"access": token, "refresh": "fine"}):
            read = read_answer(200, {}, json.dumps(body).encode(), SimpleJWTIssuer.profile)
            assert not read.is_grant
            assert read.ambiguous
        body = {"access": "fine", "refresh": token}
        read = read_answer(200, {}, json.dumps(body).encode(), SimpleJWTIssuer.profile)
        assert read.refresh is None, "the old one stays"

    @pytest.mark.django_db
    @pytest.mark.parametrize("token", INJECTIONS)
    def test_nor_one_that_a_function_returns(
        self, user: User, configure: Configure, token: str
    ) -> None:
        TokenPair.objects.store(user=user, service="billing", access="a", refresh="r", expires_in=9)
        configure(ISSUER=CallableIssuer, OPTIONS={"refresh": lambda old: token})
        shift_clock(EXPIRED_AFTER)
        with pytest.raises(IssuerUnavailable) as raised:
            fetch_valid_access_token("billing", user)
        assert raised.value.ambiguous
        assert TokenPair.objects.get().generation == 1

    def test_a_token_that_is_too_long(self) -> None:
        assert Answer.granted("x" * LONGEST_TOKEN).is_grant
        with pytest.raises(ValueError, match="64 KiB"):
            Answer.granted("x" * (LONGEST_TOKEN + 1))


class TestMemory:
    """Of any answer a bounded part is read."""

    @pytest.mark.parametrize("compression", ["identity", "gzip", "deflate"])
    def test_of_a_token_endpoint(self, compression: str) -> None:
        body = PACK[compression](b"a" * 64 * transport.LARGEST_BODY)
        with answering(body, compression) as url:
            tracemalloc.start()
            try:
                with pytest.raises(transport.Oversized):
                    transport.post(url, seconds=20, json={"refresh": "r"})
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert peak < 8 * transport.LARGEST_BODY

    def test_json_that_is_nested_without_end(self) -> None:
        for body in (b"[" * 500_000, b'{"a":' * 200_000, b"1" * 5000, b'{"access": 1e999}'):
            assert read_answer(200, {}, body, SimpleJWTIssuer.profile).ambiguous
            assert isinstance(json_object(body), dict)


class TestCodes:
    """An issuer's code goes into logs, history and messages."""

    @given(st.text() | st.integers() | st.none() | st.lists(st.text(), max_size=2))
    def test_any_code_is_a_short_word_or_none(self, value: Any) -> None:
        code = word(value)
        assert len(code) <= LONGEST_WORD
        assert code.replace("_", "").isalnum() or not code.strip("_")
        assert code.isascii()

    @pytest.mark.parametrize(
        "code", ["invalid_grant", "token_not_valid", "AADSTS50076", "E_4001", "interactionRequired"]
    )
    def test_real_ones_pass(self, code: str) -> None:
        assert word(code) == code

    @pytest.mark.parametrize(
        "code",
        [
            "9f86d081884c7d659a2feaa0c55ad015",
            "Zm9vYmFyLXNpZ25hdHVyZS1vZi1pdA",
            "eyJhbGciOiJIUzI1NiJ9",
            "two words",
            "line\nbreak",
            "x" * 65,
            "\u0130nvalid",
        ],
    )
    def test_what_looks_like_a_token_does_not(self, code: str) -> None:
        assert word(code) == ""
        assert Answer.refused(code).code == ""
        assert Answer.misconfigured(code).code == ""
        assert Answer.unavailable(ambiguous=True, code=code).code == ""

    def test_a_code_that_repeats_the_token_is_dropped(self) -> None:
        token = Secret("prefix_letterstoken_suffix")
        assert Answer.refused("letterstoken").without(token).code == ""
        assert Answer.refused("prefix").without(token).code == "prefix", "a word, by chance"
        assert Answer.refused("invalid_grant").without(token).code == "invalid_grant"
