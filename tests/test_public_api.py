"""The names that projects import, their signatures and their tree: changing one is a decision."""

import inspect
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import requests
from django.core.exceptions import ImproperlyConfigured
from django.dispatch import Signal
from django.utils.module_loading import import_string
from requests.auth import AuthBase

from jwt_outbound import exceptions
from jwt_outbound.clients import ServiceClient, TokenPairAuth
from jwt_outbound.exceptions import ForeignOrigin, JWTOutboundError, ServiceNotConfigured
from jwt_outbound.issuers import Issuer
from jwt_outbound.models import TokenPair
from jwt_outbound.testing import FakeIssuer

SIGNATURES = {
    "tokens.fetch_valid_access_token": "service, user, min_validity=0, rejected=None",
    "tokens.afetch_valid_access_token": "service, user, min_validity=0, rejected=None",
    "clients.ServiceClient": "service, user",
    "clients.TokenPairAuth": "service, user",
    "clients.httpx.TokenPairAuth.__init__": "self, service, user",
    "clients.gql.transport": "service, user, url='', *, codes=('UNAUTHENTICATED',)",
    "clients.gql.async_transport": "service, user, url='', *, codes=('UNAUTHENTICATED',)",
    "issuers.SimpleJWTIssuer": (
        "*, refresh_url, obtain_url=None, revoke_url=None, username_field='username'"
    ),
    "issuers.CallableIssuer": "*, refresh=None, obtain=None",
    "issuers.Answer.granted": "access, refresh=None, *, expires_in=None, **more",
    "issuers.Answer.refused": "code='invalid_grant', **more",
    "issuers.Answer.misconfigured": "code='', **more",
    "issuers.Answer.unavailable": "*, ambiguous, code='', **more",
    "refresh_ahead.refresh_if_due": "service, user_id",
    "runners.celery.enqueue": "service, user_id",
    "runners.tasks.enqueue": "service, user_id",
    "asgi.finish_flights": "application",
    "testing.FakeIssuer": "*, lifetime=300, refresh_lifetime=86400, rotates=True",
    "testing.shift_clock": "seconds",
    "testing.drain": "timeout=30",
}
METHODS = {
    TokenPair.objects.store: "*, user, service, access='', refresh='', expires_in=None",
    TokenPair.objects.obtain: "*, user, service, username, password",
    TokenPair.objects.revoke: "*, user, service",
    ServiceClient.fetch_valid_access_token: "self, min_validity=0",
    Issuer.exchange: "self, refresh_token, deadline",
    Issuer.obtain: "self, *, username, password, deadline",
    Issuer.first_pair: "self, user, deadline",
    Issuer.revoke: "self, refresh_token, deadline",
    Issuer.check: "self, service",
    FakeIssuer.serving: "self, service",
    FakeIssuer.pair_for: "self, user, *, service=None",
    FakeIssuer.expire: "self, user, *, service=None",
    FakeIssuer.refuse: "self, user",
    FakeIssuer.fail: "self, times=1, status=503, *, headers=None, body=b''",
}
CLASSES = [
    "backends.TokenObtainBackend",
    "middleware.OutboundMiddleware",
    "routers.TokenRouter",
    "issuers.OAuth2Issuer",
    "issuers.LocalIssuer",
]
TREE = """
JWTOutboundError
    LoginRequired
        TokenPairNotFound
        RefreshTokenRefused
        RefreshTokenExpired
        CredentialsRefused
    TemporarilyUnavailable
        IssuerUnavailable
        IssuerMisconfigured
        RefreshInProgress
        TokenStoreUnavailable
        TokenPairUnreadable
    ForeignOrigin
"""


def signature(function: Callable[..., Any]) -> str:
    """Names and defaults, without annotations."""
    plain = inspect.signature(function)
    parameters = [each.replace(annotation=each.empty) for each in plain.parameters.values()]
    bare = plain.replace(parameters=parameters, return_annotation=plain.empty)
    return str(bare).removeprefix("(").removesuffix(")")


@pytest.mark.parametrize("name", SIGNATURES)
def test_each_name_has_its_signature(name: str) -> None:
    assert signature(_find(name)) == SIGNATURES[name]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__qualname__)
def test_each_method_has_its_signature(method: Callable[..., Any]) -> None:
    assert signature(method) == METHODS[method]


@pytest.mark.parametrize("name", CLASSES)
def test_what_settings_name_is_there(name: str) -> None:
    assert inspect.isclass(import_string(f"jwt_outbound.{name}"))


def test_the_urls_have_a_page_to_connect_at() -> None:
    urls = import_module("jwt_outbound.urls")
    assert urls.app_name == "jwt_outbound"
    assert [pattern.name for pattern in urls.urlpatterns] == ["connect"]


@pytest.mark.parametrize("name", ["token_pair_refreshed", "token_refresh_failed"])
def test_the_signals_are_signals(name: str) -> None:
    assert isinstance(import_string(f"jwt_outbound.signals.{name}"), Signal)


def test_what_is_awaited_is_said_by_its_name() -> None:
    assert inspect.iscoroutinefunction(_find("tokens.afetch_valid_access_token"))
    assert not inspect.iscoroutinefunction(_find("tokens.fetch_valid_access_token"))


def test_the_client_is_a_session_and_its_auth_is_anybodys() -> None:
    assert issubclass(ServiceClient, requests.Session)
    assert issubclass(TokenPairAuth, AuthBase)
    assert hasattr(ServiceClient, "__enter__")


def test_the_tree_of_errors_is_that_of_the_docs() -> None:
    def drawn(kind: type[BaseException], depth: int = 0) -> list[str]:
        children = [k for k in kind.__subclasses__() if k.__module__ == exceptions.__name__]
        below = [line for child in children for line in drawn(child, depth + 1)]
        return [" " * 4 * depth + kind.__name__, *below]

    assert drawn(JWTOutboundError) == TREE.strip().splitlines()
    for name in TREE.split():
        assert name in (exceptions.__doc__ or "")


def test_two_of_them_are_also_what_python_and_django_call_them() -> None:
    assert issubclass(ForeignOrigin, ValueError)
    assert issubclass(ServiceNotConfigured, ImproperlyConfigured)


def test_the_other_http_libraries_are_imported_by_nobody_but_their_users() -> None:
    program = """
import sys
import django
django.setup()
import jwt_outbound.clients, jwt_outbound.middleware, jwt_outbound.testing, jwt_outbound.tokens
sys.exit(bool({"httpx", "httpx2", "gql"} & set(sys.modules)))
"""
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, timeout=60)
    assert done.returncode == 0


def _find(name: str) -> Any:
    found: Any = import_module(f"jwt_outbound.{name.split('.')[0]}")
    for part in name.split(".")[1:]:
        try:
            found = getattr(found, part)
        except AttributeError:
            found = import_module(f"{found.__name__}.{part}")
    return found
