from collections.abc import Iterator

import pytest

from tests.issuer_server import StrictIssuer, serve


@pytest.fixture
def issuer() -> Iterator[StrictIssuer]:
    with serve() as serving:
        yield serving
