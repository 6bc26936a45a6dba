"""The page as a whole: who comes in, what it may do, what it asks for, and whether everybody can use it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib import resources
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.sync_api import Page, ViewportSize, expect

from rushes import ids
from rushes.api.gallery import ASSETS
from rushes.studio import Studio
from tests.conftest import Server
from tests.gallery.conftest import PHONE, WIDE, apart, mixed, shot, stock
from tests.transfer.libraries import account_id

Visit = Callable[..., Page]

MOST_SCRIPT = 60_000
"""Bytes, as they are served: nothing is minified."""
EVIL = "<script>window.hurt=1</script><img src=x onerror='window.hurt=1'>"


def test_a_key_is_asked_for_once_and_kept(visit: Visit, sqlite_server: Server) -> None:
    account = ids.uuid()
    key = stock(sqlite_server, {"prompt": "Mine"}, account=account)
    page = visit(sqlite_server)
    field = page.get_by_label("Key", exact=True)
    expect(field).to_be_focused()
    assert field.get_attribute("type") == "password"
    shot(page, "sign-in")
    field.fill("rsh_not_a_key")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This key is not right, or it was revoked.")
    expect(field).to_have_value("rsh_not_a_key")
    assert page.evaluate("localStorage.getItem('rushes.key')") is None
    shot(page, "sign-in-wrong")
    page.keyboard.press("Escape")
    assert page.evaluate("document.querySelector('#sign-in').open")
    field.fill(key)
    field.press("Enter")
    expect(page.locator(".tile")).to_have_count(1)
    page.reload()
    expect(page.locator(".tile")).to_have_count(1)
    page.get_by_role("button", name="Sign out").click()
    expect(field).to_be_visible()
    assert page.evaluate("localStorage.getItem('rushes.key')") is None


def test_a_revoked_key_is_said_and_nothing_typed_is_lost(visit: Visit, sqlite_server: Server) -> None:
    account = ids.uuid()
    key = stock(sqlite_server, {"prompt": "Mine"}, account=account)
    page = visit(sqlite_server, key)
    expect(page.locator(".tile")).to_have_count(1)
    page.keyboard.press("m")
    page.locator("dialog[open] textarea").first.fill("Half a thought")
    apart(lambda: sqlite_server.do(lambda studio: revoke_all(studio, account)))
    expect(page.get_by_role("alert").filter(has_text="revoked")).to_be_visible(timeout=10_000)
    shot(page, "revoked")
    page.get_by_label("Key", exact=True).fill(stock(sqlite_server, account=account))
    page.get_by_label("Key", exact=True).press("Enter")
    expect(page.locator("#sign-in")).to_be_hidden()
    expect(page.locator("dialog[open] textarea").first).to_have_value("Half a thought")


async def revoke_all(studio: Studio, account: str) -> None:
    owner = await account_id(studio, account)
    for (name,) in await studio.store.rows("SELECT id FROM keys WHERE account_id = :id", id=owner):
        assert await studio.revoke_key(name)


def test_what_people_wrote_is_text_and_nothing_else(visit: Visit, sqlite_server: Server) -> None:
    links = ("javascript:window.hurt=1", f'https://elsewhere.example/"{EVIL}', EVIL)
    key = stock(
        sqlite_server,
        {"prompt": EVIL, "model": EVIL, "aspect_ratio": EVIL, "reference_image_urls": links},
        {"prompt": EVIL, "kind": "image", "model": EVIL, "style": EVIL, "reference_image_url": links[0]},
    )
    page = visit(sqlite_server)
    page.add_init_script(f"""
      localStorage.setItem('rushes.key', {key!r}); window.violations = [];
      addEventListener('securitypolicyviolation', event => violations.push(event.violatedDirective + event.blockedURI));
    """)
    page.goto(sqlite_server.url)
    for number in range(2):
        page.locator(".tile").nth(number).hover()
        expect(page.locator(".tile:hover .words")).to_have_text(EVIL)
        page.locator(".tile").nth(number).click()
        expect(page.locator("#prompt")).to_have_text(EVIL)
        expect(page.locator("#facts")).to_contain_text(EVIL)
        for link in page.locator("#lineage a").all():
            assert (link.get_attribute("href") or "").startswith(("http", "/?item=")) or not link.get_attribute("href")
        page.get_by_role("button", name="Again").click()
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        expect(page.locator("#one")).to_be_hidden()
    page.goto(f"{sqlite_server.url}/?q={EVIL}&model={EVIL}&kind={EVIL}&aspect={EVIL}&when={EVIL}&item={EVIL}")
    expect(page.get_by_text("There is no such item here")).to_be_visible()
    assert page.evaluate("window.hurt") is None
    assert page.locator("script:not([src]), [style*=javascript], img[src=x]").count() == 0
    assert page.evaluate("violations") == []


def test_the_page_keeps_its_own_policy_and_speaks_to_nobody_else(visit: Visit, sqlite_server: Server) -> None:
    key = stock(sqlite_server, *mixed(12))
    page = visit(sqlite_server)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.add_init_script(f"""
      localStorage.setItem('rushes.key', {key!r}); window.violations = [];
      addEventListener('securitypolicyviolation', event => violations.push(event.violatedDirective));
    """)
    page.goto(sqlite_server.url)
    page.locator(".tile").first.click()
    expect(page.locator("#facts")).to_contain_text("pixverse5.5")
    page.get_by_role("button", name="Again").click()
    assert page.evaluate("violations") == []
    assert {urlsplit(url).netloc for url in asked if not url.startswith("blob:")} == {
        urlsplit(sqlite_server.url).netloc
    }


def test_nobody_frames_it_and_no_type_is_guessed(sqlite_server: Server) -> None:
    with httpx2.Client(base_url=sqlite_server.url, trust_env=False) as client:
        for path in ("/", *(f"/gallery/{name}" for name in ASSETS)):
            headers = client.get(path).headers
            assert headers["x-frame-options"] == "DENY"
            assert headers["x-content-type-options"] == "nosniff"
            policy = headers["content-security-policy"]
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy


def test_its_scripts_are_small_and_all_of_them_are_used(sqlite_server: Server) -> None:
    scripts = {name: asset.content for name, asset in ASSETS.items() if name.endswith(".js")}
    assert sum(map(len, scripts.values())) < MOST_SCRIPT
    page = ASSETS["index.html"].content.decode()
    for name in scripts:
        used = (f'from "./{name}"', f'import("./{name}")')
        others = [other.decode() for other in scripts.values()]
        assert f"/gallery/{name}" in page or any(word in other for word in used for other in others), name
    assert "style=" not in page
    assert " on" + "click" not in page


def test_what_is_needed_at_once_is_named_at_once(sqlite_server: Server) -> None:
    """A module that another one asks for would come a round trip later."""
    page = ASSETS["index.html"].content.decode()
    named = set(re.findall(r'rel="modulepreload" href="/gallery/([a-z]+\.js)"', page))
    needed, new = set[str](), {"main.js"}
    while new:
        needed |= new
        new = {
            name for one in new for name in re.findall(r'from "./([a-z]+\.js)"', ASSETS[one].content.decode())
        } - needed
    assert named == needed - {"main.js"}


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_nothing_serious(visit: Visit, sqlite_server: Server, size: ViewportSize, scheme: str) -> None:
    page = visit(sqlite_server)
    page.set_viewport_size(size)
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark", reduced_motion="reduce")
    page.reload()
    expect(page.get_by_label("Key", exact=True)).to_be_visible()
    assert serious(page) == []
    page.get_by_label("Key", exact=True).fill(stock(sqlite_server, *mixed(9)))
    page.get_by_label("Key", exact=True).press("Enter")
    expect(page.locator(".tile").first).to_be_visible()
    assert serious(page) == []
    page.locator(".tile").first.click()
    expect(page.locator("#facts")).to_contain_text("pixverse5.5")
    assert serious(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#one")).to_be_hidden()
    page.evaluate("document.getElementById('keys').showModal()")
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("m")
    page.get_by_role("radio", name="References").check(force=True)
    expect(page.locator("dialog.make").get_by_role("radiogroup", name="Model")).to_be_visible()
    assert serious(page) == []


def serious(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical."""
    axe = (resources.files("axe_playwright_python") / "axe.min.js").read_text()
    page.evaluate(axe)
    found = json.loads(page.evaluate("axe.run().then(found => JSON.stringify(found.violations))"))
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {node['html']} {node['failureSummary']}" for one in grave for node in one["nodes"]]
