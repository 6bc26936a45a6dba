"""From a prompt to an image in the library (contract A3): the files, what they were made from, how they go."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import av
import httpx2
import numpy as np
import pytest
from aiohttp import web
from PIL import Image as Picture

from rushes import ids
from rushes.catalogue import IMAGE_MODELS
from tests.api.conftest import Take, take_of
from tests.api.library import UUID, account_of
from tests.api.takes import VIDEOS, Json, completed, ended
from tests.api.test_images import ALWAYS, GOOD, IMAGES, SIZES, made, submit
from tests.conftest import Server, serving

pytestmark = pytest.mark.xdist_group("portfolio")  # one portfolio for all of them

CASES: dict[str, Json] = {
    "seedream3.0": {"aspectRatio": "1:1", "style": "photorealistic"},
    "flux-schnell": {"aspectRatio": "16:9", "style": "artistic"},
    "nanobanana": {"aspectRatio": "9:16", "style": "cartoon"},
    "nanobanana-pro": {"aspectRatio": "16:9", "style": "minimalist"},
    "seedream3.0 vintage": {"aspectRatio": "9:16", "style": "vintage"},
    "nanobanana futuristic": {"aspectRatio": "1:1", "style": "futuristic"},
    "seedream3.0 plain": {},
}


@dataclass(frozen=True)
class Portfolio:
    """What was made by every model, ratio and style, and from references; and a video that opens on one of them."""

    take: Take
    jobs: dict[str, str]
    items: dict[str, Json]
    video: Json


def _picture() -> bytes:
    out = io.BytesIO()
    Picture.new("RGB", (320, 200), (200, 30, 30)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture(scope="module")
def portfolio(sqlite_server: Server) -> Iterator[Portfolio]:
    take = take_of(sqlite_server)
    yield _portfolio(take)
    take.api.close()


def _portfolio(take: Take) -> Portfolio:
    api = take.api
    jobs = {name: submit(api, f"{name} of a red fox", model=name.split()[0], **asked) for name, asked in CASES.items()}
    first = made(api, jobs["nanobanana"])
    jobs["from a last frame"] = submit(api, referenceImageUrl=take.item["lastFrameImageUrl"])
    jobs["from an image"] = submit(api, model="nanobanana-pro", referenceImageUrl=first["url"])
    answer = api.post(
        VIDEOS, json={**GOOD, "aspectRatio": "9:16", "firstFrameImageUrl": first["url"]}
    ).raise_for_status()
    items = {name: made(api, job_id) for name, job_id in jobs.items()}
    return Portfolio(take, jobs, items, completed(api, answer.json()["data"]["jobId"]))


@pytest.mark.parametrize("name", list(CASES))
def test_an_item_of_a_real_job_says_what_was_asked_and_what_the_file_is(portfolio: Portfolio, name: str) -> None:
    item, asked = portfolio.items[name], CASES[name]
    assert list(item) == ALWAYS + (["style"] if asked else [])
    assert (item["model"], item["aspectRatio"]) == (name.split()[0], asked.get("aspectRatio", "1:1"))
    assert item.get("style") == asked.get("style")
    png = httpx2.get(item["url"], trust_env=False)
    assert (png.status_code, png.headers["content-type"]) == (200, "image/png")
    with Picture.open(io.BytesIO(png.content)) as picture:
        picture.load()
        assert (picture.format, picture.size) == ("PNG", SIZES[item["aspectRatio"]])
    assert (item["width"], item["height"]) == SIZES[item["aspectRatio"]]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", item["createdDate"])


def test_an_images_id_is_a_uuid_and_its_files_name(portfolio: Portfolio) -> None:
    """Contract: "An image's id is a uuid and equals its file's name {public}/images/user/{account}/{uuid}.png"."""
    account_id = account_of(portfolio.take.server, portfolio.take.key)
    for item in portfolio.items.values():
        assert re.fullmatch(UUID, item["id"])
        assert item["url"] == f"{portfolio.take.server.url}/images/user/{account_id}/{item['id']}.png"


def test_a_completed_job_has_these_keys_in_this_order(portfolio: Portfolio) -> None:
    """Contract: "GET /jobs/{id} of a completed image: status url width height aiCreditsUsed in that order"."""
    for name, item in portfolio.items.items():
        answer = portfolio.take.api.get(f"/jobs/{portfolio.jobs[name]}")
        data = answer.json()["data"]
        assert list(answer.json()) == ["job_id", "success", "data"]
        assert list(data) == ["status", "url", "width", "height", "aiCreditsUsed"]
        facts = {key: item[key] for key in ("url", "width", "height")}
        assert data == {"status": "completed", **facts, "aiCreditsUsed": data["aiCreditsUsed"]}
        assert data["aiCreditsUsed"] == float(IMAGE_MODELS[item["model"]].credits)
        assert "in-progress" not in answer.text
    assert portfolio.take.api.get(f"/jobs/{portfolio.jobs['seedream3.0']}").text.endswith('"aiCreditsUsed":2}}')


def test_a_reference_of_ours_is_told_as_sent(portfolio: Portfolio) -> None:
    """Contract: "reference from our own last frame, from another image of ours"."""
    frame, image = portfolio.items["from a last frame"], portfolio.items["from an image"]
    assert list(frame) == list(image) == [*ALWAYS, "referenceImageUrl"]
    assert frame["referenceImageUrl"] == portfolio.take.item["lastFrameImageUrl"]
    assert image["referenceImageUrl"] == portfolio.items["nanobanana"]["url"]


def test_a_reference_shows_in_the_image(portfolio: Portfolio) -> None:
    plain, drawn = (
        httpx2.get(portfolio.items[name]["url"], trust_env=False).content
        for name in ("seedream3.0 plain", "from a last frame")
    )
    assert plain != drawn


def test_a_video_opens_on_an_image(portfolio: Portfolio) -> None:
    """Contract: "A video from an image as first frame"."""
    image = portfolio.items["nanobanana"]
    assert portfolio.video["firstFrameImageUrl"] == image["url"]
    with Picture.open(io.BytesIO(httpx2.get(image["url"], trust_env=False).content)) as opened:
        asked = np.asarray(opened.convert("RGB"), np.float64)
    with av.open(io.BytesIO(httpx2.get(portfolio.video["url"], trust_env=False).content), "r") as container:
        shown = np.asarray(next(container.decode(video=0)).to_ndarray(format="rgb24"), np.float64)
    assert asked.shape == shown.shape
    assert 10 * np.log10(255**2 / np.mean((asked - shown) ** 2)) >= 30


def test_what_was_made_from_an_item_is_found_by_it(portfolio: Portfolio) -> None:
    """Contract: "continues={id} (what was made from an item: its last frame, its video, or it as a reference)"."""
    api, items = portfolio.take.api, portfolio.items

    def made_from(path: str, item: Json) -> list[str]:
        return [each["id"] for each in api.get(path, params={"continues": item["id"]}).json()["items"]]

    assert made_from(IMAGES, portfolio.take.item) == [items["from a last frame"]["id"]]
    assert made_from(VIDEOS, portfolio.take.item) == []
    assert made_from(IMAGES, items["nanobanana"]) == [items["from an image"]["id"]]
    assert made_from(VIDEOS, items["nanobanana"]) == [portfolio.video["id"]]
    assert made_from(IMAGES, items["flux-schnell"]) == []


def test_a_deleted_image_is_gone_at_once(server: Server, api: httpx2.Client) -> None:
    """Contract: "delete gives {"success":true}, files are 404 afterwards, the list and ETag change at once"."""
    job_id = submit(api)
    item = made(api, job_id)
    etag = api.get(IMAGES).headers["etag"]
    sidecar = (
        server.data / "media" / "sidecars" / account_of(server, api.headers["authorization"]) / f"{item['id']}.json"
    )
    assert sidecar.is_file()
    assert httpx2.get(item["url"], trust_env=False).status_code == 200
    assert api.delete(f"{IMAGES}/{item['id']}").content == b'{"success":true}'
    listed = api.get(IMAGES, headers={"If-None-Match": etag})
    assert (listed.status_code, listed.content) == (200, b'{"items":[]}')
    assert httpx2.get(item["url"], trust_env=False).status_code == 404
    assert not sidecar.exists()
    assert api.get(f"{IMAGES}/{item['id']}").status_code == api.delete(f"{IMAGES}/{item['id']}").status_code == 404
    assert api.get(f"/jobs/{job_id}").text == f'{{"job_id":"{job_id}","success":true,"data":{{"status":"cleaned"}}}}'
    # and it is no reference any more
    assert failed(api, submit(api, referenceImageUrl=item["url"])) == "INPUT_UNREACHABLE"


def failed(api: httpx2.Client, job_id: str) -> str:
    job = ended(api, job_id)
    assert (job["success"], job["data"]["status"]) == (False, "failed"), job
    return str(job["data"]["error_code"])


def test_a_deleted_video_takes_its_four_files_along(server: Server, api: httpx2.Client) -> None:
    job_id = str(api.post(VIDEOS, json=GOOD).json()["data"]["jobId"])
    item = completed(api, job_id)
    etag = api.get(VIDEOS).headers["etag"]
    links = [item[name] for name in ("url", "previewImageUrl", "thumbnailImageUrl", "lastFrameImageUrl")]
    assert {httpx2.get(link, trust_env=False).status_code for link in links} == {200}
    assert api.delete(f"{VIDEOS}/{item['id']}").content == b'{"success":true}'
    assert {httpx2.get(link, trust_env=False).status_code for link in links} == {404}
    assert api.get(VIDEOS, headers={"If-None-Match": etag}).content == b'{"items":[]}'
    account = account_of(server, api.headers["authorization"])
    assert not [path for path in (server.data / "media").rglob("*") if path.is_file() and account in path.parts]


# --- references ---


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://10.1.2.3/x.png", "INPUT_BLOCKED"),
        ("http://127.0.0.1:9/x.png", "INPUT_BLOCKED"),
        ("http://nowhere.invalid/x.png", "INPUT_UNREACHABLE"),
        ("{server}/images/user/{uuid}/{uuid}.png", "INPUT_UNREACHABLE"),
        ("{server}/uploads/user/{uuid}/{uuid}.png", "INPUT_UNREACHABLE"),
        ("{video}", "INPUT_NOT_AN_IMAGE"),
    ],
)
def test_a_bad_reference_fails_with_its_code(take: Take, api: httpx2.Client, url: str, code: str) -> None:
    """Contract: "bad references fail with the right code"."""
    link = url.format(server=take.server.url, uuid=ids.uuid(), video=take.item["url"])
    assert failed(api, submit(api, referenceImageUrl=link)) == code


async def _elsewhere(requests: list[str], started: asyncio.Future[int], end: asyncio.Event) -> None:
    async def give(request: web.Request) -> web.Response:
        requests.append(request.path)
        bodies = {"/fox.jpg": _picture(), "/page.html": b"<!doctype html>", "/big.jpg": bytes(200_000)}
        body = bodies.get(request.path)
        return web.Response(status=404) if body is None else web.Response(body=body)

    app = web.Application()
    app.router.add_get("/{any:.*}", give)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    started.set_result(runner.addresses[0][1])
    await end.wait()
    await runner.cleanup()


@dataclass(frozen=True)
class Elsewhere:
    """Somebody else's web server."""

    port: int
    requests: list[str]


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    requests: list[str] = []
    with asyncio.Runner() as runner, ThreadPoolExecutor(1) as pool:
        loop = runner.get_loop()
        started, end = loop.create_future(), asyncio.Event()
        ready = Event()
        started.add_done_callback(lambda _: ready.set())
        serving_it = pool.submit(runner.run, _elsewhere(requests, started, end))
        assert ready.wait(10)
        yield Elsewhere(started.result(), requests)
        loop.call_soon_threadsafe(end.set)
        serving_it.result(10)


def test_a_reference_from_elsewhere_is_fetched(tmp_path: Path, elsewhere: Elsewhere) -> None:
    """Contract: "and from elsewhere (a loopback server with RUSHES_ALLOW_PRIVATE_HOSTS)"."""
    settings = {"RUSHES_ALLOW_PRIVATE_HOSTS": "127.0.0.1", "RUSHES_INPUT_IMAGE_BYTES": "100000"}
    with serving(tmp_path / "data", settings=settings) as server, server.client() as api:
        link = f"http://127.0.0.1:{elsewhere.port}"
        jobs = {name: submit(api, referenceImageUrl=f"{link}/{name}") for name in ("page.html", "big.jpg", "gone.png")}
        item = made(api, submit(api, style="vintage", referenceImageUrl=f"{link}/fox.jpg"))
        assert list(item) == [*ALWAYS, "style", "referenceImageUrl"]
        assert item["referenceImageUrl"] == f"{link}/fox.jpg"
        assert [failed(api, job_id) for job_id in jobs.values()] == [
            *("INPUT_NOT_AN_IMAGE", "INPUT_TOO_LARGE", "INPUT_UNREACHABLE")
        ]
    assert sorted(elsewhere.requests) == ["/big.jpg", "/fox.jpg", "/gone.png", "/page.html"]


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("damaged", "PROVIDER_ERROR"),
        ("not-an-image", "PROVIDER_ERROR"),
        ("empty", "PROVIDER_ERROR"),
        ("refuse", "CONTENT_REJECTED"),
        ("retired", "MODEL_RETIRED"),
    ],
)
def test_a_failed_image_is_a_failed_job_and_enters_nothing(api: httpx2.Client, word: str, code: str) -> None:
    job_id = submit(api, f"goes wrong in-progress [sandbox: {word}]")
    assert failed(api, job_id) == code
    assert "video" not in api.get(f"/jobs/{job_id}").json()["data"]["error_message"]
    assert "in-progress" not in api.get(f"/jobs/{job_id}").text
    assert api.get(IMAGES).content == b'{"items":[]}'
