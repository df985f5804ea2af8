"""docs/promises.md names tests: they exist, and no promise is without one."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "promises.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[f"{p}::{n}" for p, n in NAMED])
def test_a_named_test_exists(path: str, name: str) -> None:
    source = (ROOT / path).read_text()
    assert re.search(rf"^ *(async )?def {name or 'test_'}", source, re.MULTILINE)


@pytest.mark.parametrize("number", range(1, 9))
def test_each_promise_names_its_tests(number: int) -> None:
    section = re.search(rf"^## P{number}\..*?(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
    assert section is not None
    assert re.search(r"^- `tests/", section[0], re.MULTILINE)
