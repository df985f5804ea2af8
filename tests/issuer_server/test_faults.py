"""Each failure does what its name says, to the token and on the wire."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import pytest
import requests

from tests.issuer_server import StrictIssuer, wire
from tests.issuer_server.faults import MODES, Fault
from tests.issuer_server.wire import json_reply

# Of a connection that ended; a time-out is none of them.
LOST = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


@pytest.fixture
def token(issuer: StrictIssuer) -> str:
    return issuer.pair_for("alice")["refresh"]


def refresh(issuer: StrictIssuer, token: str) -> requests.Response:
    return requests.post(
        issuer.refresh_url, json={"refresh": token}, timeout=10, allow_redirects=False
    )


def is_spent(issuer: StrictIssuer) -> bool:
    return bool(issuer.families("alice")[0]["issued"] == 2)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 503])
def test_a_status_leaves_the_token_good(issuer: StrictIssuer, token: str, status: int) -> None:
    issuer.fail(status, headers={"Retry-After": "7"})
    answer = refresh(issuer, token)
    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "7")
    assert refresh(issuer, token).status_code == 200
    assert issuer.reuses() == 0


def test_an_answer_of_ones_own(issuer: StrictIssuer, token: str) -> None:
    issuer.fail(403, headers={"Content-Type": "text/plain"}, body="go away")
    answer = refresh(issuer, token)
    assert (answer.status_code, answer.text) == (403, "go away")
    assert answer.headers["Content-Type"] == "text/plain"


def test_any_failure_can_come_after_the_rotation(issuer: StrictIssuer, token: str) -> None:
    issuer.fail(503, after_rotation=True)
    assert refresh(issuer, token).status_code == 503
    assert is_spent(issuer)
    assert refresh(issuer, token).status_code == 401
    assert issuer.families("alice")[0]["ended"] == "reuse"


@pytest.mark.parametrize(
    ("mode", "kind", "start"),
    [
        ("html", "text/html; charset=utf-8", b"<!doctype html>"),
        ("garbage", "application/json", b"\xff\xfe"),
        ("empty", "application/json", b""),
    ],
)
def test_nonsense_with_status_200(
    issuer: StrictIssuer, token: str, mode: str, kind: str, start: bytes
) -> None:
    issuer.fail(mode)
    answer = refresh(issuer, token)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
    assert answer.content.startswith(start)
    assert bool(answer.content) == bool(start)
    assert not is_spent(issuer)


@pytest.mark.parametrize("mode", ["huge", "huge-chunked", "bomb"])
def test_a_huge_body_is_json_of_the_size_ordered(
    issuer: StrictIssuer, token: str, mode: str
) -> None:
    issuer.fail(mode, size=300_000)
    answer = refresh(issuer, token)
    assert len(answer.json()["access"]) == 300_000
    assert ("Content-Length" in answer.headers) == (mode != "huge-chunked")
    assert (mode == "bomb") == (int(answer.headers.get("Content-Length", 300_000)) < 3_000)


def test_huge_is_50_mb_unless_told(issuer: StrictIssuer, token: str) -> None:
    issuer.fail("huge")
    with requests.post(
        issuer.refresh_url, json={"refresh": token}, timeout=10, stream=True
    ) as answer:
        assert int(answer.headers["Content-Length"]) > 50_000_000


def test_a_redirect(issuer: StrictIssuer, token: str) -> None:
    issuer.fail("redirect", location="http://elsewhere.test/token/")
    answer = refresh(issuer, token)
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://elsewhere.test/token/")


@pytest.mark.parametrize(
    ("mode", "spent"), [("drop-before", False), ("drop-after", True), ("truncate", True)]
)
def test_a_lost_answer(issuer: StrictIssuer, token: str, mode: str, spent: bool) -> None:
    issuer.fail(mode)
    with pytest.raises(LOST):
        refresh(issuer, token)
    assert is_spent(issuer) == spent
    (noted,) = issuer.presentations()
    assert (noted["fault"], noted["outcome"]) == (mode, "granted" if spent else "")
    assert refresh(issuer, token).status_code == (401 if spent else 200)


class TestDrip:
    REPLY = json_reply(200, {"access": "a"})

    @pytest.fixture(autouse=True)
    def one_second(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Answers are compared whole: their `Date` must not be that of the next second."""
        date = wire.formatdate(usegmt=True)
        monkeypatch.setattr(wire, "formatdate", lambda **_: date)

    def test_the_body_comes_a_byte_at_a_time(self) -> None:
        head, *body = Fault(mode="drip", seconds=1).deliver(self.REPLY).pieces
        assert head == (0.0, self.REPLY.head())
        assert body == [(1, bytes([byte])) for byte in self.REPLY.body]

    def test_or_all_of_it_from_the_first_header_on(self) -> None:
        pieces = list(Fault(mode="drip-headers", seconds=1).deliver(self.REPLY).pieces)
        assert pieces == [(1, bytes([byte])) for byte in self.REPLY.raw()]

    def test_slow_is_one_pause_and_then_the_answer(self) -> None:
        pieces = Fault(mode="slow", seconds=9).deliver(self.REPLY).pieces
        assert list(pieces) == [(9, self.REPLY.raw())]

    @pytest.mark.parametrize("mode", ["drip", "drip-headers", "slow"])
    def test_the_whole_answer_arrives_in_the_end(
        self, issuer: StrictIssuer, token: str, mode: str
    ) -> None:
        issuer.fail(mode, seconds=0.0001)
        assert set(refresh(issuer, token).json()) == {"access", "refresh"}
        assert is_spent(issuer)

    @pytest.mark.parametrize("mode", ["drip", "drip-headers", "slow"])
    def test_stopping_the_issuer_cuts_it_off(
        self, issuer: StrictIssuer, token: str, mode: str
    ) -> None:
        issuer.fail(mode, seconds=3600)
        issuer.hold("answer")
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(refresh, issuer, token)
            issuer.wait_inside(1, "answer")
            issuer.stop()
            with pytest.raises(LOST):
                answer.result(10)


class TestOrder:
    def test_first_ordered_first_done(self, issuer: StrictIssuer, token: str) -> None:
        issuer.fail(503, times=2)
        issuer.fail(429)
        assert [refresh(issuer, token).status_code for _ in range(4)] == [503, 503, 429, 200]

    def test_without_a_number_it_goes_on_until_healed(
        self, issuer: StrictIssuer, token: str
    ) -> None:
        issuer.fail(500, times=None)
        assert [refresh(issuer, token).status_code for _ in range(5)] == [500] * 5
        issuer.heal()
        assert refresh(issuer, token).status_code == 200

    def test_each_door_fails_for_itself(self, issuer: StrictIssuer, token: str) -> None:
        issuer.fail(503, door="api")
        issuer.fail(429, door="obtain")
        assert refresh(issuer, token).status_code == 200
        assert requests.get(issuer.base_url, timeout=10).status_code == 503
        assert requests.post(issuer.obtain_url, json={}, timeout=10).status_code == 429

    def test_an_unknown_failure_is_an_error(self, issuer: StrictIssuer) -> None:
        with pytest.raises(ValueError, match=r"no failure 'flood'; there are status,") as error:
            issuer.fail("flood")
        assert all(mode in str(error.value) for mode in MODES)


class TestGates:
    def test_held_before_the_rotation(self, issuer: StrictIssuer, token: str) -> None:
        issuer.hold()
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(refresh, issuer, token)
            issuer.wait_inside(1)
            assert not is_spent(issuer)
            issuer.release()
            assert answer.result(10).status_code == 200

    def test_held_after_the_rotation(self, issuer: StrictIssuer, token: str) -> None:
        issuer.hold("answer")
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(refresh, issuer, token)
            issuer.wait_inside(1, "answer")
            assert is_spent(issuer)
            assert not answer.done()
            issuer.release("answer")
            assert answer.result(10).status_code == 200

    def test_some_may_pass_while_the_others_wait(self, issuer: StrictIssuer) -> None:
        access = issuer.pair_for("alice")["access"]
        issuer.hold("api")
        headers = {"Authorization": f"Bearer {access}"}
        with ThreadPoolExecutor(3) as pool:
            calls = [
                pool.submit(requests.get, issuer.base_url, headers=headers, timeout=10)
                for _ in range(3)
            ]
            assert issuer.wait_inside(3, "api") == 3
            issuer.release("api", count=1)
            done, _ = wait(calls, timeout=10, return_when=FIRST_COMPLETED)
            assert len(done) == 1
            assert issuer.wait_inside(2, "api") == 2
            issuer.release("api")
            assert [call.result(10).status_code for call in calls] == [200] * 3
