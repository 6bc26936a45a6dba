"""The form: what a server can make, out of what, for how much; nothing typed is lost, nothing is paid for twice."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import BrowserContext, FilePayload, Locator, Page, Request, Route, expect

from rushes import ids
from rushes.studio import Studio
from tests.conftest import V1, Server, wait_until
from tests.gallery.conftest import PHONE, shot, shots
from tests.media.clips import make

Visit = Callable[..., Page]
Json = dict[str, Any]

PROMPT = "A lighthouse over a calm sea at sunset [sandbox: stall]"
"""Never drawn: what is tried here is the form."""
SUBMISSIONS = ("/aistudio/videos", "/aistudio/images")
SCRIPT = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


def account(server: Server, credits: int | None = None) -> str:
    """A key to a new account; in a thread of its own, because the browser's loop runs in this one."""

    async def made(studio: Studio) -> str:
        name = ids.uuid()
        key = await studio.create_key(name, "")
        if credits is not None:
            await studio.money.set_credits(name, Decimal(credits))
        return key

    with ThreadPoolExecutor(1) as pool:
        return str(pool.submit(server.do, made).result())


def picture(name: str = "fox.png", colour: str = "tomato") -> FilePayload:
    file = io.BytesIO()
    Image.new("RGB", (320, 180), colour).save(file, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": file.getvalue()}


def opened(page: Page, **prefill: object) -> Locator:
    """Open the form and wait until it knows what this server makes."""
    page.evaluate("prefill => import('/gallery/make.js').then(make => make.openMake(prefill))", prefill or None)
    form = page.locator("dialog.make")
    expect(form.get_by_role("radiogroup", name="Model")).to_be_visible()
    return form


def chip(page: Page, name: str) -> Locator:
    return page.locator("dialog.make").get_by_role("radio", name=re.compile(rf"^{re.escape(name)}( |$)"))


def choose(page: Page, name: str) -> None:
    chip(page, name).check(force=True)


def prompt(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Prompt")


def go(page: Page) -> Locator:
    return page.locator("#make-go")


def error(page: Page, name: str) -> Locator:
    return page.locator(f".make .{name} .error")


def sent(page: Page) -> list[Request]:
    """The submissions the page makes from now on."""
    requests: list[Request] = []

    def note(request: Request) -> None:
        if request.method == "POST" and request.url.endswith(SUBMISSIONS):
            requests.append(request)

    page.on("request", note)
    return requests


def body(request: Request) -> Json:
    told = request.post_data_json
    assert isinstance(told, dict)
    return {name: value for name, value in told.items() if value is not None}


def jobs(server: Server, key: str) -> list[Json]:
    with server.client(key) as api:
        listed: list[Json] = api.get("/aistudio/jobs").json()["items"]
    return listed


def hear(page: Page) -> None:
    """Keep what the form tells the page."""
    page.evaluate("document.addEventListener('rushes:submitted', e => (window.told ??= []).push(e.detail.jobIds))")


def heard(page: Page) -> list[list[str]]:
    told: list[list[str]] = page.evaluate("window.told ?? []")
    return told


def drop(page: Page, kind: str, file: FilePayload) -> None:
    """Paste a file into the form, or drop it there."""
    page.evaluate(
        """([kind, name, type, bytes]) => {
          const files = new DataTransfer();
          files.items.add(new File([Uint8Array.from(atob(bytes), c => c.charCodeAt(0))], name, { type }));
          const more = { bubbles: true, cancelable: true };
          document.activeElement.dispatchEvent(kind === "paste"
            ? new ClipboardEvent("paste", { clipboardData: files, ...more })
            : new DragEvent("drop", { dataTransfer: files, ...more }));
        }""",
        [kind, file["name"], file["mimeType"], base64.b64encode(file["buffer"]).decode()],
    )


def test_the_form_changes_with_the_model_and_says_what_it_costs(sqlite_server: Server, visit: Visit) -> None:
    page = visit(sqlite_server, account(sqlite_server))
    form = opened(page)
    cost = page.locator("#make-cost")
    expect(cost).to_have_text("8 credits of 1,000,000 left this month")
    shots(page, "make")
    choose(page, "9:16")
    choose(page, "8s")
    choose(page, "3")
    expect(cost).to_contain_text("38.4 credits")
    expect(go(page)).to_contain_text("Make 3 videos")
    choose(page, "veo3.1")
    expect(form.locator(".aspectRatio input")).to_have_count(2)
    expect(form.locator(".duration input")).to_have_count(3)
    expect(chip(page, "9:16")).to_be_checked()
    expect(cost).to_contain_text("480 credits")
    choose(page, "image")
    choose(page, "flux-schnell")
    expect(form.locator(".style input")).to_have_count(7)
    expect(form.locator(".inputs")).to_be_hidden()
    expect(cost).to_contain_text("1.8 credits")
    choose(page, "video")
    expect(chip(page, "veo3.1")).to_be_checked()
    page.set_viewport_size(PHONE)
    shot(page, "make-phone-many")
    assert page.evaluate("document.querySelector('.make .body').scrollWidth <= innerWidth")


def test_by_keyboard_from_the_prompt_to_the_job(sqlite_server: Server, visit: Visit) -> None:
    key = account(sqlite_server)
    page = visit(sqlite_server, key)
    opened(page)
    hear(page)
    expect(prompt(page)).to_be_focused()
    page.keyboard.type(f"{PROMPT} {SCRIPT}")
    expect(page.locator("#make-count")).to_have_text(f"{len(PROMPT) + 1 + len(SCRIPT)} / 5,000")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect(chip(page, "9:16")).to_be_focused()
    shot(page, "make-focus")
    page.keyboard.press("Control+Enter")
    expect(page.locator("dialog.make")).not_to_be_visible()
    [job] = jobs(sqlite_server, key)
    assert job["request"] == {
        "prompt": f"{PROMPT} {SCRIPT}",
        "model": "pixverse5.5",
        "aspectRatio": "9:16",
        "duration": "5s",
    }
    assert heard(page) == [[job["jobId"]]]
    opened(page)
    expect(prompt(page)).to_have_value("")
    assert page.evaluate("window.hacked") is None


def test_inputs_by_picking_pasting_dropping_and_linking(sqlite_server: Server, visit: Visit, tmp_path: Path) -> None:
    key = account(sqlite_server)
    page = visit(sqlite_server, key)
    form = opened(page, prompt=PROMPT)
    drop(page, "paste", picture("first.png"))
    expect(chip(page, "First frame")).to_be_checked()
    expect(form.locator("li img")).to_be_visible()
    choose(page, "References")
    form.locator("[type=file]").set_input_files([picture("one.png", "seagreen"), picture("two.png", "gold")])
    link = page.get_by_label("Link", exact=True)
    link.fill("not a link")
    link.press("Enter")
    expect(error(page, "referenceImageUrls")).to_contain_text("This is no link")
    link.fill("https://example.com/three.png?size=large")
    link.press("Enter")
    expect(form.locator("li")).to_have_count(3)
    expect(form.locator("li").nth(2)).to_contain_text("three.png")
    expect(form.locator(".busy")).to_have_count(0)
    shots(page, "make-inputs")
    form.get_by_role("button", name="Move two.png up").press("Enter")
    expect(form.locator("li span")).to_have_text(["two.png", "one.png", "three.png"])
    form.get_by_role("button", name="Move three.png up").click()
    expect(form.get_by_role("button", name="Move three.png up")).to_be_focused()
    expect(form.locator("li span")).to_have_text(["two.png", "three.png", "one.png"])
    drop(page, "drop", picture("four.png"))
    expect(error(page, "referenceImageUrls")).to_contain_text("“four.png” was left out")
    form.get_by_role("button", name="Remove one.png").click()
    expect(form.locator("li")).to_have_count(2)
    expect(form.locator("[type=file]"), "the same one can be chosen again").to_have_value("")
    film = tmp_path / "film.mp4"
    make(film)
    choose(page, "Extend")
    form.locator("[type=file]").set_input_files(film)
    expect(form.locator("li video")).to_be_visible()
    expect(form.locator(".busy")).to_have_count(0)
    shot(page, "make-extend")
    choose(page, "References")
    expect(form.locator("li")).to_have_count(2)
    choose(page, "First frame")
    expect(form.locator("li")).to_contain_text("first.png")
    requests = sent(page)
    go(page).click()
    expect(form).not_to_be_visible()
    [only] = [body(request) for request in requests]
    assert only["firstFrameImageUrl"].startswith(f"{sqlite_server.url}/uploads/user/")
    assert not {"referenceImageUrls", "extendVideoUrl"} & set(only)


def test_an_image_with_a_style_and_a_link_that_was_never_added(sqlite_server: Server, visit: Visit) -> None:
    page = visit(sqlite_server, account(sqlite_server))
    opened(page, kind="image", prompt=PROMPT)
    requests = sent(page)
    choose(page, "vintage")
    choose(page, "nanobanana")
    page.get_by_label("Link", exact=True).fill("https://example.com/fox.png")
    shot(page, "make-image")
    go(page).click()
    expect(page.locator("dialog.make")).not_to_be_visible()
    assert body(requests[0]) == {
        "model": "nanobanana",
        "prompt": PROMPT,
        "aspectRatio": "1:1",
        "style": "vintage",
        "referenceImageUrl": "https://example.com/fox.png",
    }


def test_errors_stand_at_their_field(sqlite_server: Server, visit: Visit) -> None:
    page = visit(sqlite_server, account(sqlite_server), viewport=PHONE)
    form = opened(page, prompt="Hi", firstFrameImageUrl="ftp://example.com/fox.png")
    go(page).click()
    expect(error(page, "prompt")).to_have_text("Prompt must be 5 to 5,000 characters long; it has 2.")
    expect(error(page, "firstFrameImageUrl")).to_contain_text("must be an http or https URL")
    expect(prompt(page)).to_be_focused()
    expect(prompt(page)).to_have_attribute("aria-invalid", "true")
    expect(prompt(page)).to_have_accessible_description(
        "2 / 5,000 Prompt must be 5 to 5,000 characters long; it has 2."
    )
    shot(page, "make-errors-phone")
    prompt(page).fill(PROMPT)
    expect(error(page, "prompt")).to_have_text("")
    form.get_by_role("button", name="Remove fox.png").click()
    form.locator("[type=file]").set_input_files({"name": "fox.gif", "mimeType": "image/gif", "buffer": b"GIF89a"})
    expect(error(page, "firstFrameImageUrl")).to_have_text("“fox.gif” is not a PNG, JPEG or WebP picture.")
    expect(page.locator("#make-top")).to_be_empty()


def test_an_upload_that_fails_can_be_tried_again(sqlite_server: Server, visit: Visit) -> None:
    page = visit(sqlite_server, account(sqlite_server))
    form = opened(page, prompt=PROMPT)
    page.route("**/uploads/**", lambda route: route.abort())
    choose(page, "First frame")
    form.locator("[type=file]").set_input_files(picture())
    expect(form.locator("li.bad")).to_contain_text("It was not uploaded.")
    go(page).click()
    expect(error(page, "firstFrameImageUrl")).to_contain_text("Not all was uploaded")
    shot(page, "make-upload-failed")
    page.unroute("**/uploads/**")
    form.get_by_role("button", name="Try again").click()
    expect(form.locator("li")).to_contain_text("fox.png")
    go(page).click()
    expect(form).not_to_be_visible()


def test_a_retry_never_pays_twice(sqlite_server: Server, visit: Visit) -> None:
    key = account(sqlite_server)
    page = visit(sqlite_server, key)
    form = opened(page, prompt=PROMPT)
    hear(page)
    requests = sent(page)
    choose(page, "3")

    def lost(route: Route) -> None:
        """The second is carried out, but its answer does not come."""
        if len(requests) == 2:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route(f"**{V1}/aistudio/videos", lost)
    go(page).click()
    top = page.locator("#make-top")
    expect(top).to_have_text(
        "1 of 3 are under way. The server cannot be reached. Press again in a while: nothing is paid for twice."
    )
    expect(chip(page, "2")).to_be_checked()
    shot(page, "make-unreachable")
    page.reload()
    hear(page)
    opened(page)
    go(page).click()
    expect(form).not_to_be_visible()
    keys = [request.headers["idempotency-key"] for request in requests]
    assert keys[1] == keys[2]
    assert len(set(keys)) == 3
    assert len(jobs(sqlite_server, key)) == 3
    assert [len(told) for told in heard(page)] == [2]


def test_credits_that_do_not_cover_it(sqlite_server: Server, visit: Visit) -> None:
    page = visit(sqlite_server, account(sqlite_server, credits=5))
    opened(page, prompt=PROMPT)
    expect(page.locator("#make-cost")).to_have_text("8 credits but only 5 left this month")
    go(page).click()
    expect(page.locator("#make-top")).to_contain_text("This needs 8 AI credits and 5 of 5 are left this month")
    expect(prompt(page)).to_have_value(PROMPT)
    shot(page, "make-credits")


def test_drafts_outlive_escape_and_a_reload(sqlite_server: Server, visit: Visit) -> None:
    page = visit(sqlite_server, account(sqlite_server))
    form = opened(page)
    choose(page, "First frame")
    form.locator("[type=file]").set_input_files(picture())
    prompt(page).fill(f"{PROMPT} {SCRIPT}")
    choose(page, "10s")
    expect(form.locator(".busy")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(form).not_to_be_visible()
    opened(page)
    expect(prompt(page)).to_have_value(f"{PROMPT} {SCRIPT}")
    page.reload()
    opened(page, prompt="Something else, from the library")
    expect(prompt(page)).to_have_value("Something else, from the library")
    page.get_by_role("button", name=PROMPT[:30]).click()
    expect(prompt(page)).to_have_value(f"{PROMPT} {SCRIPT}")
    expect(chip(page, "10s")).to_be_checked()
    expect(form.locator("li img")).to_be_visible()
    shot(page, "make-draft")
    page.get_by_role("button", name="Start afresh").click()
    expect(prompt(page)).to_have_value("")
    expect(page.get_by_role("button", name=PROMPT[:30])).to_be_visible()
    assert page.evaluate("window.hacked") is None


def test_a_revoked_key_loses_nothing(sqlite_server: Server, visit: Visit) -> None:
    page = visit(sqlite_server, account(sqlite_server))
    form = opened(page)
    prompt(page).fill(PROMPT)
    answer = {"status": 401, "json": {"message": "Unauthorized"}}
    page.route(
        f"**{V1}/aistudio/videos",
        lambda route: route.fulfill(**answer) if route.request.method == "POST" else route.continue_(),
    )
    go(page).click()
    expect(form.locator(".top")).to_contain_text("What you typed is kept")
    expect(prompt(page)).to_have_value(PROMPT)
    page.unroute(f"**{V1}/aistudio/videos")
    page.locator("#sign-in #key").fill(account(sqlite_server))
    page.keyboard.press("Enter")
    expect(page.locator("#sign-in")).not_to_be_visible()
    go(page).click()
    expect(form).not_to_be_visible()


def test_only_what_this_server_can_make(sqlite_server: Server, visit: Visit) -> None:
    page = visit(sqlite_server, account(sqlite_server))

    def fewer(route: Route) -> None:
        told = route.fetch().json()
        for model in told["items"]:
            model["configured"] = model["model"] in ("veo3.1", "custom")
            model["inputs"] = [name for name in model["inputs"] if name == "firstFrameImageUrl"]
        route.fulfill(json=told)

    page.route(f"**{V1}/aistudio/models", fewer)
    form = opened(
        page, prompt=PROMPT, model="pixverse5.5", duration="10s", referenceImageUrls=["https://example.com/fox.png"]
    )
    expect(form.locator(".model input")).to_have_count(1)
    expect(form.locator(".model .hint")).to_have_text("pixverse5.5 is not made here.")
    expect(form.locator(".inputs .hint")).to_contain_text("This model does not take what was given here")
    expect(chip(page, "image")).to_be_disabled()
    expect(chip(page, "4s")).to_be_checked()


def test_a_server_that_is_away_can_be_asked_again(sqlite_server: Server, visit: Visit) -> None:
    page = visit(sqlite_server, account(sqlite_server))
    page.route(f"**{V1}/aistudio/models", lambda route: route.abort())
    page.evaluate("import('/gallery/make.js').then(make => make.openMake())")
    prompt(page).fill(PROMPT)
    expect(page.locator("#make-top")).to_contain_text("cannot be reached")
    shot(page, "make-offline")
    page.unroute(f"**{V1}/aistudio/models")
    page.locator("#make-top").get_by_role("button", name="Try again").click()
    go(page).click()
    expect(page.locator("dialog.make")).not_to_be_visible()


def test_the_smallest_prefill_of_the_library(sqlite_server: Server, visit: Visit) -> None:
    """Again, Extend and Use as reference fill in what they name."""
    key = account(sqlite_server)
    page = visit(sqlite_server, key)
    form = opened(page, kind="image", prompt=PROMPT, model="nanobanana", aspectRatio="9:16", style="cartoon")
    for name in ("nanobanana", "9:16", "cartoon"):
        expect(chip(page, name)).to_be_checked()
    opened(page, extendVideoUrl="https://example.com/film.mp4")
    expect(chip(page, "Extend")).to_be_checked()
    expect(form.locator("li")).to_contain_text("film.mp4")
    opened(page, referenceImageUrls=["https://example.com/1.png", "https://example.com/2.png"])
    expect(form.locator("li")).to_have_count(2)
    wait_until(lambda: not jobs(sqlite_server, key), 1, "no job of its own")


def test_one_who_types_before_the_models_are_known_keeps_the_focus(sqlite_server: Server, visit: Visit) -> None:
    page = visit(sqlite_server, account(sqlite_server))
    opened(page)
    page.keyboard.press("Escape")
    held: list[Route] = []
    page.route(f"**{V1}/aistudio/models", lambda route: held.append(route))
    page.get_by_role("button", name="Make").click()
    prompt(page).fill(PROMPT)
    chip(page, "5s").focus()
    page.keyboard.press("ArrowRight")
    expect(chip(page, "8s")).to_be_focused()
    with page.expect_response(f"**{V1}/aistudio/models"):
        for route in held:
            route.continue_()
    page.keyboard.press("ArrowRight")
    expect(chip(page, "10s")).to_be_focused()
    expect(chip(page, "10s")).to_be_checked()


def test_it_opens_offline_also_where_the_wall_never_came(
    sqlite_server: Server, visit: Visit, context: BrowserContext
) -> None:
    key = account(sqlite_server)
    page = visit(sqlite_server)
    page.route(f"**{V1}/aistudio/videos*", lambda route: None)
    page.add_init_script(f"localStorage.setItem('rushes.key', {key!r})")
    with page.expect_response("**/gallery/inputs.js"):
        page.goto(sqlite_server.url)
    page.wait_for_function("() => performance.getEntriesByName(`${location.origin}/gallery/inputs.js`).length")
    context.set_offline(True)
    page.get_by_role("button", name="Make").click()
    prompt(page).fill(PROMPT)
    expect(page.locator("#make-top")).to_contain_text("cannot be reached")


def test_without_tls_it_makes_too(sqlite_server: Server, visit: Visit) -> None:
    key = account(sqlite_server)
    page = visit(sqlite_server, key)
    page.evaluate("delete Crypto.prototype.randomUUID")
    opened(page, prompt=PROMPT)
    go(page).click()
    expect(page.locator("dialog.make")).not_to_be_visible()
    assert len(jobs(sqlite_server, key)) == 1
