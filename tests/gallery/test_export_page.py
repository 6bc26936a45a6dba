"""The page of an export, opened from the disk as whoever is given the folder opens it."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import BrowserContext, expect

from rushes import ids
from rushes.studio import Studio
from tests.conftest import Server
from tests.gallery.conftest import apart, drawn, mixed, shot, stock
from tests.transfer.libraries import exported

HOSTILE = "</script><img src=x onerror=alert(1)>\n\"two\" 'lines' & <!-- \u2028"


def test_it_shows_everything_and_plays_it_with_no_server(
    context: BrowserContext, sqlite_server: Server, tmp_path: Path
) -> None:
    account, to = ids.uuid(), tmp_path / "out # ?"

    async def export(studio: Studio) -> None:
        await exported(studio, to, account)

    stock(sqlite_server, {"prompt": HOSTILE}, *mixed(9), account=account)
    apart(lambda: sqlite_server.do(export))
    page, told = context.new_page(), list[str]()
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("console", lambda line: told.append(line.text))
    page.on("requestfailed", lambda request: told.append(request.url))
    page.on("request", lambda request: told.extend([] if request.url.startswith("file:") else [request.url]))
    page.goto((to / "index.html").as_uri())
    expect(page.locator("#count")).to_have_text("9 videos, 1 image")
    assert page.locator(".tile img").evaluate_all("all => all.map(one => one.alt)") == [
        HOSTILE,
        *[f"Number {n}" for n in range(9)],
    ]
    page.wait_for_function("[...document.querySelectorAll('.tile img')].every(one => one.naturalWidth)")
    page.get_by_role("searchbox").fill("TWO lines")
    expect(page.locator("#count")).to_have_text("1 of 10")
    page.locator(".tile").click()
    assert page.locator("#prompt").text_content() == HOSTILE
    page.wait_for_function("document.querySelector('#stage video').readyState >= 2")
    drawn(page)
    shot(page, "export")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    assert told == []
