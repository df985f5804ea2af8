"""What a user of the portal sees: calls, refreshes, an outage, and the end of the login."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Snap
from tests.demo.processes import Demo

LogIn = Callable[[str], None]


@pytest.fixture(autouse=True)
def alice(log_in: LogIn) -> None:
    log_in("alice")


def press(page: Page, label: str) -> None:
    page.get_by_role("button", name=re.compile(f"^{label}")).click()


def call_as_soon_as_told(page: Page) -> None:
    """The pair may still be in its cool-down: one comes back when `Retry-After` says."""
    for _ in range(5):
        with page.expect_response("**/call/") as response:
            press(page, "Call billing")
        if response.value.status == 200:
            return
        page.wait_for_timeout(1000 * int(response.value.headers["retry-after"]))
    raise AssertionError("the issuer is up again, and the call still fails")


def generation(page: Page) -> int:
    return int(page.locator("#generation").inner_text())


def test_a_call_is_answered(page: Page, snap: Snap) -> None:
    press(page, "Call billing")
    expect(page.locator("#answers li").first).to_contain_text("Billing answered with")
    snap("portal")


def test_one_watches_it_run_down_and_be_refreshed(page: Page) -> None:
    before = generation(page)
    expect(page.locator("#state")).to_have_text("expired")
    press(page, "Call billing")
    expect(page.locator("#generation")).to_have_text(str(before + 1))
    expect(page.locator("#state")).to_have_text("fresh")
    expect(page.locator("#history li").first).to_contain_text("refreshed")


def test_fifty_calls_at_once_refresh_once(page: Page) -> None:
    expect(page.locator("#state")).to_have_text("expired")
    press(page, "50 calls at once")
    expect(page.locator("#answers li").first).to_contain_text(
        "50 of 50 calls at once succeeded; billing's token endpoint saw 1 refresh request."
    )


def test_an_issuer_that_is_down_logs_nobody_out(page: Page, portal: Demo) -> None:
    press(page, "Token endpoint down")
    # In a cool-down a token serves to its real end.
    expect(page.locator("#left")).to_have_text("0.0 s")
    press(page, "Call billing")
    expect(page.locator("#answers li").first).to_contain_text("not available right now")
    page.goto(portal.portal)
    expect(page.locator("#pair-title")).to_be_visible()
    expect(page.locator("#endpoint")).to_have_text("up")
    call_as_soon_as_told(page)
    expect(page.locator("#state")).to_have_text("fresh")


def test_revoked_at_the_issuer_one_lands_on_the_login_page(page: Page, snap: Snap) -> None:
    press(page, "Revoke my login")
    expect(page.locator("#answers li").first).to_contain_text("has revoked")
    expect(page.locator("#state")).to_have_text("expired")
    press(page, "Call billing")
    page.wait_for_url("**/login/**")
    # The call's own answer says so, or the page's next look at its state, whichever comes first.
    expect(page.get_by_text(re.compile("has been ended there|session has ended"))).to_be_visible()
    snap("login-again")
