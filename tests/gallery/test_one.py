"""One item: its player, its facts, its lineage, and what can be made of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Server, wait_until
from tests.gallery.conftest import mixed, shot, shots, stock

Visit = Callable[..., Page]


def listed(server: Server, key: str, kind: str = "videos") -> list[dict[str, Any]]:
    with server.client(key) as client:
        found: list[dict[str, Any]] = client.get(f"/aistudio/{kind}").json()["items"]
    return found


def ready(page: Page) -> None:
    page.wait_for_function("() => document.querySelector('#stage video')?.readyState >= 2")


def test_an_item_has_an_address_and_every_fact(visit: Visit, sqlite_server: Server) -> None:
    key = stock(sqlite_server, *mixed(5, prompt="A red fox in the snow"))
    [item, *_], [image] = listed(sqlite_server, key), listed(sqlite_server, key, "images")
    page = visit(sqlite_server, key, f"/?item={item['id']}")
    ready(page)
    for name in ("id", "prompt", "model", "duration", "aspectRatio"):
        expect(page.locator("#one aside")).to_contain_text(item[name])
    expect(page.locator("#facts")).to_contain_text(f"{item['width']} × {item['height']}")
    assert page.title() == "A red fox in the snow · Rushes"
    shots(page, "one")
    page.get_by_role("button", name="Close").click()
    page.wait_for_function("() => location.search === ''")
    page.goto(f"{sqlite_server.url}/?item={image['id']}")
    expect(page.locator("#stage img")).to_have_attribute("alt", image["prompt"])
    expect(page.locator("#player")).to_be_hidden()
    page.goto(f"{sqlite_server.url}/?item=nobody")
    expect(page.get_by_text("There is no such item here")).to_be_visible()


def test_going_back_closes_and_arrows_go_on(visit: Visit, sqlite_server: Server) -> None:
    page = visit(sqlite_server, stock(sqlite_server, *mixed(4)))
    page.locator(".tile").nth(1).click()
    prompt = page.locator("#prompt")
    expect(prompt).to_have_text("Number 1")
    page.keyboard.press("ArrowRight")
    expect(prompt).to_have_text("Number 2")
    page.get_by_role("button", name="Newer").click()
    page.keyboard.press("ArrowLeft")
    expect(prompt).to_have_text("Number 0")
    expect(page.get_by_role("button", name="Newer")).to_be_disabled()
    page.go_back()
    expect(page.locator("#one")).to_be_hidden()
    expect(page.get_by_role("link", name="Number 0")).to_be_focused()
    page.go_forward()
    expect(prompt).to_have_text("Number 0")


def test_the_player_steps_loops_and_changes_its_speed(visit: Visit, sqlite_server: Server) -> None:
    page = visit(sqlite_server, stock(sqlite_server, {"prompt": "Waves"}))
    page.locator(".tile").click()
    ready(page)
    player = page.locator("#stage video")
    page.wait_for_function("() => document.querySelector('#stage video').currentTime > 0.2")
    page.keyboard.press(".")
    assert player.evaluate("video => video.paused")
    page.wait_for_function("() => !document.querySelector('#stage video').seeking")
    before = player.evaluate("video => video.currentTime")
    for _ in range(3):
        page.keyboard.press(",")
        page.wait_for_function("() => !document.querySelector('#stage video').seeking")
    assert abs(before - player.evaluate("video => video.currentTime") - 3 / 24) < 0.03
    assert player.evaluate("video => video.loop")
    page.keyboard.press("l")
    assert not player.evaluate("video => video.loop")
    page.get_by_label("Speed").select_option("0.25")
    assert player.evaluate("video => video.playbackRate") == 0.25
    page.locator("#stage video").focus()
    page.keyboard.press(">")
    assert player.evaluate("video => video.playbackRate") == 0.5


def test_what_can_be_copied_and_downloaded(visit: Visit, sqlite_server: Server) -> None:
    key = stock(sqlite_server, {"prompt": "Waves, 'slow'"})
    [item] = listed(sqlite_server, key)
    page = visit(sqlite_server, key)
    page.locator(".tile").click()
    copies = page.get_by_role("group", name="Copy")
    curl = f"curl '{sqlite_server.url}/pictoryapis/v1/aistudio/videos/{item['id']}' -H \"Authorization: $KEY\""
    for name, text in {"Link": item["url"], "Prompt": item["prompt"], "Id": item["id"], "curl": curl}.items():
        copies.get_by_text(name, exact=True).click()
        expect(copies.get_by_text("Copied").last).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == text
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == f"{item['id']}.mp4"


def test_deleting_waits_can_be_undone_and_is_sent_when_one_leaves(visit: Visit, sqlite_server: Server) -> None:
    key = stock(sqlite_server, *mixed(3))
    page = visit(sqlite_server, key)
    page.locator(".tile").first.click()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#one")).to_be_hidden()
    expect(page.locator(".tile")).to_have_count(2)
    shot(page, "one-deleting")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".tile")).to_have_count(3)
    assert len(listed(sqlite_server, key)) == 3
    page.locator(".tile").first.click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    assert len(listed(sqlite_server, key)) == 3
    page.goto(f"{sqlite_server.url}/docs")
    wait_until(lambda: len(listed(sqlite_server, key)) == 2, 5, "the deletion")


def test_a_deletion_is_sent_after_ten_seconds(visit: Visit, sqlite_server: Server) -> None:
    key = stock(sqlite_server, {"prompt": "Waves"})
    page = visit(sqlite_server, key)
    page.clock.install(time="2030-01-01T00:00:00Z")
    page.reload()
    page.locator(".tile").click()
    page.clock.pause_at("2030-01-01T01:00:00Z")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Undo").click()
    page.clock.run_for(11_000)
    assert len(listed(sqlite_server, key)) == 1
    page.locator(".tile").click()
    page.get_by_role("button", name="Delete").click()
    page.clock.run_for(9500)
    assert len(listed(sqlite_server, key)) == 1
    page.clock.run_for(1000)
    wait_until(lambda: listed(sqlite_server, key) == [], 5, "the deletion")
    expect(page.get_by_text("Nothing here yet")).to_be_visible()


def test_lineage_is_a_strip_that_leads_both_ways(visit: Visit, sqlite_server: Server) -> None:
    key = stock(sqlite_server)
    with sqlite_server.rushes(key) as client:
        first = client.videos.generate("Ocean waves", model="veo3.1", duration=4)
        second = client.videos.generate("The tide turns", first_frame=first)
        client.videos.generate("The tide, from above", extend=second)
    page = visit(sqlite_server, key, f"/?item={second.id}")
    strip = page.get_by_label("Lineage")
    expect(strip.locator("i")).to_have_text(["First frame", "This", "Extended"])
    ready(page)
    shot(page, "one-lineage")
    strip.get_by_role("link", name=re.compile("First frame")).click()
    expect(page.locator("#prompt")).to_have_text("Ocean waves")
    strip.get_by_role("link", name=re.compile("Continued")).click()
    expect(page.locator("#prompt")).to_have_text("The tide turns")


@pytest.mark.parametrize(
    ("kind", "act", "begins", "file"),
    [
        ("video", "Continue from last frame", "First frame", "_last_frame.png"),
        ("video", "Extend", "Extend", ".mp4"),
        ("video", "Use as reference", "References", "_preview.jpg"),
        ("video", "Again", "Words", None),
        ("image", "Make a video of it", "First frame", ".png"),
        ("image", "Use as reference", "image", ".png"),
        ("image", "Again", "image", None),
    ],
)
def test_what_can_be_made_of_it_opens_the_form_filled_in(
    visit: Visit, sqlite_server: Server, kind: str, act: str, begins: str, file: str | None
) -> None:
    words = "Waves at dusk, slowly"
    page = visit(sqlite_server, stock(sqlite_server, {"prompt": words, "kind": kind, "shape": "9:16"}))
    page.locator(".tile").click()
    page.get_by_role("button", name=act).click()
    form = page.locator("dialog.make")
    expect(form.locator("textarea")).to_have_value(words)
    for chosen in (begins, "9:16"):
        expect(form.get_by_role("radio", name=re.compile(rf"^{chosen}( |$)"))).to_be_checked()
    expect(form.locator("li")).to_have_count(1 if file else 0)
    if file:
        expect(form.locator("li span")).to_have_text(re.compile(rf"{re.escape(file)}$"))
    shot(page, f"make-{act.split()[0].lower()}-{kind}")


def test_whoever_presses_quickly_loses_nothing(visit: Visit, sqlite_server: Server) -> None:
    key = stock(sqlite_server, *mixed(3))
    page = visit(sqlite_server, key)
    page.locator(".tile").first.click()
    ready(page)
    player = page.locator("#stage video")
    page.wait_for_function("() => document.querySelector('#stage video').currentTime > 0.5")
    page.keyboard.press(",")
    before = player.evaluate("video => video.currentTime")
    for _ in range(4):
        page.keyboard.press(",")
    assert abs(before - player.evaluate("video => video.currentTime") - 4 / 24) < 0.03
    page.evaluate("[1, 2].forEach(() => document.querySelector('#older').click())")
    expect(page.locator("#prompt")).to_have_text("Number 2")
    page.evaluate("[1, 2].forEach(() => document.querySelector('#close').click())")
    expect(page.locator("#one")).to_be_hidden()
    assert page.url == f"{sqlite_server.url}/"
    page.locator(".tile").first.click()
    expect(page.locator("#one.video")).to_be_visible()
    page.evaluate("[1, 2].forEach(() => document.querySelector('#delete').click())")
    expect(page.locator(".toast")).to_have_count(1)


def test_without_tls_copying_works_too(visit: Visit, sqlite_server: Server) -> None:
    page = visit(sqlite_server, stock(sqlite_server, {"prompt": "Waves"}))
    page.evaluate("delete Navigator.prototype.clipboard")
    page.locator(".tile").click()
    page.get_by_role("group", name="Copy").get_by_text("Prompt").click()
    expect(page.get_by_text("Prompt copied")).to_be_visible()
    page.keyboard.press("m")
    page.keyboard.press("Escape")
    expect(page.locator("#one")).to_be_hidden()
    page.get_by_label("Search prompts").focus()
    page.keyboard.press("Control+v")
    expect(page.get_by_label("Search prompts")).to_have_value("Waves")
