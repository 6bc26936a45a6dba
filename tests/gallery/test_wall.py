"""The wall: what is on it, where it stands, and how one moves about on it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from bench.seed import seed
from playwright.sync_api import BrowserContext, Locator, Page, ViewportSize, expect

from rushes import ids
from tests.conftest import Server
from tests.gallery.conftest import DAY, PHONE, WIDE, apart, drawn, mixed, shot, shots, stock

HUGE: ViewportSize = {"width": 2560, "height": 1440}

Visit = Callable[..., Page]

PLACES = """() => [...document.querySelectorAll('.tile')].map(tile => {
  const { x, y, width, height } = tile.getBoundingClientRect(), picture = tile.querySelector('img');
  return { prompt: picture.alt, x, y, width, height, shape: picture.naturalWidth / picture.naturalHeight };
})"""


def tile(page: Page, prompt: str) -> Locator:
    return page.locator(".tile").filter(has=page.get_by_alt_text(prompt, exact=True))


def places(page: Page) -> list[dict[str, Any]]:
    """Where the tiles stand, once their pictures are there."""
    drawn(page)
    page.wait_for_function("""() => {
      const all = [...document.querySelectorAll('.tile img')];
      const moving = document.querySelector('#wall').getAnimations({ subtree: true });
      return all.length && all.every(one => one.complete && one.naturalWidth) && !moving.length;
    }""")
    found: list[dict[str, Any]] = page.evaluate(PLACES)
    return found


def test_every_item_stands_in_its_own_shape_in_full_rows_newest_first(visit: Visit, sqlite_server: Server) -> None:
    page = visit(sqlite_server, stock(sqlite_server, *mixed(48)))
    for size in (HUGE, WIDE, PHONE):
        page.set_viewport_size(size)
        found = places(page)
        assert [one["prompt"] for one in found] == [f"Number {n}" for n in range(len(found))]
        for one in found:
            assert abs(one["width"] - one["height"] * one["shape"]) < 3, one
        wall = page.locator("#wall").bounding_box()
        assert wall
        rows: dict[float, list[dict[str, Any]]] = {}
        for one in found:
            rows.setdefault(one["y"], []).append(one)
        for row in list(rows.values())[:-1]:
            assert row[0]["x"] == wall["x"]
            assert row[-1]["x"] + row[-1]["width"] == wall["x"] + wall["width"]
            assert all(b["x"] - a["x"] - a["width"] == 6 for a, b in pairwise(row))
        name = {2560: "huge", 1440: "wide", 390: "phone"}[size["width"]]
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            shot(page, f"wall-{name}-{scheme}")


def test_more_comes_as_one_scrolls_and_few_are_elements(visit: Visit, sqlite_server: Server) -> None:
    account = ids.uuid()
    apart(lambda: sqlite_server.do(lambda studio: seed(studio, account, 450)))
    key = apart(lambda: sqlite_server.key(account))
    page = visit(sqlite_server, key)
    expect(page.locator(".tile").first).to_be_visible()
    seen: dict[str, float] = {}
    while len(seen) < 450:
        new = page.evaluate("""() => [...document.querySelectorAll('.tile')].map(tile =>
            [tile.search, tile.getBoundingClientRect().top + scrollY])""")
        assert page.evaluate("document.querySelectorAll('#wall *').length") <= 300
        for item, y in new:
            assert abs(seen.setdefault(item, y) - y) < 1, "it has moved"
        page.evaluate("scrollBy(0, 500)")
        drawn(page)
    with sqlite_server.rushes(key) as client:
        listed = [item.id for item in client.videos.list()]
    assert [item.removeprefix("?item=") for item in seen] == listed


def test_what_is_new_appears_at_the_top_by_itself(visit: Visit, sqlite_server: Server) -> None:
    account = ids.uuid()
    page = visit(sqlite_server, stock(sqlite_server, *mixed(5, age=DAY), account=account))
    expect(page.locator(".tile")).to_have_count(5)
    stock(sqlite_server, {"prompt": "The newest"}, account=account)
    expect(page.locator(".tile img").first).to_have_attribute("alt", "The newest", timeout=10_000)
    stock(sqlite_server, {"prompt": "Newer still"}, account=account)
    page.evaluate("document.dispatchEvent(new Event('rushes:entered'))")
    expect(page.locator(".tile img").first).to_have_attribute("alt", "Newer still", timeout=3000)


def test_what_somebody_looks_at_stays_where_it_is(visit: Visit, sqlite_server: Server) -> None:
    account = ids.uuid()
    page = visit(sqlite_server, stock(sqlite_server, *mixed(60, age=DAY), account=account))
    expect(page.locator(".tile").first).to_be_visible()
    page.evaluate("scrollTo(0, 900)")
    watched = page.locator(".tile").nth(20)
    prompt = watched.locator("img").get_attribute("alt") or ""
    before = tile(page, prompt).bounding_box()
    stock(sqlite_server, *({"prompt": f"New {n}", "age": 0} for n in range(3)), account=account)
    expect(page.get_by_role("button", name="3 new")).to_be_visible(timeout=10_000)
    assert tile(page, prompt).bounding_box() == before
    shot(page, "wall-news")
    page.get_by_role("button", name="3 new").click()
    page.wait_for_function("() => scrollY === 0")
    expect(tile(page, "New 0")).to_be_visible()
    expect(page.get_by_role("button", name="3 new")).to_be_hidden()


def test_what_was_deleted_disappears(visit: Visit, sqlite_server: Server) -> None:
    key = stock(sqlite_server, *mixed(4))
    page = visit(sqlite_server, key)
    expect(page.locator(".tile")).to_have_count(4)
    with sqlite_server.client(key) as client:
        gone = client.get("/aistudio/videos").json()["items"][1]
        assert client.delete(f"/aistudio/videos/{gone['id']}").status_code == 200
    expect(page.locator(".tile")).to_have_count(3, timeout=10_000)
    expect(tile(page, gone["prompt"])).to_have_count(0)


def test_everything_is_done_by_keys(visit: Visit, sqlite_server: Server) -> None:
    page = visit(sqlite_server, stock(sqlite_server, *mixed(30)))
    expect(page.locator(".tile").first).to_be_visible()
    focused = "document.activeElement.querySelector('img')?.alt"
    page.keyboard.press("/")
    expect(page.get_by_label("Search prompts")).to_be_focused()
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == "Number 0"
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == "Number 1"
    shot(page, "wall-focus")
    page.keyboard.press("ArrowDown")
    below = page.evaluate(focused)
    page.keyboard.press("ArrowUp")
    assert page.evaluate(focused) == "Number 1" != below
    page.keyboard.press("End")
    assert page.evaluate(focused) == "Number 29"
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator("#one")).to_be_visible()
    expect(page.locator("#prompt")).to_have_text("Number 0")
    page.keyboard.press("Escape")
    expect(page.locator("#one")).to_be_hidden()
    assert page.evaluate(focused) == "Number 0"
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    shot(page, "keys")
    page.keyboard.press("Escape")
    page.keyboard.press("m")
    expect(page.locator("dialog[open]")).to_be_visible()


def test_hovering_plays_without_sound(visit: Visit, sqlite_server: Server) -> None:
    page = visit(sqlite_server, stock(sqlite_server, {"prompt": "Waves"}, {"prompt": "Still", "kind": "image"}))
    tile(page, "Waves").hover()
    page.wait_for_function("() => document.querySelector('.tile video')?.currentTime > 0")
    assert page.evaluate("document.querySelector('.tile video').muted")
    assert page.locator(".words:visible").inner_text() == "Waves"
    tile(page, "Still").hover()
    expect(page.locator(".tile video")).to_have_count(0)
    page.emulate_media(reduced_motion="reduce")
    tile(page, "Waves").hover()
    expect(page.locator(".words:visible")).to_have_text("Waves")
    page.wait_for_timeout(600)
    expect(page.locator(".tile video")).to_have_count(0)


def test_an_empty_library_and_a_library_of_one(visit: Visit, sqlite_server: Server) -> None:
    account = ids.uuid()
    page = visit(sqlite_server, stock(sqlite_server, account=account))
    expect(page.get_by_text("Nothing here yet")).to_be_visible()
    shots(page, "wall-empty")
    stock(sqlite_server, {"prompt": "The first"}, account=account)
    expect(tile(page, "The first")).to_be_visible(timeout=10_000)
    expect(page.locator("#state")).to_be_hidden()
    shots(page, "wall-one")
    page.get_by_label("Search prompts").fill("nobody asked for this")
    expect(page.get_by_text("Nothing here holds all of that")).to_be_visible()
    shots(page, "wall-none-found")


def test_offline_and_slow_and_broken_are_said(visit: Visit, context: BrowserContext, sqlite_server: Server) -> None:
    page = visit(sqlite_server, stock(sqlite_server, *mixed(6)))
    expect(page.locator(".tile")).to_have_count(6)
    context.set_offline(True)
    words = "The server cannot be reached. What was read before is still here."
    expect(page.locator("#state p:visible")).to_have_text(words, use_inner_text=True, timeout=10_000)
    expect(page.locator(".tile")).to_have_count(6)
    shots(page, "wall-offline")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    context.set_offline(False)
    expect(page.locator("#state")).to_be_hidden()

    waiting: list[Any] = []
    page.route("**/aistudio/videos*", lambda route: waiting.append(route))
    page.reload()
    expect(page.get_by_text("Loading…")).to_be_visible()
    shots(page, "wall-slow")
    page.unroute("**/aistudio/videos*")
    expect(page.locator(".tile")).to_have_count(6)

    page.route(
        "**/aistudio/videos*", lambda route: route.fulfill(status=500, json={"message": "Internal Server Error"})
    )
    page.reload()
    expect(page.get_by_text("Internal Server Error")).to_be_visible()
    shots(page, "wall-broken")
    page.unroute("**/aistudio/videos*")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".tile")).to_have_count(6)


def test_search_and_filters_stand_in_the_address(visit: Visit, sqlite_server: Server) -> None:
    key = stock(
        sqlite_server,
        {"prompt": "A red fox", "shape": "9:16"},
        {"prompt": "A red boat", "shape": "16:9", "model": "veo3.1"},
        {"prompt": "A red lamp", "kind": "image", "shape": "1:1"},
        {"prompt": "A blue boat", "shape": "16:9", "age": 3 * DAY},
    )
    page = visit(sqlite_server, key)
    tiles = page.locator(".tile")
    expect(tiles).to_have_count(4)
    page.get_by_label("Search prompts").press_sequentially("re", delay=20)
    page.wait_for_url("**/?q=re")
    page.get_by_label("Search prompts").press_sequentially("d")
    page.wait_for_url("**/?q=red")
    expect(tiles).to_have_count(3)
    page.get_by_role("radio", name="Videos").check()
    expect(tiles).to_have_count(2)
    page.get_by_label("Shape").select_option("9:16")
    expect(tiles).to_have_count(1)
    assert page.evaluate("location.search") == "?q=red&kind=videos&aspect=9%3A16"
    shared = visit(sqlite_server, key, "/?q=red&kind=videos&aspect=9%3A16")
    expect(shared.locator(".tile")).to_have_count(1)
    expect(shared.get_by_label("Search prompts")).to_have_value("red")
    page.go_back()
    expect(tiles).to_have_count(2)
    page.go_back()
    expect(tiles).to_have_count(3)
    expect(page.get_by_role("radio", name="All")).to_be_checked()
    page.go_back()
    expect(tiles).to_have_count(4)
    page.go_forward()
    expect(tiles).to_have_count(3)
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("combobox", name="Time").select_option("day")
    expect(tiles).to_have_count(3)
    page.get_by_label("Model").select_option("veo3.1")
    expect(tiles).to_have_count(1)


def test_without_pictures_the_prompts_are_read(visit: Visit, sqlite_server: Server) -> None:
    key = stock(sqlite_server, *mixed(8))
    page = visit(sqlite_server)
    page.route("**/*.jpg", lambda route: route.abort())
    page.add_init_script(f"localStorage.setItem('rushes.key', {key!r})")
    page.goto(sqlite_server.url)
    expect(page.locator(".tile.blind")).to_have_count(7)
    expect(page.get_by_role("link", name="Number 0")).to_be_visible()
    shot(page, "wall-without-pictures")


def test_what_is_far_is_forgotten_and_read_again(visit: Visit, sqlite_server: Server) -> None:
    account = ids.uuid()
    apart(lambda: sqlite_server.do(lambda studio: seed(studio, account, 1200)))
    page = visit(sqlite_server)
    key = apart(lambda: sqlite_server.key(account))
    # It does not look around by itself, so that it reads again what it needs, when it needs it.
    page.add_init_script(f"localStorage.setItem('rushes.key', {key!r}); window.setInterval = () => 0")
    page.goto(sqlite_server.url)
    first = page.locator(".tile").first.get_attribute("href") or ""
    words = page.locator(f"#wall [href='{first}'] img").get_attribute("alt")
    while page.evaluate("Math.max(...[...document.querySelectorAll('.tile')].map(tile => tile.index))") < 1199:
        page.evaluate("scrollBy(0, 2000)")
        drawn(page)
    told = "import('/gallery/wall.js').then(({ loaded }) => loaded().filter(item => item.told).length)"
    assert page.evaluate(told) < 700
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator(f"#wall [href='{first}'] img")).to_have_attribute("alt", words or "")
    assert page.locator(".tile:not(:has(img))").count() == 0


def test_what_is_typed_and_pressed_at_once_is_not_lost(visit: Visit, sqlite_server: Server) -> None:
    """Also where the wall is still being read, or the typing not yet looked at."""
    page = visit(sqlite_server, stock(sqlite_server, {"prompt": "A red fox"}, {"prompt": "A blue boat"}))
    expect(page.locator(".tile")).to_have_count(2)
    page.get_by_label("Search prompts").focus()
    page.keyboard.type("boat")
    page.keyboard.press("Enter")
    expect(tile(page, "A blue boat")).to_be_focused()
    expect(page.locator(".tile")).to_have_count(1)
    page.get_by_label("Search prompts").fill("red")
    page.get_by_role("radio", name="Videos").check()
    expect(tile(page, "A red fox")).to_be_visible()
    assert page.evaluate("location.search") == "?q=red&kind=videos"
    expect(page.get_by_label("Search prompts")).to_have_value("red")
