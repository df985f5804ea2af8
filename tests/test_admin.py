import base64
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from jwt_outbound.models import IssuerState, TokenPair, TokenPairEvent
from jwt_outbound.querysets import database_now
from jwt_outbound.testing import shift_clock

pytestmark = [pytest.mark.django_db(databases=["default", "tokens"]), pytest.mark.database]

KEY = "the tests sign with this; nobody verifies it"
LIST = "admin:jwt_outbound_tokenpair_changelist"
DETAIL = "admin:jwt_outbound_tokenpair_change"


@pytest.fixture(params=["default", "tokens"], autouse=True)
def tables(request: pytest.FixtureRequest) -> Iterator[str]:
    """The token tables beside the users, and in a database of their own."""
    alias = request.param
    service = {
        "BASE_URL": "https://billing.example/",
        "ISSUER": "jwt_outbound.issuers.CallableIssuer",
        "OPTIONS": {"refresh": "builtins.str"},
    }
    raw = {"SERVICES": {"billing": service, "archive": service}, "DATABASE": alias}
    routers = ["jwt_outbound.routers.TokenRouter"]
    with override_settings(JWT_OUTBOUND=raw, DATABASE_ROUTERS=routers):
        yield alias


@pytest.fixture
def alice() -> User:
    return User.objects.create_user("alice")


def token(lifetime: float = 300, **claims: Any) -> str:
    now = int(datetime.now(UTC).timestamp())
    return jwt.encode({"iat": now, "exp": now + lifetime, **claims}, KEY)


def store(user: User, service: str = "billing", **tokens: Any) -> TokenPair:
    made = {"access": token(), "refresh": token(86_400), **tokens}
    return TokenPair.objects.store(user=user, service=service, **made)


def page(client: Client, name: str, *arguments: Any, **query: str) -> str:
    response = client.get(reverse(name, args=arguments), query)
    assert response.status_code == 200
    return response.content.decode()


def test_the_list(admin_client: Client, alice: User) -> None:
    pair = store(alice)
    html = page(admin_client, LIST)
    for text in ("alice", "billing", "fresh", "4 min 5", "(read-only)"):
        assert text in html
    assert reverse(DETAIL, args=[pair.pk]) in html
    assert reverse("admin:jwt_outbound_tokenpair_add") not in html


def test_the_list_follows_the_clock_of_the_database(admin_client: Client, alice: User) -> None:
    store(alice)
    for seconds, state in ((258, "stale"), (290, "expired")):
        with shift_clock(seconds):
            assert f'">{state}</span></td>' in page(admin_client, LIST)


def test_the_list_says_when_the_issuer_cools_down(admin_client: Client, alice: User) -> None:
    store(alice)
    IssuerState.objects.create(service="billing", cooling_until=database_now() + 60_000_000)
    assert "cooling down" in page(admin_client, LIST)


def test_the_list_takes_as_many_queries_for_many_pairs(
    admin_client: Client, alice: User, tables: str
) -> None:
    def count() -> int:
        aliases = {"default", tables}
        contexts = [CaptureQueriesContext(connections[alias]) for alias in aliases]
        for context in contexts:
            context.__enter__()
        page(admin_client, LIST)
        for context in contexts:
            context.__exit__(None, None, None)
        return sum(map(len, contexts))

    store(alice)
    for_one = count()
    for number in range(20):
        user = User.objects.create_user(f"user-{number}")
        store(user)
        store(user, "archive")
    assert count() == for_one
    assert for_one <= 14


def test_a_user_who_is_gone(admin_client: Client, alice: User) -> None:
    pair = store(alice)
    TokenPair.objects.filter(pk=pair.pk).update(user_id=987)
    assert "987 (gone)" in page(admin_client, LIST)
    assert "987 (gone)" in page(admin_client, DETAIL, pair.pk)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "ali"}, {"alice-billing", "alice-archive"}),
        ({"q": "ali arch"}, {"alice-archive"}),
        ({"q": "BILL"}, {"alice-billing", "bob-billing"}),
        ({"q": "nobody"}, set()),
        ({"service": "archive"}, {"alice-archive"}),
    ],
)
def test_searching(
    admin_client: Client, alice: User, query: dict[str, str], found: set[str]
) -> None:
    bob = User.objects.create_user("bob")
    pairs = {
        "alice-billing": store(alice),
        "alice-archive": store(alice, "archive"),
        "bob-billing": store(bob),
    }
    html = page(admin_client, LIST, **query)
    assert {name for name, pair in pairs.items() if str(pair.pk) in html} == found


def test_the_detail_shows_the_claims(admin_client: Client, alice: User) -> None:
    pair = store(alice, access=token(name="Alice & <b>", auth_time=1_700_000_000))
    html = page(admin_client, DETAIL, pair.pk)
    assert "&quot;name&quot;: &quot;Alice &amp; &lt;b&gt;&quot;" in html
    assert "auth_time: 2023-11-14 22:13:20 UTC" in html
    assert "&quot;alg&quot;: &quot;HS256&quot;" in html
    assert "without verifying their signatures" in html
    assert "(read-only)" in html


def test_no_page_shows_a_token(admin_client: Client, alice: User) -> None:
    access, refresh = token(name="Alice"), "opaque-refresh-token-of-alice"
    pair = store(alice, access=access, refresh=refresh)
    pair.refresh_from_db()
    sealed = [bytes(pair.access_sealed), bytes(pair.refresh_sealed)]
    html = page(admin_client, LIST) + page(admin_client, DETAIL, pair.pk)
    secrets = [
        *access.split("."),
        refresh,
        *(s.hex() for s in sealed),
        *(base64.b64encode(s).decode() for s in sealed),
        *(repr(s) for s in sealed),
    ]
    assert [secret for secret in secrets if secret in html] == []
    assert "It is opaque" in html


def test_a_pair_that_can_not_be_decrypted(admin_client: Client, alice: User) -> None:
    pair = store(alice)
    TokenPair.objects.filter(pk=pair.pk).update(access_sealed=b"\x01junk")
    html = page(admin_client, DETAIL, pair.pk)
    assert "can&#x27;t be decrypted" in html
    assert "ENCRYPTION_KEYS" in html


def test_a_pair_without_tokens_and_times(admin_client: Client, alice: User) -> None:
    pair = TokenPair.objects.create(user_id=alice.pk, service="billing")
    assert "There is none." in page(admin_client, DETAIL, pair.pk)
    assert "expired" in page(admin_client, LIST)


def test_the_history_is_part_of_the_page(admin_client: Client, alice: User) -> None:
    pair = store(alice)
    at = datetime.now(UTC)
    TokenPairEvent.objects.bulk_create(
        TokenPairEvent(
            pair=pair,
            user_id=alice.pk,
            service="billing",
            generation=number,
            at=at + timedelta(seconds=number),
            kind="refreshed",
            host=f"host-{number:03}",
        )
        for number in range(60)
    )
    html = page(admin_client, DETAIL, pair.pk)
    assert [n for n in range(60) if f"host-{n:03}" in html] == list(range(10, 60))
    assert html.index("host-059") < html.index("host-010")


def test_nothing_can_be_added_changed_or_deleted(admin_client: Client, alice: User) -> None:
    pair = store(alice)
    for model, key in (("tokenpair", pair.pk), ("tokenpairevent", pair.events.get().pk)):
        name = f"admin:jwt_outbound_{model}"
        for method in (admin_client.get, admin_client.post):
            assert method(reverse(f"{name}_add")).status_code == 403
            assert method(reverse(f"{name}_delete", args=[key])).status_code == 403
        change = admin_client.post(reverse(f"{name}_change", args=[key]), {"service": "archive"})
        assert change.status_code == 403
    before = (pair.generation, pair.service)
    pair.refresh_from_db()
    assert (pair.generation, pair.service) == before
    assert "<input" not in page(admin_client, DETAIL, pair.pk).partition("id_content")[2]


def test_it_is_for_staff_with_the_permission(client: Client, alice: User) -> None:
    pair = store(alice)
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    client.force_login(User.objects.get(pk=alice.pk))
    assert client.get(reverse(DETAIL, args=[pair.pk])).status_code == 403


def test_the_list_of_events(admin_client: Client, alice: User) -> None:
    pair = store(alice)
    event = pair.events.get()
    html = page(admin_client, "admin:jwt_outbound_tokenpairevent_changelist", q="alice")
    assert "stored" in html
    assert "alice" in html
    shown = page(admin_client, "admin:jwt_outbound_tokenpairevent_change", event.pk)
    assert str(pair.pk) in shown


def test_the_list_of_issuers(admin_client: Client) -> None:
    IssuerState.objects.create(service="billing", failures=3, cooling_until=database_now() + 90)
    html = page(admin_client, "admin:jwt_outbound_issuerstate_changelist")
    assert "billing" in html
    assert "UTC" in html
    assert "UTC" in page(admin_client, "admin:jwt_outbound_issuerstate_change", "billing")


# The columns and filters of the list


def found_by(client: Client, pairs: dict[str, TokenPair], **query: str) -> set[str]:
    html = page(client, LIST, **query)
    return {name for name, pair in pairs.items() if str(pair.pk) in html}


@pytest.fixture
def four(alice: User) -> dict[str, TokenPair]:
    """Pairs that differ in all that is filtered by."""
    names = ("fresh", "over", "stuck", "unreadable")
    pairs = {name: store(User.objects.create_user(name)) for name in names}
    now = database_now()
    changes: dict[str, dict[str, Any]] = {
        "over": {"expires_at": now - 1, "outcome": "refreshed"},
        "stuck": {"failures": 5, "outcome": "unavailable", "expires_at": now + 1_800_000_000},
        "unreadable": {"access_sealed": b"\x01junk", "expires_at": None},
    }
    for name, columns in changes.items():
        TokenPair.objects.filter(pk=pairs[name].pk).update(**columns)
    return pairs


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"state": "fresh"}, {"fresh"}),
        ({"state": "expired"}, {"over"}),
        ({"state": "stuck"}, {"stuck"}),
        ({"state": "unreadable"}, {"unreadable"}),
        ({"outcome": "unavailable"}, {"stuck"}),
        ({"outcome": "stored"}, {"fresh", "unreadable"}),
        ({"expiry": "over"}, {"over"}),
        ({"expiry": "soon"}, {"fresh"}),
        ({"expiry": "hour"}, {"stuck"}),
        ({"expiry": "later"}, set()),
        ({"expiry": "unknown"}, {"unreadable"}),
        ({"state": "fresh", "outcome": "refreshed"}, set()),
        ({"state": "nonsense"}, set()),
    ],
)
def test_filtering(
    admin_client: Client, four: dict[str, TokenPair], query: dict[str, str], found: set[str]
) -> None:
    assert found_by(admin_client, four, **query) == found


def test_the_state_is_a_coloured_word(admin_client: Client, four: dict[str, TokenPair]) -> None:
    html = page(admin_client, LIST)
    for shade, word in (("good", "fresh"), ("bad", "stuck"), ("bad", "unreadable")):
        assert f'<span class="jwt-state jwt-{shade}">{word}</span>' in html
    assert "jwt_outbound/admin.css" in html


def test_when_it_was_refreshed_and_how_that_ended(admin_client: Client, alice: User) -> None:
    store(alice)
    with shift_clock(125):
        html = page(admin_client, LIST)
    assert "2 min 5 s ago" in html
    assert 'title="20' in html
    assert '<td class="field-last_outcome">stored</td>' in html


def test_searching_by_what_the_token_says(admin_client: Client, alice: User) -> None:
    bob = User.objects.create_user("bob")
    pairs = {
        "alice": store(alice, access=token(sub="subject-7", jti="number-8")),
        "bob": store(bob, access=token(user_id=99)),
    }
    assert found_by(admin_client, pairs, q="subject-7") == {"alice"}
    assert found_by(admin_client, pairs, q="number-8") == {"alice"}
    assert found_by(admin_client, pairs, q="99") == {"bob"}
    assert found_by(admin_client, pairs, q="number") == set(), "only the whole one"


def test_the_date_hierarchy(admin_client: Client, alice: User, tables: str) -> None:
    pair = store(alice)
    if connections[tables].features.has_zoneinfo_database:
        html = page(admin_client, LIST, created__year=str(pair.created.year))
        assert str(pair.pk) in html
    assert str(pair.pk) in page(admin_client, LIST)


def test_the_fingerprint_is_the_issuers(admin_client: Client, alice: User) -> None:
    opaque = "opaque-refresh-token-of-alice"
    pair = store(alice, refresh=opaque)
    html = page(admin_client, DETAIL, pair.pk)
    assert f"fingerprint: {hashlib.sha256(opaque.encode()).hexdigest()[:12]}" in html


def test_who_holds_the_lease(admin_client: Client, alice: User) -> None:
    pair = store(alice)
    lease = {"lease_id": 3, "lease_host": "web-1", "lease_pid": 7}
    TokenPair.objects.filter(pk=pair.pk).update(**lease, lease_until=database_now() + 9_000_000)
    assert ">3: web-1, process 7<" in page(admin_client, DETAIL, pair.pk)
    TokenPair.objects.filter(pk=pair.pk).update(lease_until=0)
    assert "nobody; last by 3: web-1" in page(admin_client, DETAIL, pair.pk)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"used_generation": 1}, "yes"),
        ({}, "not since its last refresh"),
        ({"parked": True}, "no: left alone until somebody uses it"),
    ],
)
def test_whether_it_is_in_use(
    admin_client: Client, alice: User, columns: dict[str, Any], said: str
) -> None:
    pair = store(alice)
    TokenPair.objects.filter(pk=pair.pk).update(**columns)
    html = page(admin_client, DETAIL, pair.pk)
    (shown,) = re.findall(r'field-in_use.*?<div class="readonly">(.*?)</div>', html, re.DOTALL)
    assert shown == said


def test_the_history_is_drawn(admin_client: Client, alice: User) -> None:
    assert '<svg class="jwt-chart"' in page(admin_client, DETAIL, store(alice).pk)
