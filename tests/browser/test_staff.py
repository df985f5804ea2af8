"""What staff see and do in the admin, with and without permission."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ACTIONS, Snap
from tests.demo.processes import Demo

LogIn = Callable[[str], None]


@pytest.fixture
def pairs(page: Page, portal: Demo, log_in: LogIn) -> str:
    """The list's address; alice and bob have each a pair, and alice's has a history."""
    for name in ("alice", "bob"):
        log_in(name)
        page.get_by_role("button", name=re.compile("^Call billing")).click()
        expect(page.locator("#answers li").first).to_contain_text("Billing answered with")
    return f"{portal.portal}/admin/jwt_outbound/tokenpair/"


def open_pair(page: Page, pairs: str, name: str = "alice") -> None:
    page.goto(f"{pairs}?q={name}")
    page.locator("#result_list tbody th a").first.click()
    expect(page.locator("h1").last).to_contain_text("read-only")


def test_the_list_its_filters_and_its_search(
    page: Page, pairs: str, log_in: LogIn, snap: Snap
) -> None:
    log_in("doer")
    page.goto(pairs)
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(2)
    expect(page.locator(".jwt-state").first).to_be_visible()
    snap("pairs", docs=True)
    page.get_by_role("link", name="in less than 5 minutes").click()
    assert "expiry=soon" in page.url
    page.goto(f"{pairs}?outcome=misconfigured")
    expect(rows).to_have_count(0)
    page.goto(f"{pairs}?state=revoked")
    expect(rows).to_have_count(0)
    page.goto(pairs)
    page.fill("#searchbar", "bob")
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("bob")


def test_the_page_of_a_pair(page: Page, pairs: str, log_in: LogIn, snap: Snap) -> None:
    log_in("doer")
    open_pair(page, pairs)
    for text in ("token_type", "without verifying", "fingerprint: ", "signatures"):
        expect(page.get_by_text(text).first).to_be_visible()
    expect(page.locator("svg.jwt-chart")).to_be_visible()
    assert not re.search(r"eyJ[\w-]+\.eyJ", page.content()), "a token is on the page"
    snap("pair", docs=True)


@pytest.mark.parametrize(
    ("button", "said"),
    [
        ("Refresh now", "refreshed."),
        ("Clear the cool-down", "the cool-down is over."),
        ("End all sessions", "all sessions have ended."),
        ("Revoke at the issuer", "revoked."),
    ],
)
def test_each_action_asks_and_then_says_what_came_of_it(
    page: Page, pairs: str, log_in: LogIn, snap: Snap, button: str, said: str
) -> None:
    log_in("doer")
    open_pair(page, pairs)
    page.get_by_role("button", name=button).click()
    expect(page.get_by_text("alice, billing")).to_be_visible()
    snap(f"confirm-{button.split()[0].lower()}", docs=button.startswith("Revoke"))
    page.get_by_role("button", name="Yes, do it").click()
    expect(page.locator(".messagelist")).to_contain_text(f"Token pair of alice for billing: {said}")
    assert page.url.endswith("/change/")


def test_an_action_from_the_list_by_keyboard(page: Page, pairs: str, log_in: LogIn) -> None:
    log_in("doer")
    page.goto(f"{pairs}?q=bob")
    page.locator("input.action-select").first.focus()
    page.keyboard.press("Space")
    page.select_option("select[name=action]", "refresh_now")
    page.locator("button[name=index]").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Yes, do it").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".messagelist")).to_contain_text("of bob for billing: refreshed.")


def test_without_permission_nothing_is_offered(page: Page, pairs: str, log_in: LogIn) -> None:
    log_in("watcher")
    open_pair(page, pairs)
    for action in ACTIONS:
        expect(page.locator(f"[value={action}]")).to_have_count(0)
    page.goto(pairs)
    expect(page.locator("select[name=action]")).to_have_count(0)
    page.goto(f"{pairs}dashboard/")
    expect(page.get_by_role("link", name="suspend", exact=True)).to_have_count(0)


def test_the_dashboard_and_the_switch(page: Page, pairs: str, log_in: LogIn, snap: Snap) -> None:
    log_in("doer")
    page.goto(pairs)
    page.get_by_role("link", name="Dashboard").click()
    expect(page.locator("svg.jwt-chart rect").first).to_be_visible()
    snap("dashboard", docs=True)
    page.get_by_role("link", name="suspend", exact=True).click()
    snap("switch")
    page.get_by_role("button", name="Suspend logouts").click()
    expect(page.locator(".jwt-state", has_text="suspended")).to_be_visible()
    page.get_by_role("link", name="let go on").click()
    page.get_by_role("button", name="Let logouts go on").click()
    expect(page.locator(".messagelist")).to_contain_text("illing: logouts go on")
