"""A second service, and the user's own pair in use."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from jwt_outbound.testing import drain
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import Configure
from tests.issuer_server import StrictIssuer, serve


@pytest.fixture
def crm(issuer: StrictIssuer, configure: Configure, settings: Settings) -> Iterator[StrictIssuer]:
    """The issuer of service "crm", which is asked before "billing"."""
    with serve() as other:
        raw = settings.JWT_OUTBOUND
        billing = raw["SERVICES"]["billing"]
        own = {"BASE_URL": other.base_url, "OPTIONS": other.options}
        services = {"crm": {**billing, **own}, "billing": billing}
        settings.JWT_OUTBOUND = {**raw, "SERVICES": services}
        yield other


@pytest.fixture
def in_use(user: User, stored: dict[str, str]) -> dict[str, str]:
    """The stored pair, after somebody has asked for its token."""
    assert fetch_valid_access_token("billing", user) == stored["access"]
    assert drain()
    return stored
