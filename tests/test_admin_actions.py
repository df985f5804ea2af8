"""What staff do about pairs: each action asks first, has its own permission, and is logged."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from jwt_outbound.models import IssuerState, SessionEpoch, TokenPair
from jwt_outbound.querysets import database_now
from jwt_outbound.testing import FakeIssuer

pytestmark = [pytest.mark.database, pytest.mark.django_db]

LIST = "/admin/jwt_outbound/tokenpair/"
ACTIONS = ["refresh_now", "revoke", "end_sessions", "clear_cool_down"]


@pytest.fixture
def fake() -> Iterator[FakeIssuer]:
    with FakeIssuer().serving("billing") as issuer:
        yield issuer


@pytest.fixture
def pair(fake: FakeIssuer) -> TokenPair:
    return fake.pair_for(User.objects.create_user("alice"))


def staff(*permissions: str) -> Client:
    """Who may look at pairs, and do what `permissions` say."""
    user = User.objects.create_user("staff", is_staff=True)
    wanted = {"view_tokenpair", *permissions}
    granted = Permission.objects.filter(codename__in=wanted)
    assert {permission.codename for permission in granted} == wanted
    user.user_permissions.set(granted)
    client = Client()
    client.force_login(user)
    return client


def may(action: str) -> Client:
    return staff(f"{action}_tokenpair")


def post(client: Client, action: str, *pairs: TokenPair, **more: str) -> Any:
    chosen = {"action": action, "_selected_action": [str(pair.pk) for pair in pairs], "index": "0"}
    return client.post(LIST, {**chosen, **more}, follow=True)


def do(client: Client, action: str, *pairs: TokenPair) -> list[str]:
    """The messages that staff read in the end."""
    response = post(client, action, *pairs, confirmed="yes")
    assert response.redirect_chain
    return [str(message) for message in response.context["messages"]]


def state_of(pair: TokenPair) -> dict[str, Any]:
    return TokenPair.objects.filter(pk=pair.pk).values().get()


@pytest.mark.parametrize("action", ACTIONS)
def test_it_asks_first_and_does_nothing_yet(pair: TokenPair, action: str) -> None:
    before = state_of(pair)
    client = may(action)
    response = post(client, action, pair)
    html = response.content.decode()
    assert "alice, billing" in html
    assert 'name="confirmed"' in html
    assert (state_of(pair), LogEntry.objects.count()) == (before, 0)
    assert not SessionEpoch.objects.exists()


@pytest.mark.parametrize("action", ACTIONS)
def test_each_has_a_permission_of_its_own(pair: TokenPair, action: str) -> None:
    client = staff(*(f"{other}_tokenpair" for other in ACTIONS if other != action))
    before = state_of(pair)
    post(client, action, pair, confirmed="yes")
    assert state_of(pair) == before
    assert not SessionEpoch.objects.exists()
    assert LogEntry.objects.count() == 0
    for url in (LIST, f"{LIST}{pair.pk}/change/"):
        html = client.get(url).content.decode()
        offered = [name for name in ACTIONS if f'value="{name}"' in html]
        assert offered == [other for other in ACTIONS if other != action]


def test_refresh_now(pair: TokenPair, fake: FakeIssuer) -> None:
    assert do(may("refresh_now"), "refresh_now", pair) == [
        "Token pair of alice for billing: refreshed."
    ]
    assert state_of(pair)["generation"] == pair.generation + 1
    assert len(fake.presentations) == 1
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user.get_username()) == (str(pair.pk), "staff")
    assert entry.get_change_message() == "refresh_now: refreshed."


def test_a_refused_refresh_says_what_the_issuer_said(pair: TokenPair, fake: FakeIssuer) -> None:
    fake.refuse(User.objects.get(username="alice"))
    (said,) = do(may("refresh_now"), "refresh_now", pair)
    assert "was refused by the issuer" in said
    assert "the issuer said token_not_valid" in said
    assert said.partition(": ")[2] in LogEntry.objects.get().get_change_message()


def test_a_failed_refresh_says_what_the_issuer_said(pair: TokenPair, fake: FakeIssuer) -> None:
    fake.fail(status=503)
    client = may("refresh_now")
    (said,) = do(client, "refresh_now", pair)
    assert "503" in said
    (again,) = do(client, "refresh_now", pair)
    assert "cool-down" in again
    assert len(fake.presentations) == 1
    assert state_of(pair)["refused_at"] == 0


def test_a_replay_that_could_end_the_login_is_not_sent(pair: TokenPair, fake: FakeIssuer) -> None:
    lost = {"presented_generation": pair.generation, "presented_at": 1, "presentations": 1}
    TokenPair.objects.filter(pk=pair.pk).update(**lost)
    (said,) = do(may("refresh_now"), "refresh_now", pair)
    assert "left as it is" in said
    assert fake.presentations == []


def test_an_inactive_user_is_not_refreshed(pair: TokenPair, fake: FakeIssuer) -> None:
    User.objects.filter(username="alice").update(is_active=False)
    (said,) = do(may("refresh_now"), "refresh_now", pair)
    assert "is not active" in said
    assert fake.presentations == []


def test_revoke_tells_the_issuer(pair: TokenPair, fake: FakeIssuer) -> None:
    client = may("revoke")
    assert do(client, "revoke", pair) == ["Token pair of alice for billing: revoked."]
    row = state_of(pair)
    assert (bytes(row["access_sealed"]), bytes(row["refresh_sealed"])) == (b"", b"")
    assert all(family.revoked for family in fake._families.values())
    assert do(client, "revoke", pair) == [
        "Token pair of alice for billing: it was revoked already."
    ]


def test_end_sessions(pair: TokenPair) -> None:
    alice = Client()
    alice.force_login(User.objects.get(username="alice"))
    assert do(may("end_sessions"), "end_sessions", pair) == [
        "Token pair of alice for billing: all sessions have ended."
    ]
    assert SessionEpoch.objects.get().epoch == 1
    assert state_of(pair)["generation"] == pair.generation


def test_clear_cool_down(pair: TokenPair, fake: FakeIssuer) -> None:
    later = database_now() + 60_000_000
    TokenPair.objects.filter(pk=pair.pk).update(cooldown_until=later, failures=3)
    IssuerState.objects.create(service="billing", cooling_until=later, failures=4)
    do(may("clear_cool_down"), "clear_cool_down", pair)
    row, issuer = state_of(pair), IssuerState.objects.get()
    assert (row["cooldown_until"], row["failures"]) == (0, 0)
    assert (issuer.cooling_until, issuer.failures) == (0, 0)


def test_many_at_once(fake: FakeIssuer) -> None:
    pairs = [fake.pair_for(User.objects.create_user(f"user-{n}")) for n in range(51)]
    client = may("end_sessions")
    assert len(do(client, "end_sessions", *pairs[:3])) == 3
    assert LogEntry.objects.count() == 3
    response = post(client, "end_sessions", *pairs, confirmed="yes", select_across="1")
    assert "at most 50" in response.content.decode()
    assert LogEntry.objects.count() == 3


def test_from_the_page_of_a_pair_one_comes_back_to_it(pair: TokenPair) -> None:
    client = may("refresh_now")
    html = post(client, "refresh_now", pair, from_detail="yes").content.decode()
    assert f'href="{LIST}{pair.pk}/change/"' in html
    response = post(client, "refresh_now", pair, from_detail="yes", confirmed="yes")
    assert response.redirect_chain == [(f"{LIST}{pair.pk}/change/", 302)]


def test_no_page_of_an_action_shows_a_token(pair: TokenPair, fake: FakeIssuer) -> None:
    client = staff(*(f"{action}_tokenpair" for action in ACTIONS))
    pages = [post(client, a, pair, **c) for a in ACTIONS for c in ({}, {"confirmed": "yes"})]
    html = "".join(page.content.decode() for page in pages)
    html += "".join(entry.change_message for entry in LogEntry.objects.all())
    assert [token for token in fake._families if token in html] == []


# The switch


def test_logouts_are_suspended_and_go_on(fake: FakeIssuer) -> None:
    client = staff("suspend_logouts_issuerstate")
    url = reverse("admin:jwt_outbound_switch_logouts", args=["billing"])
    assert "Suspend the logouts of billing?" in client.get(url).content.decode()
    assert not IssuerState.objects.exists(), "looking changes nothing"
    assert client.post(url, {"suspend": "1"})["Location"].endswith("/dashboard/")
    assert IssuerState.objects.get().suspended
    assert "are suspended" in client.get(url).content.decode()
    client.post(url, {"resume": "1"})
    assert not IssuerState.objects.get().suspended
    messages = [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]
    assert messages == ["logouts suspended", "logouts go on"]


def test_the_switch_is_for_those_who_may(fake: FakeIssuer) -> None:
    url = reverse("admin:jwt_outbound_switch_logouts", args=["billing"])
    client = staff("view_issuerstate")
    assert client.get(url).status_code == client.post(url, {"suspend": "1"}).status_code == 403
    assert not IssuerState.objects.exists()
    client.logout()
    assert "/admin/login/" in client.post(url, {"suspend": "1"})["Location"]


def test_a_service_that_is_not_there(admin_client: Client, fake: FakeIssuer) -> None:
    url = reverse("admin:jwt_outbound_switch_logouts", args=["biling"])
    assert admin_client.post(url, {"suspend": "1"}).status_code == 404
