"""Logging in at the issuer: who becomes whom here, and what is stored when."""

import copy
import json
import logging
import pickle
import sys
import threading
from typing import Any

import jwt
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import SESSION_KEY, aauthenticate, authenticate, get_user_model, login
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.core.signals import got_request_exception
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.views.debug import ExceptionReporter
from pytest_django import Settings

from jwt_outbound import exceptions
from jwt_outbound.claims import read_claims
from jwt_outbound.conf import get_service
from jwt_outbound.models import LinkedAccount, TokenPair
from jwt_outbound.testing import FakeIssuer
from jwt_outbound.tokens import fetch_valid_access_token
from tests.conftest import Configure
from tests.issuer_server import StrictIssuer

pytestmark = [pytest.mark.database, pytest.mark.urls(__name__)]

PASSWORD = "open sesame"
ALICE = {"username": "alice", "password": PASSWORD}


@transaction.atomic
def log_in_and_fail(request: HttpRequest) -> HttpResponse:
    user = authenticate(request, username="alice", password=PASSWORD)
    assert user is not None
    login(request, user)
    transaction.set_rollback(True)
    return HttpResponse()


urlpatterns = [
    path("login/", LoginView.as_view(template_name="jwt_outbound/connect.html", next_page="/")),
    path("fail/", log_in_and_fail),
]


@pytest.fixture(autouse=True)
def backends(settings: Settings) -> None:
    settings.AUTHENTICATION_BACKENDS = [
        "jwt_outbound.backends.TokenObtainBackend",
        "django.contrib.auth.backends.ModelBackend",
    ]


@pytest.fixture
def issuer(issuer: StrictIssuer, db: None) -> StrictIssuer:
    issuer.add_user("alice", PASSWORD)
    return issuer


def found(**credentials: str) -> Any:
    return authenticate(None, **{**ALICE, **credentials})


def make(name: str, **fields: Any) -> User:
    return get_user_model().objects.create_user(name, password="local", **fields)


# The login


def test_a_first_login_makes_the_user_and_stores_the_pair(issuer: StrictIssuer) -> None:
    client = Client()
    assert client.post("/login/", ALICE).status_code == 302
    user = get_user_model().objects.get()
    assert (user.username, user.is_staff, user.is_superuser) == ("alice", False, False)
    assert not user.has_usable_password()
    assert client.session[SESSION_KEY] == str(user.pk)
    assert fetch_valid_access_token("billing", user)


def test_the_next_login_finds_them_by_the_link_whatever_their_name(issuer: StrictIssuer) -> None:
    first = found()
    get_user_model().objects.update(username="renamed")
    assert found() == first
    assert get_user_model().objects.count() == 1


def test_nothing_is_stored_before_the_login_is_done(issuer: StrictIssuer, rf: Any) -> None:
    user = found()
    assert user is not None
    assert not TokenPair.objects.exists()


def test_what_a_user_carries_until_then(issuer: StrictIssuer) -> None:
    user = found()
    assert "<Obtained>" in repr(vars(user))
    with pytest.raises(TypeError, match="keep the primary key"):
        pickle.dumps(user)
    assert copy.deepcopy(user) == user


def test_afterwards_the_user_carries_nothing(issuer: StrictIssuer, rf: Any) -> None:
    request = rf.get("/")
    request.session = Client().session
    user = found()
    login(request, user)
    assert b"eyJ" not in pickle.dumps(user)
    assert TokenPair.objects.count() == 1


def test_wrong_ones_are_for_the_next_backend(issuer: StrictIssuer) -> None:
    assert found(password="wrong") is None
    assert get_user_model().objects.count() == 0
    local = make("bob")
    assert found(username="bob", password="local") == local
    assert not LinkedAccount.objects.exists()


@pytest.mark.parametrize("empty", [{"username": ""}, {"password": ""}])
def test_nothing_is_sent_where_one_is_missing(issuer: StrictIssuer, empty: dict[str, str]) -> None:
    assert found(**empty) is None
    assert issuer.requests() == []


def test_an_issuer_that_is_down_is_no_wrong_password(issuer: StrictIssuer) -> None:
    make("alice")
    issuer.fail(503, door="obtain", headers={"Retry-After": "7"}, times=2)
    with pytest.raises(exceptions.IssuerUnavailable):
        found()
    client = Client()
    response = client.post("/login/", ALICE)
    assert (response.status_code, response["Retry-After"]) == (503, "7")
    assert SESSION_KEY not in client.session

    issuer.stop()
    response = client.post("/login/", ALICE)
    assert response.status_code == 503
    assert "Retry-After" in response


def test_a_wrong_url_is_neither(
    issuer: StrictIssuer, configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    configure(OPTIONS={**issuer.options, "obtain_url": f"{issuer.url}/nowhere/"})
    with pytest.raises(exceptions.IssuerMisconfigured):
        found()
    assert [r.levelno for r in caplog.records if r.name == "jwt_outbound"] == [logging.ERROR]


def test_without_the_token_tables_database_nothing_is_sent(
    issuer: StrictIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jwt_outbound.querysets.now_sql", lambda vendor: "no_such_column")
    with pytest.raises(exceptions.TokenStoreUnavailable):
        found()
    assert issuer.requests() == []


# Who is who


def test_a_local_superuser_s_name_opens_nothing(
    issuer: StrictIssuer, configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    admin = make("alice", is_superuser=True)
    for link_existing in (False, True):
        configure(LINK_EXISTING=link_existing)
        assert found() is None
    assert not LinkedAccount.objects.exists()
    assert not TokenPair.objects.exists()
    assert "staff are linked by hand only" in caplog.text
    assert found(password="local") == admin, "their own password still does"


def test_nor_does_that_of_staff(issuer: StrictIssuer, configure: Configure) -> None:
    configure(LINK_EXISTING=True)
    make("alice", is_staff=True)
    assert found() is None


def test_another_local_user_is_not_taken_over(issuer: StrictIssuer) -> None:
    make("alice")
    assert found() is None
    assert not LinkedAccount.objects.exists()


def test_unless_the_settings_say_so(issuer: StrictIssuer, configure: Configure) -> None:
    configure(LINK_EXISTING=True)
    alice = make("alice")
    assert found() == alice
    configure(LINK_EXISTING=False)
    assert found() == alice, "linked by now"


def test_a_name_that_changed_hands_at_the_issuer(
    issuer: StrictIssuer, configure: Configure
) -> None:
    configure(LINK_EXISTING=True)
    alice = make("alice")
    LinkedAccount.objects.create(service="billing", subject="somebody-else", user_id=alice.pk)
    assert found() is None


def test_a_staff_member_can_be_linked_by_hand(issuer: StrictIssuer) -> None:
    admin = make("alice", is_superuser=True)
    subject = read_claims(issuer.pair_for("alice")["access"]).payload["user_id"]
    LinkedAccount.objects.create(service="billing", subject=subject, user_id=admin.pk)
    assert found() == admin


def test_users_need_not_be_made(issuer: StrictIssuer, configure: Configure) -> None:
    configure(CREATE_USERS=False)
    assert found() is None
    assert not get_user_model().objects.exists()


def test_an_inactive_user_does_not_come_in(issuer: StrictIssuer) -> None:
    found()
    get_user_model().objects.update(is_active=False)
    assert found() is None


def test_the_link_of_a_user_who_is_gone_is_made_anew(issuer: StrictIssuer) -> None:
    first = found()
    get_user_model().objects.filter(pk=first.pk)._raw_delete("default")
    second = found()
    assert (second.username, LinkedAccount.objects.get().user_id) == ("alice", second.pk)


@pytest.mark.parametrize("name", ["a" * 151, "two words", "<script>"])
def test_a_name_that_cannot_be_one_here(
    issuer: StrictIssuer, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    issuer.add_user(name, PASSWORD)
    assert found(username=name) is None
    assert not get_user_model().objects.exists()
    assert "their name there can't be a name here" in caplog.text


def answer_with(issuer: StrictIssuer, **claims: Any) -> None:
    access = jwt.encode({"exp": 4_000_000_000, **claims}, "k" * 32, algorithm="HS256")
    issuer.fail(200, door="obtain", body=json.dumps({"access": access, "refresh": "r"}))


@pytest.mark.parametrize(
    "claims", [{}, {"user_id": None}, {"user_id": True}, {"user_id": " "}, {"user_id": ["1"]}]
)
def test_a_token_that_names_nobody_logs_nobody_in(
    issuer: StrictIssuer, claims: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    answer_with(issuer, **claims)
    with pytest.raises(exceptions.IssuerMisconfigured, match="name no user"):
        found()
    assert not get_user_model().objects.exists()
    assert "name no user" in caplog.text


def test_sub_does_where_there_is_no_user_id(issuer: StrictIssuer) -> None:
    answer_with(issuer, sub="7")
    seven = found()
    answer_with(issuer, user_id=7, sub="8")
    assert found() == seven


@pytest.mark.parametrize(
    ("one", "other"), [("abc", "ABC"), ("é", "e"), ("x" * 300, "x" * 301), ("a", "a ")]
)
def test_ids_that_look_alike_are_two_people(issuer: StrictIssuer, one: str, other: str) -> None:
    """Also where the database's collation says otherwise."""
    answer_with(issuer, user_id=one)
    first = found(username="first")
    answer_with(issuer, user_id=other)
    second = found(username="second")
    assert first.username == "first"
    assert second.username == "second"
    answer_with(issuer, user_id=one)
    assert found(username="first") == first


def test_another_user_name_field(issuer: StrictIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(User, "USERNAME_FIELD", "email")
    issuer.add_user("alice@example.com", PASSWORD)
    user = authenticate(None, email="alice@example.com", password=PASSWORD)
    assert user is not None
    assert user.email == "alice@example.com"


def services(settings: Settings, **marks: dict[str, Any]) -> None:
    billing = settings.JWT_OUTBOUND["SERVICES"]["billing"]
    made = {name: {**billing, **mark} for name, mark in marks.items()}
    settings.JWT_OUTBOUND = {**settings.JWT_OUTBOUND, "SERVICES": made}


def test_the_marked_service_is_asked_else_the_first(
    issuer: StrictIssuer, settings: Settings
) -> None:
    services(settings, crm={}, billing={"LOGIN": True}, mail={})
    found()
    assert LinkedAccount.objects.get().service == "billing"
    LinkedAccount.objects.all().delete()
    get_user_model().objects.all().delete()
    services(settings, crm={}, billing={})
    found()
    assert LinkedAccount.objects.get().service == "crm"


def test_without_a_service_it_says_so(db: None, settings: Settings) -> None:
    settings.JWT_OUTBOUND = {}
    with pytest.raises(exceptions.ServiceNotConfigured, match="has none"):
        found()


# Secrets


def test_the_password_is_never_logged(
    issuer: StrictIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    make("bob", is_superuser=True)
    issuer.add_user("bob", PASSWORD)
    issuer.fail(500, door="obtain")
    client = Client()
    assert client.post("/login/", ALICE).status_code == 503
    assert client.post("/login/", {**ALICE, "username": "bob"}).status_code == 200
    assert client.post("/login/", ALICE).status_code == 302
    assert caplog.records
    assert "sesame" not in caplog.text
    assert "eyJ" not in caplog.text


def test_an_error_report_hides_it(issuer: StrictIssuer, configure: Configure) -> None:
    reports: list[str] = []

    def report(request: HttpRequest, **_: Any) -> None:
        reports.append(ExceptionReporter(request, *sys.exc_info()).get_traceback_html())

    configure(ENCRYPTION_KEYS=["no key"])
    client = Client(raise_request_exception=False)
    got_request_exception.connect(report)
    try:
        assert client.post("/login/", ALICE).status_code == 500
    finally:
        got_request_exception.disconnect(report)
    assert "ENCRYPTION_KEYS" in reports[0]
    assert "sesame" not in reports[0]
    assert "eyJ" not in reports[0]
    assert SESSION_KEY not in client.session


# Transactions and threads


@pytest.mark.django_db(transaction=True)
async def test_async_logins_ask_the_issuer_too(issuer: StrictIssuer) -> None:
    user = await aauthenticate(None, **ALICE)
    assert user is not None
    assert user.get_username() == "alice"
    assert len(issuer.requests("obtain")) == 1
    await sync_to_async(connections.close_all)()


@pytest.mark.django_db(transaction=True)
def test_two_first_logins_at_once_are_one_user(issuer: StrictIssuer) -> None:
    issuer.hold("obtain", until=2)
    users: list[Any] = []

    def log_in() -> None:
        try:
            users.append(found())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=log_in) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert users == [get_user_model().objects.get()] * 2
    assert LinkedAccount.objects.count() == 1


@pytest.mark.django_db(transaction=True, databases=["default", "tokens"])
def test_of_a_user_who_is_rolled_back_nothing_stays(
    issuer: StrictIssuer, configure: Configure, settings: Settings
) -> None:
    """The next user may get the same primary key."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    configure(DATABASE="tokens")
    assert Client().post("/fail/").status_code == 200
    assert not get_user_model().objects.exists()
    assert not LinkedAccount.objects.exists()
    assert not TokenPair.objects.exists()

    assert Client().post("/login/", ALICE).status_code == 302
    user = get_user_model().objects.get()
    assert LinkedAccount.objects.get().user_id == user.pk
    assert TokenPair.objects.get().user_id == user.pk


@pytest.mark.django_db(databases=["default", "tokens"])
def test_in_a_test_case_with_two_databases(issuer: StrictIssuer, configure: Configure) -> None:
    configure(DATABASE="tokens")
    assert Client().post("/login/", ALICE).status_code == 302
    assert found() == get_user_model().objects.get()
    assert TokenPair.objects.count() == 1


def test_it_works_with_the_issuer_for_tests(db: None) -> None:
    with FakeIssuer().serving("billing") as fake:
        fake.passwords["alice"] = PASSWORD
        assert found(password="wrong") is None
        assert found().username == "alice"
        assert get_service("billing").login is False
