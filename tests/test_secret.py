import copy
import json
import pickle

import pytest

from jwt_outbound.secret import Secret

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
