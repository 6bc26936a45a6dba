"""A real browser: Debian's Chromium, driven by Playwright. Without one the tests say that they were skipped, unless
``RUSHES_TEST_REFUSE_SKIP`` is set.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from tests.conftest import Server

SHOTS = Path(os.environ.get("RUSHES_SCREENSHOTS", Path(__file__).parents[2] / "tests" / "gallery" / "screenshots"))
"""Where screenshots are kept for a person to look at; git does not."""

WIDE: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        if os.environ.get("RUSHES_TEST_REFUSE_SKIP"):
            raise AssertionError("there is no Chromium, and skipping is refused: apt-get install chromium")
        pytest.skip("there is no Chromium here (apt-get install chromium), so the gallery was not tested")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        yield launched
        launched.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that knows nothing yet."""
    made = browser.new_context(viewport=WIDE, permissions=["clipboard-read", "clipboard-write"])
    yield made
    made.close()


@pytest.fixture
def visit(context: BrowserContext) -> Callable[..., Page]:
    """Open the gallery of a server, signed in with a key; what goes wrong in the page's own code fails the test."""

    def opened(server: Server, key: str | None = None, path: str = "/", viewport: ViewportSize | None = None) -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: pytest.fail(f"the page met an error: {error}"))
        if viewport:
            page.set_viewport_size(viewport)
        if key:
            page.add_init_script(f"localStorage.setItem('rushes.key', {key!r})")
        page.goto(server.url + path)
        return page

    return opened


def shot(page: Page, name: str) -> Path:
    """Keep what the page looks like now."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    path = SHOTS / f"{name}.png"
    page.screenshot(path=path)
    return path
