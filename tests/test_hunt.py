"""P6: recognisable secrets go through every feature; then every byte that came out is searched.

What is new is hunted without being named: pages, admin pages and their actions, commands, signals,
issuers, failures of the issuer and tables are walked, and a new client fails the hunt until
`hunt/drivers.py` can call by it.
"""

import base64
import http.client
import logging
from collections.abc import Iterator
from typing import Any

import django
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.log import AdminEmailHandler
from pytest_django import Settings

from jwt_outbound import issuers
from jwt_outbound.issuers import Issuer
from jwt_outbound.models import TokenPair
from jwt_outbound.secret import Secret
from jwt_outbound.testing import drain
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import EXPIRED_AFTER, Configure
from tests.hunt import walks
from tests.hunt.drivers import DRIVERS, public_ways
from tests.hunt.hunting import FOREIGN_SESSIONS, Hunt, listening, obtain_and_revoke, plant
from tests.hunt.kinds import CLIENT_SECRET, KINDS
from tests.hunt.needles import secrets_in
from tests.hunt.outlets import collect_at_rest, finished_spans, listen_for_spans
from tests.hunt.situations import (
    CALLS,
    HUNTED_KEY,
    NEARLY_A_KEY,
    PASSWORD,
    REFRESHES,
    UNSENDABLE,
    Scene,
    in_each,
)
from tests.issuer_server import StrictIssuer

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "tokens"])


@pytest.fixture
def hunt(
    transactional_db: None,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    mailoutbox: list[Any],
) -> Iterator[Hunt]:
    """Everything that is wrapped as a secret is one; all that comes out is kept, and searched."""
    hunt = Hunt()
    listen_for_spans()
    hunt.note_all_secrets(monkeypatch)
    settings.ROOT_URLCONF = "tests.hunt.site"
    settings.SECRET_KEY = "Zx81Qm-Wd93Lk-Pt47Vb-Hn62Gf"
    # Django 6.0 wants addresses, and warns of the pairs that 5.2 insists on.
    root = "root@example.org"
    settings.ADMINS = [root] if django.VERSION >= (6, 0) else [("root", root)]
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
    settings.ALLOWED_HOSTS = ["*"]
    hunted = {HUNTED_KEY: "a key", NEARLY_A_KEY: "a mistyped key", PASSWORD: "a password"}
    for secret, what in hunted.items():
        hunt.needles.add(secret, what)
    hunt.needles.add(settings.SECRET_KEY, "SECRET_KEY")
    mailer = AdminEmailHandler(include_html=True)
    logging.getLogger("django.request").addHandler(mailer)
    with listening(hunt.outlets, monkeypatch):
        yield hunt
        drain()
    logging.getLogger("django.request").removeHandler(mailer)
    collect_at_rest(hunt.outlets)
    hunt.outlets.note("spans", *finished_spans())
    hunt.outlets.note("standard output and error", *capfd.readouterr())
    for secret in secrets_in(settings.JWT_OUTBOUND):
        hunt.needles.add(secret, "a setting")
    assert len(hunt.needles) > 4, "no token came by: this hunted nothing"
    assert hunt.outlets.leaks(hunt.needles) == {}


@pytest.fixture
def scene(hunt: Hunt, issuer: StrictIssuer, user: User, configure: Configure) -> Scene:
    issuer.add_user("alice", PASSWORD)
    user.is_staff = user.is_superuser = True
    user.save()
    scene = Scene(issuer, configure, user)
    scene.begin()
    return scene


@pytest.fixture
def client(scene: Scene) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(scene.user)
    return client


def test_every_public_way_to_call_is_hunted() -> None:
    assert public_ways() == {way for way in DRIVERS if way.startswith("clients.")}


@pytest.mark.parametrize("way", DRIVERS)
def test_a_call_in_every_situation(
    hunt: Hunt, scene: Scene, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way in FOREIGN_SESSIONS:
        # It prints all headers, and only a connection of our own can be told not to.
        monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 0)
    in_each(scene, CALLS, lambda name: hunt.attempt(way, scene.user, scene.path))


def test_every_failure_of_the_issuer(hunt: Hunt, scene: Scene) -> None:
    in_each(
        scene,
        REFRESHES,
        lambda name: hunt.attempt("clients.ServiceClient", scene.user, scene.path),
    )


@pytest.mark.parametrize("debug", [True, False], ids=["DEBUG", "error mails"])
def test_every_page_of_a_site(
    hunt: Hunt,
    scene: Scene,
    client: Client,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    debug: bool,
) -> None:
    settings.DEBUG = debug
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 0)
    hunt.needles.add(UNSENDABLE, "a token that is not stored")
    addresses = list(walks.addresses())
    for address in addresses:
        # The pages that call in every way show the most when nobody answers them.
        if not any(way in address for way in DRIVERS):
            walks.visit(hunt.outlets, client, "get", address)
    scene.configure(BASE_URL="http://127.0.0.1:1/")
    for address in addresses:
        walks.visit(hunt.outlets, client, "get", address)


@pytest.mark.parametrize("service", ["up", "down", "broken"])
def test_logging_in_at_the_issuer(
    hunt: Hunt, scene: Scene, settings: Settings, service: str
) -> None:
    settings.AUTHENTICATION_BACKENDS = ["jwt_outbound.backends.TokenObtainBackend"]
    if service == "down":
        scene.issuer.fail(503, door="obtain", times=None)
    if service == "broken":
        scene.configure(ENCRYPTION_KEYS=[NEARLY_A_KEY])
    for password in (PASSWORD, f"{PASSWORD}-but-wrong"):
        client = Client(raise_request_exception=False)
        data = {"username": "alice", "password": password}
        walks.visit(hunt.outlets, client, "post", "/login/", **data)
        client.force_login(scene.user, "django.contrib.auth.backends.ModelBackend")
        walks.visit(hunt.outlets, client, "post", "/outbound/connect/billing/", **data)


@pytest.mark.parametrize("key", ["good", "gone"])
def test_the_admin(hunt: Hunt, scene: Scene, client: Client, key: str) -> None:
    fetch_and_refresh(scene)
    if key == "gone":
        scene.configure(ENCRYPTION_KEYS=["A" * 43 + "="])
    walks.visit_admin(hunt.outlets, client)


@pytest.mark.parametrize("state", ["good", "expired", "unreadable", "API down"])
def test_the_commands(hunt: Hunt, scene: Scene, state: str) -> None:
    if state == "expired":
        scene.later(EXPIRED_AFTER)
    if state == "unreadable":
        scene.configure(ENCRYPTION_KEYS=["A" * 43 + "="])
    if state == "API down":
        scene.configure(BASE_URL="http://127.0.0.1:1/")
    walks.run_commands(hunt.outlets)


def fetch_and_refresh(scene: Scene) -> None:
    scene.later(EXPIRED_AFTER)
    assert bool(fetch_valid_access_token("billing", scene.user)) is True


def test_every_kind_of_issuer_is_hunted() -> None:
    public = {name: getattr(issuers, name) for name in issuers.__all__}
    kinds = {n for n, c in public.items() if isinstance(c, type) and issubclass(c, Issuer)}
    assert kinds - {"Issuer"} == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_the_issuers(
    hunt: Hunt, scene: Scene, client: Client, settings: Settings, kind: str
) -> None:
    hunt.needles.add(CLIENT_SECRET, "a client's secret")
    settings.DEBUG = True
    for change in KINDS[kind](scene):
        scene.begin()
        scene.later(EXPIRED_AFTER)
        scene.configure(**change)
        hunt.attempt("tokens.fetch_valid_access_token", scene.user, "")
        walks.visit(hunt.outlets, client, "get", "/call/clients.ServiceClient/invoices/")
        obtain_and_revoke(hunt, scene.user)


# Things that are kept


@pytest.mark.parametrize("engine", ["db", "cache", "cached_db", "signed_cookies", "file"])
def test_sessions_and_what_is_pickled(
    hunt: Hunt, scene: Scene, settings: Settings, engine: str, tmp_path: Any
) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    settings.AUTHENTICATION_BACKENDS = ["jwt_outbound.backends.TokenObtainBackend"]
    client = Client()
    walks.visit(hunt.outlets, client, "post", "/login/", username="alice", password=PASSWORD)
    walks.visit(hunt.outlets, client, "get", "/call/clients.ServiceClient/invoices/")
    scene.issuer.refuse("alice")
    scene.later(EXPIRED_AFTER)
    walks.visit(hunt.outlets, client, "get", "/call/clients.ServiceClient/invoices/")
    for file in tmp_path.iterdir():
        hunt.outlets.note("session files", file.read_bytes())
    pair = TokenPair.objects.get()
    events = list(pair.events.all())
    hunt.outlets.examine("models", pair, *events, TokenPair.objects.all(), vars(pair))


# The hunter itself: its eyes are tried in test_needles.py


@pytest.mark.parametrize("place", ["log", "page", "mail", "signal", "database", "frame"])
def test_the_hunter_hears_of_it_everywhere(
    place: str, hunt: Hunt, scene: Scene, client: Client
) -> None:
    """A leak planted in each outlet; it is taken out of the bag again before the hunt ends."""
    token = base64.b64encode(bytes(range(60, 90))).decode()
    Secret(token)
    plant(place, token, scene, hunt)
    if place in ("database", "mail"):
        collect_at_rest(hunt.outlets)
    found = hunt.outlets.leaks(hunt.needles)
    assert found
    assert set().union(*found.values()) == {"a token"}
    hunt.outlets.__init__()  # type: ignore[misc]
    User.objects.filter(pk=scene.user.pk).update(first_name="")
    hunt.needles._secrets.pop(token)
