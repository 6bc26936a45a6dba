"""A real browser: Debian's Chromium, driven by Playwright. Without one the tests say that they were skipped, unless
``RUSHES_TEST_REFUSE_SKIP`` is set.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import pytest
from PIL import Image as Picture
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from rushes import ids
from rushes.model import Image, ImageRequest, Item, Kind, Video, VideoRequest
from rushes.studio import Studio
from tests.conftest import Server
from tests.media.clips import make
from tests.transfer.libraries import account_id, entered

Result = TypeVar("Result")

SHOTS = Path(os.environ.get("RUSHES_SCREENSHOTS", Path(__file__).parents[2] / "tests" / "gallery" / "screenshots"))
"""Where screenshots are kept for a person to look at; git does not."""

RESTS = """() => Promise.allSettled(document.getAnimations()
  .filter(one => one.effect.getComputedTiming().iterations < Infinity).map(one => one.finished))"""

WIDE: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """It ends with its file: while Playwright runs, it holds this process's event loop, and others need theirs."""
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
def visit(context: BrowserContext) -> Iterator[Callable[..., Page]]:
    """Open the gallery of a server, signed in with a key; what goes wrong in the page's own code fails the test."""
    errors: list[str] = []

    def opened(server: Server, key: str | None = None, path: str = "/", viewport: ViewportSize | None = None) -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(f"{error}\n{error.stack}"))
        if viewport:
            page.set_viewport_size(viewport)
        if key:
            page.add_init_script(f"localStorage.setItem('rushes.key', {key!r})")
        page.goto(server.url + path)
        return page

    yield opened
    # Raised in the handler, it would take the browser's driver with it.
    assert not errors, errors


def shot(page: Page, name: str) -> Path:
    """Keep what the page looks like once it has come to rest."""
    page.evaluate(RESTS)
    SHOTS.mkdir(parents=True, exist_ok=True)
    path = SHOTS / f"{name}.png"
    page.screenshot(path=path)
    return path


def shots(page: Page, name: str) -> None:
    """Keep it on a wide screen and on a phone, dark and light; it is left wide and light."""
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
        for size, viewport in (("phone", PHONE), ("wide", WIDE)):
            page.set_viewport_size(viewport)
            drawn(page)
            shot(page, f"{name}-{size}-{scheme}")


def drawn(page: Page) -> None:
    """Wait until the page has been drawn as it is now."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def apart(act: Callable[[], Result]) -> Result:
    """Do something in a thread of its own: Playwright's loop runs in this one, and would be in the studio's way."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(act).result()


DAY = 86_400_000
SHAPES = {"16:9": (96, 54), "9:16": (54, 96), "1:1": (64, 64), "4:3": (80, 60)}


def stock(server: Server, *told: dict[str, Any], account: str | None = None) -> str:
    """Enter items into an account (a new one, unless it is named), the first the newest; gives a key to it.

    What is told of an item: ``prompt``, ``kind``, ``shape``, ``age`` in ms, and the fields of its request.
    """
    account = account or ids.uuid()
    key = apart(lambda: server.key(account))

    async def enter(studio: Studio) -> None:
        owner, now = await account_id(studio, account), await studio.now()
        for number, one in enumerate(told):
            item = _item(owner, now - one.pop("age", (number + 1) * 1000), **one)
            await entered(studio, item, files=_files(item.width, item.height, item.request.kind))

    apart(lambda: server.do(enter))
    return key


def _item(owner: str, created: int, *, shape: str = "16:9", kind: str = "video", **told: Any) -> Item:
    file_id, (width, height) = ids.uuid(), SHAPES[shape]
    model = "pixverse5.5" if kind == "video" else "seedream3.0"
    told = {"prompt": "Waves at dusk", "aspect_ratio": shape, "model": model} | told
    if kind == "image":
        asked = ImageRequest(**told)
        return Image(file_id, owner, None, asked, created, width, height)
    request = VideoRequest(seconds=5, **told)
    return Video(ids.item_id(created), owner, file_id, None, request, created, width, height, 1.0)


@cache
def _files(width: int, height: int, kind: Kind) -> tuple[bytes, ...]:
    """A second of film and its stills, or a picture."""
    picture, jpeg, png = Picture.new("RGB", (width, height), (width * 2, 90, height * 2)), BytesIO(), BytesIO()
    picture.save(jpeg, "JPEG")
    picture.save(png, "PNG")
    if kind is Kind.IMAGE:
        return (png.getvalue(),)
    with tempfile.TemporaryDirectory() as folder:
        film = make(Path(folder) / "film.mp4", width=width, height=height).read_bytes()
    return film, jpeg.getvalue(), jpeg.getvalue(), png.getvalue()


def mixed(count: int, **told: Any) -> list[dict[str, Any]]:
    """What to tell of so many items of all shapes, a fifth of them images."""
    shapes = list(SHAPES)
    return [
        {"prompt": f"Number {n}", "shape": shapes[n % 4], "kind": "image" if n % 5 == 4 else "video"} | told
        for n in range(count)
    ]
