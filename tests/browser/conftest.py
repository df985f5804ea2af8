"""One demo for all tests here, and its pages in every size and colour."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import chromium
from tests.demo.processes import TOP, Demo, demo, manage

SCREENSHOTS = TOP / "var" / "screenshots"
IMAGES = TOP / "docs" / "images"
DOCS = "JWT_OUTBOUND_DOCS_IMAGES"
"""Set it to anything, and the pictures of the docs are taken anew."""

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
STAFF = """
from django.contrib.auth.models import Permission, User
for name, codes in {staff!r}.items():
    user, _ = User.objects.get_or_create(username=name, defaults={{"is_staff": True}})
    user.set_password(name + "-demo"); user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=codes))
"""
ACTIONS = ("refresh_now", "revoke", "end_sessions", "clear_cool_down")
PERMISSIONS = {
    "watcher": ["view_tokenpair", "view_tokenpairevent"],
    "doer": [
        "view_tokenpair",
        "view_tokenpairevent",
        "suspend_logouts_issuerstate",
        *(f"{action}_tokenpair" for action in ACTIONS),
    ],
}

Snap = Callable[..., None]


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    found = chromium.find()
    if found is None:
        pytest.skip("no chromium is installed")
    return {**browser_type_launch_args, "executable_path": found, "args": chromium.FLAGS}


@pytest.fixture(scope="session")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    directory = tmp_path_factory.mktemp("demo")
    with demo(directory) as running:
        made = manage(directory, "shell", "-c", STAFF.format(staff=PERMISSIONS))
        assert made.returncode == 0, made.stderr
        yield running


@pytest.fixture(autouse=True)
def patience(page: Page) -> None:
    """For a machine with little to spare; nothing waits that long where all is well."""
    page.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)


@pytest.fixture
def log_in(page: Page, portal: Demo) -> Callable[[str], None]:
    """`log_in("alice")` at the portal, or for staff at its admin."""

    def do(name: str) -> None:
        page.context.clear_cookies()
        billing = name in ("alice", "bob")
        page.goto(f"{portal.portal}/login/" if billing else f"{portal.portal}/admin/login/")
        page.fill("[name=username]", name)
        page.fill("[name=password]", f"{name}-demo")
        page.click("main button, form [type=submit]")
        page.wait_for_url(lambda url: "/login/" not in url)

    return do


@pytest.fixture
def snap(page: Page) -> Snap:
    """Pictures of the page as it is: both sizes, both colours, and nothing wider than the page."""

    def take(name: str, *, docs: bool = False) -> None:
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            for colours in ("light", "dark"):
                page.emulate_media(color_scheme=colours)
                _save(page, SCREENSHOTS / f"{name}-{size}-{colours}.png", full=True)
            too_wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert too_wide <= 0, f"{name}: {too_wide} pixels beyond a {size}"
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1000, "height": 640})
        if docs and os.environ.get(DOCS):
            _save(page, IMAGES / f"{name}.png", full=False)
        page.set_viewport_size({"width": 1280, "height": 900})

    return take


def _save(page: Page, path: Path, *, full: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=full, animations="disabled")
