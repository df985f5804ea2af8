"""One set of databases and one launcher for the run; an issuer and workers for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.concurrency.databases import Databases, created
from tests.concurrency.fleet import Fleet, launched
from tests.concurrency.scene import Scene
from tests.issuer_server import StrictIssuer, serve
from tests.settings import ENGINE

JWT_START = "eyJ"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "engines(*names): makes sense on these databases only")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test of something that this run's database does not have is not part of the run."""
    others = [item for item in items if not _fits(item)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if _fits(item)]


def _fits(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("engines")
    return mark is None or ENGINE in mark.args


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    with created(ENGINE) as databases:
        yield databases


@pytest.fixture(scope="session")
def launcher(databases: Databases) -> Iterator[Fleet]:
    with launched(databases, ENGINE) as fleet:
        yield fleet


@pytest.fixture
def issuer() -> Iterator[StrictIssuer]:
    with serve() as issuer:
        yield issuer


@pytest.fixture
def scene(launcher: Fleet, issuer: StrictIssuer) -> Iterator[Scene]:
    """Workers are gone when the issuer is, and none of them has logged a token."""
    scene = Scene(launcher, issuer)
    try:
        yield scene
    finally:
        issuer.release_all()
        scene.close()
    assert JWT_START not in launcher.said()
