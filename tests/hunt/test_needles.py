"""The hunter's eyes."""

import base64

import pytest

from tests.hunt.needles import Needles, forms_of


@pytest.mark.parametrize("number", range(len(list(forms_of(b"x" * 40)))))
def test_the_hunter_finds_each_form(number: int) -> None:
    needles, token = Needles(), "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.Zm9vYmFyLXNpZ25hdHVyZS1vZi1pdA"
    needles.add(token, "it")
    form = list(forms_of(token.rpartition(".")[2].encode()))[number]
    assert needles.found_in(b"before " + form + b" after") == {"it"}
    broken = b"\n".join(form[i : i + 1] for i in range(len(form)))
    assert needles.found_in(broken) == {"it"}
    assert needles.found_in(b"'" + form[:9] + b"'\n  '" + form[9:] + b"'") == {"it"}


def test_the_hunter_finds_a_token_inside_of_other_base64() -> None:
    needles = Needles()
    needles.add("opaque-token-of-some-length-0123456789", "it")
    for lead in range(5):
        basic = base64.b64encode(b"x" * lead + b":opaque-token-of-some-length-0123456789,")
        assert needles.found_in(b"Basic " + basic) == {"it"}


def test_the_hunter_is_not_easily_alarmed() -> None:
    needles = Needles()
    needles.add("eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.Zm9vYmFyLXNpZ25hdHVyZS1vZi1pdA", "it")
    assert needles.found_in(b"eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ " * 99) == set()
    needles.add("short", "a word")
    assert needles.found_in(b"a short word") == set()
