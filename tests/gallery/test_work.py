"""What is under way, what it waits for, and what failed: cards that come, change and go by themselves."""

from __future__ import annotations

import sqlite3
from typing import Any

from playwright.sync_api import Locator, Page, expect

from rushes.model import JobState
from tests.conftest import V1, Server, wait_until
from tests.gallery.conftest import PHONE, shot, shots
from tests.gallery.test_make import SCRIPT, Visit, account, go, jobs, prompt

PROMPT = "A lighthouse over a calm sea at sunset"
SLOW = f"{PROMPT} [sandbox: slow 60s]"


def submit(server: Server, key: str, words: str, kind: str = "video", **more: Any) -> str:
    with server.client(key) as api:
        answer = api.post(f"/aistudio/{kind}s", json={"prompt": words, **more})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["jobId"])


def cards(page: Page) -> Locator:
    return page.locator("#work li")


def state(server: Server, key: str, job_id: str) -> str:
    return next(str(job["state"]) for job in jobs(server, key) if job["jobId"] == job_id)


def test_a_job_shows_what_it_waits_for_and_enters_the_library(sqlite_server: Server, visit: Visit) -> None:
    key = account(sqlite_server)
    page = visit(sqlite_server, key)
    expect(page.locator("#work")).to_be_hidden()
    page.evaluate("document.addEventListener('rushes:entered', e => (window.entered ??= []).push(e.detail.itemId))")
    page.evaluate("import('/gallery/make.js').then(make => make.openMake())")
    prompt(page).fill(f"{PROMPT} [sandbox: slow 3s] {SCRIPT}")
    go(page).click()
    expect(cards(page)).to_contain_text(f"{PROMPT} [sandbox: slow 3s] {SCRIPT}")
    expect(cards(page)).to_contain_text("pixverse5.5 · 16:9 · 5s")
    expect(cards(page).locator(".waits")).to_have_text("Waiting for the provider to make it")
    expect(page.locator("#work [aria-valuenow]")).to_be_visible()
    shot(page, "work-wide")
    expect(page.locator("#work-told")).to_contain_text("Under way: ")
    expect(page.locator("#work-told")).to_contain_text("Done: ", timeout=20_000)
    expect(page.locator("#work")).to_be_hidden()
    [job] = jobs(sqlite_server, key)
    assert page.evaluate("window.entered") == [job["itemId"]]
    assert page.evaluate("window.hacked") is None


def test_cancelling_asks_once_more(sqlite_server: Server, visit: Visit) -> None:
    key = account(sqlite_server)
    kept, gone = submit(sqlite_server, key, SLOW), submit(sqlite_server, key, f"{SLOW} again")
    page = visit(sqlite_server, key)
    expect(cards(page)).to_have_count(2)
    page.clock.install()
    cancel = cards(page).first.get_by_role("button")
    cancel.click()
    expect(cancel).to_have_text("Really cancel?")
    shot(page, "work-cancel")
    page.clock.fast_forward(5000)
    expect(cancel).to_have_text("Cancel")
    cancel.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(cards(page)).to_have_count(1)
    expect(cards(page).get_by_role("button")).to_be_focused()
    wait_until(lambda: state(sqlite_server, key, gone) == JobState.CANCELLED, 10, "the cancelling")
    assert state(sqlite_server, key, kept) != JobState.CANCELLED
    with sqlite_server.client(key) as api:
        api.post(f"/jobs/{kept}/cancel")


def test_a_failure_is_told_tried_again_and_dismissed(sqlite_server: Server, visit: Visit) -> None:
    key = account(sqlite_server)
    words = f"{PROMPT} [sandbox: fail] {SCRIPT}"
    job_id = submit(sqlite_server, key, words, "image", style="vintage", model="nanobanana")
    wait_until(lambda: state(sqlite_server, key, job_id) == JobState.FAILED, 20, "the failure")
    page = visit(sqlite_server, key, viewport=PHONE)
    expect(cards(page)).to_contain_text("The sandbox failed, as the prompt asked")
    expect(cards(page).locator("code")).to_have_text("PROVIDER_ERROR")
    shot(page, "work-failed-phone")
    cards(page).get_by_role("button", name="Try again").click()
    expect(prompt(page)).to_have_value(words)
    for name in ("nanobanana 4 each", "vintage"):
        expect(page.get_by_role("radio", name=name)).to_be_checked()
    page.keyboard.press("Escape")
    cards(page).get_by_role("button", name="Dismiss").click()
    expect(page.locator("#work")).to_be_hidden()
    with page.expect_response(f"**{V1}/aistudio/jobs?state=failed*"):
        page.reload()
    expect(page.locator("#work")).to_be_hidden()
    assert page.evaluate("window.hacked") is None


def test_what_a_provider_said_is_text_and_nothing_else(sqlite_server: Server, visit: Visit) -> None:
    key = account(sqlite_server)
    job_id = submit(sqlite_server, key, f"{PROMPT} [sandbox: fail]", "image")
    wait_until(lambda: state(sqlite_server, key, job_id) == JobState.FAILED, 20, "the failure")
    with sqlite3.connect(sqlite_server.data / "rushes.db") as database:
        database.execute("UPDATE jobs SET error_message = ? WHERE id = ?", (SCRIPT, job_id))
    page = visit(sqlite_server, key)
    expect(cards(page)).to_contain_text(SCRIPT)
    assert page.locator("#work img[src=x], #work script").count() == 0
    assert page.evaluate("window.hacked") is None


def test_many_at_once_stay_in_one_row(sqlite_server: Server, visit: Visit) -> None:
    key = account(sqlite_server)
    ids = [submit(sqlite_server, key, f"{SLOW} {number}") for number in range(8)]
    page = visit(sqlite_server, key, viewport=PHONE)
    expect(cards(page)).to_have_count(8)
    expect(cards(page).first).to_contain_text(f"{SLOW} 7")
    shot(page, "work-many-phone")
    box = page.locator("#work").bounding_box()
    assert box is not None
    assert box["height"] < 240
    with sqlite_server.client(key) as api:
        for job_id in ids:
            api.post(f"/jobs/{job_id}/cancel")
    expect(page.locator("#work")).to_be_hidden()


def test_it_asks_often_only_while_there_is_something_to_see(sqlite_server: Server, visit: Visit) -> None:
    key = account(sqlite_server)
    page = visit(sqlite_server, key)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "state=queued" in request.url else None)
    page.wait_for_load_state("networkidle")
    page.clock.install(time="2030-01-01T00:00:00Z")
    page.reload()
    page.wait_for_load_state("networkidle")
    page.clock.pause_at("2030-01-01T01:00:00Z")
    asked.clear()
    for _ in range(4):
        page.clock.run_for(2000)
        page.wait_for_load_state("networkidle")
    assert len(asked) <= 1
    job_id = submit(sqlite_server, key, SLOW)
    page.evaluate(
        "id => document.dispatchEvent(new CustomEvent('rushes:submitted', { detail: { jobIds: [id] } }))", job_id
    )
    expect(cards(page)).to_have_count(1)
    asked.clear()
    for number in range(1, 6):
        for _ in range(4):  # it sets its alarm a moment after an answer has come, and that clock stands still
            page.clock.run_for(1100)
            page.wait_for_timeout(200)
            if len(asked) >= number:
                break
        assert len(asked) >= number, "within five seconds by its clock"
    with sqlite_server.client(key) as api:
        api.post(f"/jobs/{job_id}/cancel")


def test_while_the_first_is_under_way_nobody_says_that_there_is_nothing(sqlite_server: Server, visit: Visit) -> None:
    key = account(sqlite_server)
    page = visit(sqlite_server, key)
    nothing = page.get_by_text("Nothing here yet")
    expect(nothing).to_be_visible()
    job_id = submit(sqlite_server, key, SLOW)
    page.reload()
    expect(cards(page)).to_have_count(1)
    expect(nothing).to_be_hidden()
    shots(page, "work-first")
    with sqlite_server.client(key) as api:
        api.post(f"/jobs/{job_id}/cancel")
    expect(nothing).to_be_visible()
