"""``/aistudio/images`` (contract A3): the same envelope, paging and errors as videos."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any

import httpx2
import pytest

from rushes import ids
from rushes.catalogue import IMAGE_MODELS, STYLES
from rushes.model import Image, ImageRequest
from rushes.store import jobs
from rushes.store.library import IMAGES as LIBRARY
from rushes.studio import Studio
from tests.api import sockets
from tests.api.library import NOON, UUID, account_of, enter
from tests.api.library import video as a_video
from tests.api.takes import VIDEOS, Json, ended
from tests.conftest import V1, Server

IMAGES = "/aistudio/images"
ALWAYS = ["url", "id", "prompt", "aspectRatio", "createdDate", "model", "width", "height"]
GOOD = {"prompt": "a red fox in fresh snow"}
LINK = "https://media.example/ä.png?s=1&t=2"
SIZES = {"1:1": (1024, 1024), "16:9": (1280, 720), "9:16": (720, 1280)}


def post(api: httpx2.Client, **body: object) -> httpx2.Response:
    return api.post(IMAGES, content=json.dumps(body), headers={"Content-Type": "application/json"})


def submit(api: httpx2.Client, prompt: str = GOOD["prompt"], **asked: object) -> str:
    answer = post(api, prompt=prompt, **asked)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["jobId"])


def made(api: httpx2.Client, job_id: str) -> Json:
    """The item of a job, once it is in the list."""
    job = ended(api, job_id)
    assert job["data"]["status"] == "completed", job
    [item] = [item for item in api.get(IMAGES).json()["items"] if item["url"] == job["data"]["url"]]
    assert isinstance(item, dict)
    return item


def refused(answer: httpx2.Response, *names: str) -> dict[str, str]:
    """400 INVALID_REQUEST_BODY with exactly these fields."""
    assert answer.status_code == 400, answer.text
    body = answer.json()
    assert (list(body), body["code"]) == (["code", "message", "fields"], "INVALID_REQUEST_BODY")
    complaints = {field["name"]: field["errors"] for field in body["fields"]}
    assert sorted(complaints) == sorted(names)
    assert all(isinstance(complaint, str) and complaint for complaint in complaints.values())
    return complaints


def an_image(account_id: str, number: int = 0, **asked: Any) -> Image:
    """An image of that number: later ones are newer."""
    told = {"prompt": f"still {number}", "model": "seedream3.0", "aspect_ratio": "1:1", **asked}
    return Image(ids.uuid(), account_id, None, ImageRequest(**told), NOON + number, 1024, 1024)


def enter_images(server: Server, *entered: Image) -> None:
    async def add(studio: Studio) -> None:
        async with studio.store.write() as tx:
            for each in entered:
                await LIBRARY.add(tx, each)

    server.do(add)


@dataclass
class Album:
    """A new account with a client, and its images."""

    server: Server
    api: httpx2.Client
    account_id: str

    def put(self, count: int) -> list[Image]:
        entered = [an_image(self.account_id, number // 3) for number in range(count)]
        enter_images(self.server, *entered)
        return entered

    def page(self, token: str = "") -> Json:
        answer = self.api.get(IMAGES, params={"nextPageKey": token} if token else {})
        body = answer.raise_for_status().json()
        assert isinstance(body, dict)
        return body

    def walk(self) -> list[list[str]]:
        pages: list[list[str]] = []
        token = ""
        while not pages or token:
            body = self.page(token)
            pages.append([item["id"] for item in body["items"]])
            token = body.get("nextPageKey", "")
        return pages


@pytest.fixture
def album(server: Server, api: httpx2.Client) -> Album:
    return Album(server, api, account_of(server, api.headers["authorization"]))


def newest_first(entered: list[Image]) -> list[str]:
    return [each.id for each in sorted(entered, key=lambda each: (each.created, each.id), reverse=True)]


# --- the request ---


@pytest.fixture
def clerk(desk: Server) -> Iterator[httpx2.Client]:
    with desk.client() as client:
        yield client


def asked_of(desk: Server, clerk: httpx2.Client, job_id: str) -> ImageRequest:
    account_id = account_of(desk, clerk.headers["authorization"])
    job = desk.do(lambda studio: jobs.get(studio.store, account_id, job_id))
    assert isinstance(job.request, ImageRequest)
    return job.request


def test_a_prompt_alone_is_accepted_with_the_defaults(desk: Server, clerk: httpx2.Client) -> None:
    """Contract: "model (default seedream3.0), aspectRatio (default 1:1), style (…, no default)"."""
    answer = post(clerk, **GOOD)
    assert re.fullmatch(r'\{"success":true,"data":\{"jobId":"' + UUID + r'"\}\}', answer.text), answer.text
    request = asked_of(desk, clerk, answer.json()["data"]["jobId"])
    assert request == ImageRequest(GOOD["prompt"], "seedream3.0", "1:1")


@pytest.mark.parametrize("model", list(IMAGE_MODELS))
def test_each_model_takes_the_three_ratios_and_the_six_styles(desk: Server, clerk: httpx2.Client, model: str) -> None:
    styles = ["photorealistic", "artistic", "cartoon", "minimalist", "vintage", "futuristic"]
    for number, style in enumerate(styles):
        ratio = list(SIZES)[number % 3]
        request = asked_of(desk, clerk, submit(clerk, model=model, aspectRatio=ratio, style=style))
        assert (request.model, request.aspect_ratio, request.style) == (model, ratio, style)


@pytest.mark.parametrize("prompt", ["abcde", "x" * 5000, "🎬" * 5, "🎬" * 5000])
def test_a_prompt_has_5_to_5000_characters(desk: Server, clerk: httpx2.Client, prompt: str) -> None:
    """Contract: "prompt (5 to 5,000)"."""
    assert asked_of(desk, clerk, submit(clerk, prompt)).prompt == prompt


@pytest.mark.parametrize(
    "prompt", ["", "abcd", "🎬" * 4, "x" * 5001, "      ", "nul \x00 in it", 12345, ["abcde"], None]
)
def test_any_other_prompt_is_refused(clerk: httpx2.Client, prompt: object) -> None:
    refused(post(clerk, prompt=prompt), "prompt")


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("model", ["", "seedream", "SEEDREAM3.0", "pixverse5.5", "veo3.1", 3, ["seedream3.0"]]),
        ("aspectRatio", ["", "4:3", "3:4", "1x1", "1:1 ", 1, {"w": 1}]),
        ("style", ["", "Cartoon", "cartoon ", "photo", 7, ["cartoon"]]),
        (
            "referenceImageUrl",
            ["", "x", "ftp://a/b", "/a.png", 5, [LINK], "http://a/ b", "https://a.example/" + "x" * 2048],
        ),
        ("webhook", ["", "x", "ftp://a/b", True]),
    ],
)
def test_a_wrong_value_is_a_400_that_names_its_field(clerk: httpx2.Client, field: str, values: list[object]) -> None:
    for value in values:
        refused(post(clerk, **GOOD, **{field: value}), field)


def test_every_bad_field_is_named_at_once(clerk: httpx2.Client) -> None:
    """Contract: "Every bad field named at once"."""
    told = refused(
        post(clerk, prompt="abc", aspectRatio="4:3", style="loud", referenceImageUrl="x", webhook="y"),
        *("prompt", "aspectRatio", "style", "referenceImageUrl", "webhook"),
    )
    assert all(style in told["style"] for style in STYLES)
    assert all(ratio in told["aspectRatio"] for ratio in SIZES)
    told = refused(post(clerk, model="veo3.1", style="loud"), "prompt", "model", "style")
    assert all(model in told["model"] for model in IMAGE_MODELS)


def test_flux_schnell_takes_no_reference(clerk: httpx2.Client) -> None:
    """Contract: "flux-schnell takes no reference: 400 naming the field"."""
    told = refused(post(clerk, **GOOD, model="flux-schnell", referenceImageUrl=LINK), "referenceImageUrl")
    assert "flux-schnell" in told["referenceImageUrl"]
    refused(
        post(clerk, model="flux-schnell", referenceImageUrl=LINK, style="x"), "prompt", "style", "referenceImageUrl"
    )
    assert post(clerk, **GOOD, model="flux-schnell", referenceImageUrl=None).status_code == 200


def test_null_is_not_sent_and_what_only_videos_have_is_passed_over(desk: Server, clerk: httpx2.Client) -> None:
    job_id = submit(clerk, style=None, model=None, duration="99s", firstFrameImageUrl=5, referenceImageUrls=[])
    assert asked_of(desk, clerk, job_id) == ImageRequest(GOOD["prompt"], "seedream3.0", "1:1")


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b'{"prompt": "a red fox"', b'{"prompt": NaN}', b"\xff"])
def test_what_is_no_json_object_is_refused(clerk: httpx2.Client, body: bytes) -> None:
    answer = clerk.post(IMAGES, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"], answer.json()["fields"]) == (400, "INVALID_REQUEST_BODY", [])


# --- items ---


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({}, {}),
        ({"style": "vintage"}, {"style": "vintage"}),
        ({"reference_image_url": LINK}, {"referenceImageUrl": LINK}),
        ({"style": "cartoon", "reference_image_url": LINK}, {"style": "cartoon", "referenceImageUrl": LINK}),
    ],
)
def test_the_list_is_to_the_byte_what_the_contract_shows(album: Album, asked: Json, sent: Json) -> None:
    """Contract: "Item keys in order, to the byte: … then style, referenceImageUrl only if sent"."""
    one = an_image(album.account_id, prompt='„leise“ 🎬 "\\', **asked)
    enter_images(album.server, one)
    item = {
        "url": f"{album.server.url}/images/user/{album.account_id}/{one.id}.png",
        "id": one.id,
        "prompt": '„leise“ 🎬 "\\',
        "aspectRatio": "1:1",
        "createdDate": "2026-03-31T23:33:20.000Z",
        "model": "seedream3.0",
        "width": 1024,
        "height": 1024,
        **sent,
    }
    told = json.dumps(item, ensure_ascii=False, separators=(",", ":"))
    assert album.api.get(IMAGES).content.decode() == '{"items":[' + told + "]}"
    assert album.api.get(f"{IMAGES}/{one.id}").content.decode() == told


def test_an_account_without_images_gets_exactly_empty_items(api: httpx2.Client) -> None:
    answer = api.get(IMAGES)
    assert (answer.status_code, answer.content) == (200, b'{"items":[]}')


# --- pages ---


@pytest.mark.parametrize(("count", "pages"), [(99, [99]), (100, [100]), (101, [100, 1]), (250, [100, 100, 50])])
def test_a_page_holds_at_most_100_and_the_last_one_has_no_token(album: Album, count: int, pages: list[int]) -> None:
    entered = album.put(count)
    walked = album.walk()
    assert [len(page) for page in walked] == pages
    assert [each for page in walked for each in page] == newest_first(entered)


def test_a_walk_shows_what_stays_once_whatever_is_deleted_or_added_between(album: Album) -> None:
    """Deleted through the API: the last one shown, and one not shown yet; added: before and behind the cursor."""
    entered = album.put(230)
    order = newest_first(entered)
    first = album.page()
    for gone in (order[99], order[150]):
        assert album.api.delete(f"{IMAGES}/{gone}").content == b'{"success":true}'
    enter_images(album.server, an_image(album.account_id, 10_000))
    second = album.page(first["nextPageKey"])
    assert album.api.delete(f"{IMAGES}/{second['items'][-1]['id']}").content == b'{"success":true}'
    third = album.page(second["nextPageKey"])
    seen = [item["id"] for page in (first, second, third) for item in page["items"]]
    assert seen == [each for each in order if each != order[150]]
    assert "nextPageKey" not in third


def test_a_walk_is_exact_while_a_thread_deletes_and_adds(album: Album) -> None:
    staying, going = album.put(250), album.put(60)
    enough, deleted = Event(), 0

    def change() -> None:
        nonlocal deleted
        with album.server.client(album.api.headers["authorization"]) as api:
            for each in going:
                if enough.is_set():
                    break
                assert api.delete(f"{IMAGES}/{each.id}").status_code == 200
                deleted += 1

    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(change)
        walks: list[list[str]] = []
        while not changing.done() or not walks:
            walks.append([each for page in album.walk() for each in page])
        enough.set()
        changing.result()
    kept = {each.id for each in staying}
    assert deleted == len(going)
    for seen in walks:
        assert len(seen) == len(set(seen))
        assert [each for each in seen if each in kept] == newest_first(staying)


def test_tokens_of_either_list_are_refused_by_the_other(album: Album) -> None:
    """Contract: "tokens of the video list refused by the image list and the other way round"."""
    album.put(101)
    enter(album.server, *(a_video(album.account_id, number) for number in range(101)))
    tokens = {path: album.api.get(path).json()["nextPageKey"] for path in (IMAGES, VIDEOS)}
    for path, other in ((IMAGES, VIDEOS), (VIDEOS, IMAGES)):
        assert album.api.get(path, params={"nextPageKey": tokens[path]}).status_code == 200
        answer = album.api.get(path, params={"nextPageKey": tokens[other]})
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")
        assert [field["name"] for field in answer.json()["fields"]] == ["nextPageKey"]


def test_neither_list_shows_the_others_items(album: Album) -> None:
    enter(album.server, a_video(album.account_id))
    assert album.api.get(IMAGES).content == b'{"items":[]}'
    [one] = album.put(1)
    assert [item["id"] for item in album.page()["items"]] == [one.id]
    assert len(album.api.get(VIDEOS).json()["items"]) == 1


def test_the_list_has_an_etag_that_changes_with_its_items(album: Album) -> None:
    empty = album.api.get(IMAGES).headers["etag"]
    [one, _] = album.put(2)
    two = album.api.get(IMAGES).headers["etag"]
    again = album.api.get(IMAGES, headers={"If-None-Match": two})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", two)
    album.api.delete(f"{IMAGES}/{one.id}")
    answer = album.api.get(IMAGES, headers={"If-None-Match": f"{empty}, {two}"})
    assert (answer.status_code, len(answer.json()["items"])) == (200, 1)
    assert album.api.get(VIDEOS).headers["etag"] != answer.headers["etag"]


# --- one item ---


def test_a_video_and_an_image_are_shown_exactly_as_in_their_lists(album: Album) -> None:
    """Contract: "the item exactly as in its list"."""
    [one] = album.put(1)
    film = a_video(album.account_id)
    enter(album.server, film)
    for path, each in ((IMAGES, one.id), (VIDEOS, film.id)):
        answer = album.api.get(f"{path}/{each}")
        assert b'{"items":[' + answer.content + b"]}" == album.api.get(path).content
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize(
    "name", ["x", "%00", "a%00b", "%ff", "00000000-0000-4000-8000-000000000000", "%F0%9F%8E%AC", "'"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("path", [IMAGES, VIDEOS])
def test_an_unknown_item_is_404(server: Server, path: str, method: str, name: str) -> None:
    """Contract: "404 {"message":"Not Found"}", whatever stands for its id."""
    key = b"Authorization: " + server.key().encode()
    answer = sockets.ask(server, f"{V1}{path}/{name}".encode(), b"Host: a", key, method=method.encode())
    assert answer.status == 404
    assert answer.body == (b"" if method == "HEAD" else b'{"message":"Not Found"}')


def test_another_accounts_item_is_unknown_and_stays(album: Album) -> None:
    [one] = album.put(1)
    film = a_video(album.account_id)
    enter(album.server, film)
    with album.server.client() as stranger:
        for path in (f"{IMAGES}/{one.id}", f"{VIDEOS}/{film.id}"):
            assert stranger.get(path).content == b'{"message":"Not Found"}'
            assert stranger.delete(path).content == b'{"message":"Not Found"}'
            assert album.api.get(path).status_code == 200
    # nor does one list know the other's
    assert album.api.get(f"{VIDEOS}/{one.id}").status_code == album.api.get(f"{IMAGES}/{film.id}").status_code == 404
