import copy
import json
import pickle
import pprint

import httpx
import pytest
import requests

from jwt_outbound.secret import Header, Secret

TOKEN = "eyJhbGciOiJIUzI1NiJ9.sesame.signature"


def test_it_gives_the_token_away_only_when_asked() -> None:
    secret = Secret(TOKEN)
    assert secret.reveal() == TOKEN
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>99}",
        f"{secret!r} {secret!s}",
    ]
    shown += [str([secret]), repr({"token": secret})]
    assert [text for text in shown if "sesame" in text] == []


def test_an_empty_one_says_so() -> None:
    assert repr(Secret("")) == "<Secret: empty>"
    assert not Secret("")
    assert Secret(TOKEN)


def test_it_compares_by_value() -> None:
    assert Secret(TOKEN) == Secret("".join(TOKEN))
    assert Secret(TOKEN) != Secret("other")
    assert Secret(TOKEN) != TOKEN


def test_it_is_no_key_of_a_dict() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Secret(TOKEN))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_never_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="pass the user's id") as raised:
        pickle.dumps({"token": Secret(TOKEN)}, protocol)
    assert "sesame" not in str(raised.value)


def test_it_is_never_copied_or_made_json() -> None:
    with pytest.raises(TypeError):
        copy.deepcopy(Secret(TOKEN))
    with pytest.raises(TypeError):
        json.dumps(Secret(TOKEN))


def test_it_holds_nothing_else() -> None:
    with pytest.raises(AttributeError):
        Secret(TOKEN).note = "x"  # type: ignore[attr-defined]


HEADER = f"Bearer {TOKEN}"


def test_a_header_is_text_to_whoever_sends_it() -> None:
    header = Header(HEADER)
    assert header == HEADER
    assert isinstance(header, str)
    assert hash(header) == hash(HEADER)
    assert header.encode("latin-1") == HEADER.encode()
    assert isinstance(header.encode(), bytes)
    assert b": ".join([b"Authorization", header.encode()]).endswith(b".signature")


def test_a_header_does_not_show_itself() -> None:
    request = requests.Request("GET", "https://billing.example/").prepare()
    request.headers["Authorization"] = Header(HEADER)
    headers = httpx.Headers({"Accept": "*/*"})
    headers["Authorization"] = Header(HEADER)
    for shown in (request.headers, dict(request.headers), headers, headers.raw):
        assert "sesame" not in repr(shown)
        assert "sesame" not in pprint.pformat(shown)
        assert "<Secret>" in repr(shown) or "[secure]" in repr(shown)


@pytest.mark.parametrize("value", [Header(HEADER), Header(HEADER).encode()])
def test_a_header_is_pickled_without_its_token_and_copied_with_it(value: str | bytes) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        pickled = pickle.dumps({"Authorization": value}, protocol)
        assert b"sesame" not in pickled
        assert pickle.loads(pickled)["Authorization"] in ("<Secret>", b"<Secret>")  # noqa: S301
    assert copy.copy(value) == copy.deepcopy(value) == value


def test_a_response_can_be_cached_without_its_token() -> None:
    response = requests.Response()
    response.request = requests.Request("GET", "https://billing.example/").prepare()
    response.request.headers["Authorization"] = Header(HEADER)
    assert b"sesame" not in pickle.dumps(response)
    sent = httpx.Request("GET", "https://billing.example/")
    sent.headers["Authorization"] = Header(HEADER)
    assert b"sesame" not in pickle.dumps(httpx.Response(200, request=sent))
