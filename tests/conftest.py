"""What most tests need: a user, the strict issuer that serves "billing", and a clean end."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import connection
from pytest_django import Settings

from jwt_outbound import clock, conf, signals
from jwt_outbound.models import TokenPair
from jwt_outbound.rows import Pair
from jwt_outbound.testing import drain, shift_clock
from tests.issuer_server import StrictIssuer, serve

Configure = Callable[..., None]
Heard = list[tuple[str, dict[str, Any]]]

# Of the 300 seconds of a token: due for a refresh ahead; not sent any more; past its real end.
STALE_AFTER, EXPIRED_AFTER, OVER_AFTER = 255, 280, 301


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """How many processes `-n auto` is: a test waits for half its time. Against a server no more
    than three, as the widest stampede holds 72 of the 100 connections that PostgreSQL has by
    default."""
    most = 2 * (os.cpu_count() or 1)
    return most if connection.vendor == "sqlite" else min(3, most)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[Any]:
    """Before any fixture ends, the flights do that nobody waits for, and time is put back."""
    try:
        return (yield)
    finally:
        ended = drain()
        clock.move(-clock.shift())
        assert ended, "a refresh is still under way"


@pytest.fixture
def configure(settings: Settings) -> Configure:
    """Changes keys of `JWT_OUTBOUND`, or of service "billing" where they stand there alone."""

    def change(**keys: Any) -> None:
        raw = dict(settings.JWT_OUTBOUND)
        services = dict(raw["SERVICES"])
        own = {key: value for key, value in keys.items() if key not in conf.GLOBAL_KEYS}
        services["billing"] = {**services["billing"], **own}
        shared = {key: value for key, value in keys.items() if key not in own}
        settings.JWT_OUTBOUND = {**raw, "SERVICES": services, **shared}

    return change


@pytest.fixture
def issuer(configure: Configure) -> Iterator[StrictIssuer]:
    """A strict issuer, served over HTTP; service "billing" and its API are there."""
    with serve() as issuer:
        configure(BASE_URL=issuer.base_url, OPTIONS=issuer.options, ISSUER_DEADLINE=1)
        yield issuer


@pytest.fixture
def user(db: None) -> User:
    return get_user_model().objects.create_user("alice")


@pytest.fixture
def stored(user: User, issuer: StrictIssuer) -> dict[str, str]:
    """The tokens of the first pair that is stored for `user`."""
    tokens = issuer.pair_for("alice")
    TokenPair.objects.store(user=user, service="billing", **tokens)
    return tokens


@pytest.fixture
def row(user: User) -> Callable[[], Pair]:
    """`row()`: the user's pair as it stands in the table now."""

    def read() -> Pair:
        pair = TokenPair.objects.read(user_id=user.pk, service="billing").pair
        assert pair is not None
        return pair

    return read


@pytest.fixture
def later(issuer: StrictIssuer) -> Callable[[float], None]:
    """`later(300)`: here and at the issuer so many seconds have passed."""

    def move(seconds: float) -> None:
        shift_clock(seconds)
        issuer.advance(seconds)

    return move


@pytest.fixture
def heard() -> Iterator[Heard]:
    """The signals that were sent: which of the two, and its arguments."""
    noted: Heard = []

    def note_refreshed(**arguments: Any) -> None:
        noted.append(("refreshed", arguments))

    def note_failed(**arguments: Any) -> None:
        noted.append(("failed", arguments))

    signals.token_pair_refreshed.connect(note_refreshed)
    signals.token_refresh_failed.connect(note_failed)
    yield noted
    signals.token_pair_refreshed.disconnect(note_refreshed)
    signals.token_refresh_failed.disconnect(note_failed)
