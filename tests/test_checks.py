import base64
import re
import shlex
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.utils.functional import lazystr
from hypothesis import given
from hypothesis import strategies as st

from jwt_outbound import checks as checks_package
from jwt_outbound.checks import check_settings
from jwt_outbound.checks.encryption import MAKES_ONE
from jwt_outbound.conf import GLOBAL_KEYS, SERVICE_KEYS, get_settings
from jwt_outbound.encryption_keys import decode_key
from jwt_outbound.issuers import Answer, CallableIssuer, Issuer, SimpleJWTIssuer
from jwt_outbound.middleware import OutboundMiddleware
from jwt_outbound.routers import TokenRouter

SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
OURS = "jwt_outbound.middleware.OutboundMiddleware"
KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.urlsafe_b64encode(bytes(32)).decode()
SQLITE = "django.db.backends.sqlite3"
TASKS = "jwt_outbound.runners.tasks.enqueue"


def refresh(refresh_token: str) -> str:
    return "new"


class Graceful(CallableIssuer):
    replay_window = 20


class Raising(Issuer):
    def __init__(self) -> None:
        raise KeyError("sesame")

    def exchange(self, refresh_token: str, deadline: float) -> Answer:
        return Answer.refused()


class Complaining(Issuer):
    def exchange(self, refresh_token: str, deadline: float) -> Answer:
        return Answer.refused()

    def check(self, service: str) -> list[CheckMessage]:
        raise RuntimeError("sesame")


class Babbling(Complaining):
    def check(self, service: str) -> list[Any]:
        return ["all is well"]


class OwnRouter(TokenRouter):
    pass


class OwnMiddleware(OutboundMiddleware):
    pass


GOOD: dict[str, Any] = {
    "BASE_URL": "https://billing.example/api/",
    "ISSUER": CallableIssuer,
    "OPTIONS": {"refresh": refresh},
}


MISSING = object()


def one(**service: Any) -> dict[str, Any]:
    """Settings with one service, good but for what is given; MISSING takes a key out."""
    merged = {**GOOD, **service}
    return {"SERVICES": {"billing": {k: v for k, v in merged.items() if v is not MISSING}}}


def app(**settings: Any) -> dict[str, Any]:
    """Settings with one good service and more beside it."""
    return {**one(), **settings}


def check(raw: Any, **others: Any) -> list[CheckMessage]:
    with override_settings(JWT_OUTBOUND=raw, **others):
        return check_settings()


def ids(raw: Any, **others: Any) -> list[str]:
    return [str(message.id).removeprefix("jwt_outbound.") for message in check(raw, **others)]


def test_good_settings_are_silent() -> None:
    assert check(one()) == []
    assert check(app(ENCRYPTION_KEYS=[KEY, OTHER_KEY], LEASE=15, WAIT=timedelta(minutes=1))) == []


@pytest.mark.parametrize("raw", [None, {}, {"SERVICES": {}}])
def test_the_app_alone_is_silent(raw: Any) -> None:
    assert check(raw, MIDDLEWARE=[]) == []


def test_the_app_alone_is_silent_without_the_setting(settings: Any) -> None:
    del settings.JWT_OUTBOUND
    assert check_settings() == []


def test_django_runs_the_checks() -> None:
    with override_settings(JWT_OUTBOUND=one(LEASE="soon")):
        assert "jwt_outbound.E012" in [message.id for message in checks.run_checks()]


ROOM = {"ISSUER_DEADLINE": 8, "LEASE": 9, "WAIT": 20}

WRONG: dict[str, list[tuple[Any, str]]] = {
    "E001": [
        (["billing"], "must be a dict, not list"),
        ("billing", "not str"),
        (0, "not int"),
    ],
    "E002": [({"SERVICES": ["billing"]}, "'SERVICES'"), ({"SERVICES": None}, "NoneType")],
    "E003": [
        ({"SERVICES": {"billing": "https://billing.example"}}, "'billing'"),
        ({"SERVICES": {5: GOOD}}, "must be text, not int"),
        ({"SERVICES": {"": GOOD}}, "can't be called ''"),
        ({"SERVICES": {"a/b": GOOD}}, "'a/b'"),
        ({"SERVICES": {"x" * 101: GOOD}}, "can't be called"),
    ],
    "E004": [
        (app(ENCRIPTION_KEYS=[]), "Did you mean 'ENCRYPTION_KEYS'?"),
        (one(base_url="https://x.example"), "Did you mean 'BASE_URL'?"),
        (app(BASE_URL="https://x.example"), "It belongs in a service."),
        (one(DATABASE="default"), "It belongs beside SERVICES."),
        (one(ZZZ=1), "There are: ALLOWED_ORIGINS, ALLOW_HTTP,"),
        (app(NAME="x"), "'NAME'"),
        ({**one(), 7: 7}, "'int'"),
    ],
    "E005": [
        (one(BASE_URL=MISSING), "is missing"),
        (one(BASE_URL=""), "is missing"),
        (one(BASE_URL="billing.example/api/"), "is not an http(s) URL"),
        (one(BASE_URL="ftp://billing.example/"), "is not an http(s) URL"),
        (one(BASE_URL="https://user:sesame@billing.example/"), "is not an http(s) URL"),
        (one(BASE_URL=b"https://billing.example/"), "is not a URL"),
        (one(BASE_URL="https://billing.example/?a=b"), "query or a fragment"),
    ],
    "E006": [
        (one(BASE_URL="http://billing.example/api/"), "plain http"),
        (one(ALLOWED_ORIGINS=["http://cdn.example"]), "One of the ALLOWED_ORIGINS"),
        (one(BASE_URL="http://localhost.example/"), "plain http"),
    ],
    "E007": [
        (
            one(
                ISSUER="jwt_outbound.issuers.SimpleJWTIssuer",
                OPTIONS={"refresh_url": "http://billing.example/refresh/"},
            ),
            "'refresh_url'",
        )
    ],
    "E008": [(one(ISSUER=MISSING), "has no ISSUER"), (one(ISSUER=""), "has no ISSUER")],
    "E009": [
        (one(ISSUER="no.such.Issuer"), "(ModuleNotFoundError)"),
        (one(ISSUER="jwt_outbound.issuers.NoSuchIssuer"), "(ImportError)"),
        (one(OPTIONS={"refrehs": refresh}), "(TypeError)"),
        (one(ISSUER=Issuer, OPTIONS={}), "(TypeError)"),
        (one(ISSUER=object(), OPTIONS={}), "can't be made"),
        (one(ISSUER=5), "can't be made"),
        (one(ISSUER=Raising, OPTIONS={}), "(KeyError)"),
        (one(ISSUER=Complaining, OPTIONS={}), "raised RuntimeError"),
        (one(ISSUER=Babbling, OPTIONS={}), "raised TypeError"),
    ],
    "E010": [
        (app(ENCRYPTION_KEYS=KEY), "must be a list"),
        (app(ENCRYPTION_KEYS="no.such.function"), "dotted path of a function"),
        (app(ENCRYPTION_KEYS=["sesame"]), "[0]"),
        (app(ENCRYPTION_KEYS=[KEY, KEY[:-4]]), "[1]"),
        (app(ENCRYPTION_KEYS=[""]), "[0]"),
        (app(ENCRYPTION_KEYS=[None]), "[0]"),
        (app(ENCRYPTION_KEYS={"new": KEY}), "must be a list"),
    ],
    "E011": [(app(ENCRYPTION_KEYS=[KEY, OTHER_KEY, KEY]), "stands there twice")],
    "E012": [
        (one(TIMEOUT=0), "a positive number of seconds"),
        (one(TIMEOUT=(3, -1)), "(connect, read)"),
        (one(ISSUER_DEADLINE="8"), "['billing']['ISSUER_DEADLINE']"),
        (app(LEASE=True), "JWT_OUTBOUND['LEASE']"),
        (one(WAIT=None), "a positive number"),
        (one(DEFAULT_LIFETIME=0), "or None"),
        (app(GRACEFUL_STOP=float("nan")), "GRACEFUL_STOP"),
        (one(LEEWAY=-1), "zero or a positive number"),
        (one(REFRESH_AHEAD=timedelta(seconds=-5)), "REFRESH_AHEAD"),
        (one(REPLAY_WINDOW=[60]), "REPLAY_WINDOW"),
        (app(MEMORY=-0.5), "MEMORY"),
        (app(EPOCH_CACHE=float("inf")), "EPOCH_CACHE"),
        (one(WAIT=10**400), "WAIT"),
    ],
    "E013": [
        (one(**ROOM), "8 + 1, 9, 20"),
        (one(LEASE=20), "8 + 1, 20, 20"),
        (app(WAIT=timedelta(seconds=5)), "8 + 1, 12, 5"),
    ],
    "E014": [(app(GRACEFUL_STOP=8), "GRACEFUL_STOP")],
    "E015": [
        (one(REPLAY_WINDOW=10), "too late"),
        (one(REPLAY_WINDOW=32, ISSUER_DEADLINE=24, LEASE=26, WAIT=30), "too late"),
        (one(ISSUER=Graceful, ISSUER_DEADLINE=15, LEASE=17, WAIT=30), "too late"),
    ],
    "E016": [(one(ON_REFUSAL="log out"), '"reconnect"'), (app(ON_REFUSAL=None), '"logout"')],
    "E017": [
        (one(ALLOWED_ORIGINS="https://cdn.example"), "must be a list"),
        (one(ALLOWED_ORIGINS=["cdn.example"]), "origins"),
        (one(ALLOWED_ORIGINS=["https://cdn.example/files/"]), "origins"),
        (one(ALLOWED_ORIGINS=["https://cdn.example?x"]), "origins"),
        (one(ALLOWED_ORIGINS=["https://*.example\\"]), "origins"),
        (one(ALLOWED_ORIGINS=[7]), "origins"),
    ],
    "E018": [
        (app(FLIGHT_THREADS=0), "1 or more"),
        (app(FLIGHT_THREADS=True), "whole number"),
        (app(FLIGHT_THREADS="8"), "whole number"),
    ],
    "E019": [
        (app(FLIGHT_CONTEXT="no.such.context"), "imported"),
        (app(FLIGHT_CONTEXT="jwt_outbound.__version__"), "function"),
        (app(FLIGHT_CONTEXT=7), "dotted path"),
    ],
    "E020": [(one(OPTIONS={}), "neither")],
    "E021": [
        (one(ISSUER=SimpleJWTIssuer, OPTIONS={"refresh_url": "/token/refresh/"}), "refresh_url")
    ],
    "E034": [
        (app(REFRESH_AHEAD_RUNNER="celery"), "'thread'"),
        (app(REFRESH_AHEAD_RUNNER=None), "'off'"),
        (app(REFRESH_AHEAD_RUNNER=[]), "'off'"),
    ],
    "E035": [
        (app(DATABASE="elsewhere"), "There are: 'default', 'tokens'"),
        (app(DATABASE=None), "DATABASES"),
        (app(DATABASE=["default"]), "DATABASES"),
    ],
    "E036": [(app(DATABASE="tokens"), "migrate --database=tokens")],
    "E041": [(one(CONNECT_URL=5), "a URL"), (one(CONNECT_URL=""), "a URL")],
    "E030": [
        (one(ALLOW_HTTP="True"), "True or False"),
        (one(LOGIN=1), "LOGIN"),
        (app(LINK_EXISTING="no"), "LINK_EXISTING"),
        (one(CREATE_USERS=None), "CREATE_USERS"),
    ],
    "E043": [
        (one(REFUSALS_PER_MINUTE=1.5), "a whole number of refusals"),
        (app(REFUSALS_PER_MINUTE=True), "None turns it off"),
        (one(REFUSALS_PER_MINUTE=-1), "a whole number"),
    ],
    "E044": [
        (one(EXCHANGES_PER_SECOND=0), "0.01 or more"),
        (app(EXCHANGES_PER_SECOND="20"), "None: no budget"),
        (one(EXCHANGES_PER_SECOND=float("nan")), "a number"),
        (one(EXCHANGES_PER_SECOND=True), "a number"),
        (one(EXCHANGES_PER_SECOND=10**400), "a number"),
        (one(EXCHANGES_PER_SECOND=timedelta(seconds=1)), "a number"),
    ],
    "E045": [
        (one(EXCHANGES_AT_ONCE=0), "1 or more"),
        (app(EXCHANGES_AT_ONCE=2.0), "whole number"),
        (one(EXCHANGES_AT_ONCE=False), "whole number"),
    ],
    "E031": [
        (one(AUTH_SCHEME="Bearer "), "one word"),
        (app(AUTH_SCHEME=""), "one word"),
        (one(AUTH_SCHEME="X\r\nY: z"), "one word"),
        (one(AUTH_SCHEME=None), "one word"),
    ],
    "E032": [
        (one(OPTIONS=["refresh"]), "a dict"),
        (one(OPTIONS={1: refresh}), "names as its keys"),
        (one(OPTIONS=None), "a dict"),
    ],
    "W001": [(app(FLIGHT_THREADS=1), "2 or more")],
    "W002": [(app(REFRESH_AHEAD_RUNNER=TASKS), "django-tasks-db")],
}


@pytest.mark.parametrize(
    ("number", "raw", "words"),
    [(number, raw, words) for number, cases in WRONG.items() for raw, words in cases],
)
def test_what_is_wrong_is_said_with_its_cure(number: str, raw: Any, words: str) -> None:
    found = [m for m in check(raw) if m.id == f"jwt_outbound.{number}"]
    assert found
    assert all(message.hint for message in found)
    assert any(words in f"{message.msg} {message.hint}" for message in found)


@pytest.mark.parametrize(
    ("number", "raw"),
    [(n, raw) for n, cases in WRONG.items() if n not in {"E009", "E032"} for raw, _ in cases],
)
def test_one_mistake_is_one_message(number: str, raw: Any) -> None:
    """No second rule stumbles over what the first has named."""
    assert set(ids(raw)) == {number}


FINE: list[Any] = [
    one(TIMEOUT=None),
    one(TIMEOUT=(3.05, None)),
    one(TIMEOUT=timedelta(seconds=3)),
    one(LEEWAY=0, REFRESH_AHEAD=0, REPLAY_WINDOW=0, DEFAULT_LIFETIME=None),
    one(REPLAY_WINDOW=60),
    one(ISSUER_DEADLINE=8, LEASE=9.01, WAIT=9.02),
    one(ISSUER="jwt_outbound.issuers.CallableIssuer"),
    one(ISSUER=CallableIssuer(refresh=refresh)),
    one(ISSUER=Graceful),
    one(ALLOWED_ORIGINS=["https://cdn.example", "https://cdn.example:8443/"]),
    one(ALLOWED_ORIGINS=("https://m\u00fcnchen.example",)),
    one(CONNECT_URL=None),
    one(CONNECT_URL=lazystr("/accounts/connect/")),
    one(AUTH_SCHEME="JWT"),
    one(ALLOW_HTTP=True, BASE_URL="http://billing.mesh/"),
    app(ALLOW_HTTP=True, SERVICES=one(BASE_URL="http://billing.mesh/")["SERVICES"]),
    one(BASE_URL="http://127.0.0.1:8001/"),
    one(BASE_URL="http://[::1]:8001"),
    one(BASE_URL="http://localhost/"),
    app(ENCRYPTION_KEYS=None),
    app(ENCRYPTION_KEYS="tests.test_checks.refresh"),
    app(ENCRYPTION_KEYS=(KEY.encode(),)),
    app(FLIGHT_CONTEXT="contextlib.nullcontext"),
    app(REFRESH_AHEAD_RUNNER="off"),
    app(REFRESH_AHEAD_RUNNER="tests.test_checks.refresh"),
    app(REFRESH_AHEAD_RUNNER="jwt_outbound.runners.celery.enqueue"),
    app(MEMORY=0, EPOCH_CACHE=0, GRACEFUL_STOP=timedelta(minutes=1)),
]


@pytest.mark.parametrize("raw", FINE)
def test_what_is_fine_is_not_complained_about(raw: Any) -> None:
    assert check(raw) == []


def test_tasks_without_workers_are_fine_while_debugging() -> None:
    assert check(app(REFRESH_AHEAD_RUNNER=TASKS), DEBUG=True) == []


@pytest.mark.parametrize("kind", ["tasks", "celery"])
def test_a_ready_made_runner_without_its_library(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("celery", "django.tasks", "django_tasks"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"jwt_outbound.runners.{kind}", raising=False)
    [message] = check(app(REFRESH_AHEAD_RUNNER=f"jwt_outbound.runners.{kind}.enqueue"))
    assert message.id == "jwt_outbound.E034"
    assert f"pip install 'jwt-outbound[{kind}]'" in str(message.hint)


@pytest.mark.parametrize("raw", [raw for raw, _ in WRONG["E006"] + WRONG["E007"]])
def test_plain_http_is_fine_while_debugging(raw: Any) -> None:
    assert check(raw, DEBUG=True) == []


@pytest.mark.parametrize("number", ["E005", "E009", "E010", "E011"])
def test_no_message_shows_a_key_or_a_password(number: str) -> None:
    for raw, _ in WRONG[number]:
        text = " ".join(f"{message.msg} {message.hint} {message!r}" for message in check(raw))
        assert "sesame" not in text
        assert KEY[:8] not in text


def test_the_hint_makes_a_key() -> None:
    python, *arguments = shlex.split(MAKES_ONE)
    assert python == "python"
    made = subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True)
    assert len(decode_key(made.stdout.strip())) == 32
    assert check(app(ENCRYPTION_KEYS=[made.stdout.strip()])) == []


def test_two_services_are_told_apart() -> None:
    raw = {"SERVICES": {"good": GOOD, "bad": {**GOOD, "LEASE": 1}}}
    assert ["'bad'" in message.msg for message in check(raw)] == [True]


@pytest.mark.parametrize(
    "router", ["jwt_outbound.routers.TokenRouter", TokenRouter(), f"{__name__}.OwnRouter"]
)
def test_an_alias_with_a_router_is_fine(router: Any) -> None:
    assert check(app(DATABASE="tokens"), DATABASE_ROUTERS=[router]) == []


@pytest.mark.parametrize("router", ["contextlib.nullcontext", object()])
def test_another_router_is_not_enough(router: Any) -> None:
    assert ids(app(DATABASE="tokens"), DATABASE_ROUTERS=[router]) == ["E036"]


class Aliases:
    """The project's DATABASES for one test. Nothing connects: the checks only read them."""

    def __init__(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self._all = settings.DATABASES
        self._patch = monkeypatch
        for alias in list(self._all):
            monkeypatch.delitem(self._all, alias)

    def add(self, alias: str, name: Any, engine: str = SQLITE, **more: Any) -> None:
        self._patch.setitem(self._all, alias, {"ENGINE": engine, "NAME": name, **more})


@pytest.fixture
def aliases(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Aliases:
    return Aliases(settings, monkeypatch)


@pytest.mark.parametrize("name", ["site.sqlite3", Path("site.sqlite3"), "file:site.sqlite3?x=y"])
def test_sqlite_shared_with_atomic_requests(aliases: Aliases, name: Any) -> None:
    aliases.add("default", name, ATOMIC_REQUESTS=True)
    assert ids(one()) == ["E037"]


def test_sqlite_shared_under_another_alias(aliases: Aliases) -> None:
    aliases.add("default", Path.cwd() / "site.sqlite3")
    aliases.add("again", "./site.sqlite3", ATOMIC_REQUESTS=True)
    [message] = check(one())
    assert message.id == "jwt_outbound.E037"
    assert "'again'" in message.msg
    assert "TokenRouter" in str(message.hint)


@pytest.mark.parametrize(
    ("tokens", "engine"),
    [
        ("tokens.sqlite3", SQLITE),
        (":memory:", SQLITE),
        ("file:memorydb_default?mode=memory&cache=shared", SQLITE),
        ("", SQLITE),
        ("site", "django.db.backends.postgresql"),
    ],
)
def test_sqlite_with_a_file_of_its_own(aliases: Aliases, tokens: str, engine: str) -> None:
    aliases.add("default", "site.sqlite3", ATOMIC_REQUESTS=True)
    aliases.add("tokens", tokens, engine, ATOMIC_REQUESTS=engine != SQLITE or "mem" in tokens)
    routers = ["jwt_outbound.routers.TokenRouter"]
    assert check(app(DATABASE="tokens"), DATABASE_ROUTERS=routers) == []


def test_sqlite_without_atomic_requests(aliases: Aliases) -> None:
    aliases.add("default", "site.sqlite3")
    assert check(one()) == []


def test_atomic_requests_without_services(aliases: Aliases) -> None:
    aliases.add("default", "site.sqlite3", ATOMIC_REQUESTS=True)
    assert check({}) == []


def test_a_file_name_that_can_be_none(aliases: Aliases) -> None:
    aliases.add("default", "nul\0.sqlite3", ATOMIC_REQUESTS=True)
    assert ids(one()) == ["E037"]


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ([SESSIONS, AUTHENTICATION, OURS], []),
        ([SESSIONS, AUTHENTICATION, f"{__name__}.OwnMiddleware"], []),
        ([SESSIONS, AUTHENTICATION], ["E038"]),
        ([], ["E038"]),
        ([SESSIONS, OURS, AUTHENTICATION], ["E039"]),
        ([OURS, SESSIONS, AUTHENTICATION], ["E039", "E039"]),
        ([f"{__name__}.OwnMiddleware", SESSIONS, AUTHENTICATION], ["E039", "E039"]),
        ([OURS], ["E039", "E039"]),
        ([SESSIONS, AUTHENTICATION, "no.such.Middleware", OURS], []),
    ],
)
def test_the_middleware(listed: list[str], expected: list[str]) -> None:
    assert ids(one(), MIDDLEWARE=listed) == expected


def test_no_middleware_is_needed_where_nobody_is_logged_out() -> None:
    assert check(one(ON_REFUSAL="reconnect"), MIDDLEWARE=[]) == []
    assert check(app(ON_REFUSAL="reconnect"), MIDDLEWARE=[]) == []


BACKENDS = ["jwt_outbound.backends.TokenObtainBackend"]
PASSWORDS: dict[str, Any] = {
    "BASE_URL": "https://login.example/",
    "ISSUER": "jwt_outbound.issuers.SimpleJWTIssuer",
    "OPTIONS": {
        "obtain_url": "https://login.example/token/",
        "refresh_url": "https://login.example/token/refresh/",
    },
}


def test_more_than_one_login() -> None:
    login = {**PASSWORDS, "LOGIN": True}
    assert ids({"SERVICES": {"one": login, "two": login}}) == ["E040"]
    assert ids({"SERVICES": {"one": login, "two": PASSWORDS}}) == []


@pytest.mark.parametrize(
    ("services", "expected"),
    [
        ({}, ["E033"]),
        ({"billing": GOOD}, ["E033"]),
        ({"login": PASSWORDS, "billing": GOOD}, []),
        ({"billing": GOOD, "login": PASSWORDS}, ["E033"]),
        ({"billing": GOOD, "login": {**PASSWORDS, "LOGIN": True}}, []),
    ],
)
def test_the_login_backend_needs_a_service(services: Any, expected: list[str]) -> None:
    assert ids({"SERVICES": services}, AUTHENTICATION_BACKENDS=BACKENDS) == expected


def test_a_login_service_that_takes_no_passwords() -> None:
    assert ids(one(LOGIN=True)) == ["E033"]


ID = re.compile(r"jwt_outbound\.([EW]\d+)")
TESTED_APART = {"E037", "E038", "E039", "E040", "E033"}


def test_every_id_has_a_test_here_and_no_two_rules_share_one() -> None:
    package = Path(checks_package.__file__).parent
    used = [number for file in package.glob("*.py") for number in ID.findall(file.read_text())]
    assert used
    assert set(used) <= WRONG.keys() | TESTED_APART
    issuers = [
        f for file in package.parent.glob("issuers/*.py") for f in ID.findall(file.read_text())
    ]
    assert len(set(used + issuers)) == len(used + issuers)


def test_nothing_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is barred already: this test has no mark for it."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a check connects")

    monkeypatch.setattr("socket.socket.connect", refuse)
    assert check({"SERVICES": {"login": {**PASSWORDS, "LOGIN": True}}}) == []


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
nearly_right = st.sampled_from(
    [
        "https://billing.example/",
        "http://billing.example/",
        "jwt_outbound.issuers.SimpleJWTIssuer",
        "jwt_outbound.issuers.CallableIssuer",
        {"refresh": refresh},
        {"refresh_url": "https://billing.example/"},
        [KEY],
        [KEY, KEY],
        10**400,
        timedelta.max,
        b"\xff",
    ]
)
values = json_like | nearly_right
definitions = st.dictionaries(st.sampled_from(sorted(SERVICE_KEYS)) | st.text(), values, max_size=8)
settings_dicts = st.dictionaries(
    st.sampled_from(sorted(GLOBAL_KEYS)) | st.text(), values, max_size=8
)


@given(raw=json_like)
def test_no_setting_makes_a_check_raise(raw: Any) -> None:
    ensure_sane(raw)


@given(
    top=settings_dicts,
    services=st.dictionaries(
        st.text(max_size=9) | st.integers(), definitions | json_like, max_size=3
    ),
)
def test_no_service_makes_a_check_raise(top: dict[str, Any], services: Any) -> None:
    ensure_sane({**top, "SERVICES": services})


def ensure_sane(raw: Any) -> None:
    """The checks answer, and what can't be read at all has a message that says why."""
    with override_settings(JWT_OUTBOUND=raw):
        messages = check_settings()
        assert all(str(message.id).startswith("jwt_outbound.") for message in messages)
        assert all(message.hint for message in messages)
        try:
            get_settings()
        except ImproperlyConfigured:
            assert messages
