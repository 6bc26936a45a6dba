"""From a prompt to the library: every model with every input, and what the files say of themselves (A1, B4 to B6)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from rushes import ids, media
from rushes.model import Video, VideoFiles, VideoRequest
from rushes.studio import Studio
from tests.api.library import NOON, account_of, add
from tests.api.takes import VIDEOS, Json, completed, ended, failed, submit
from tests.conftest import Server, serving
from tests.media.clips import make

pytestmark = pytest.mark.xdist_group("reel")  # one reel for all of them

Picture = NDArray[np.uint8]

SIZES = {"pixverse5.5": (720, 1280), "veo3.1": (1080, 1920), "veo3.1_fast": (1080, 1920)}
SECONDS = {"pixverse5.5": "5s", "veo3.1": "4s", "veo3.1_fast": "4s"}
WAYS = ("text", "firstFrameImageUrl", "extendVideoUrl", "referenceImageUrls")


@dataclass(frozen=True)
class Reel:
    """One account's takes: a source, and what each model made of it in each way."""

    api: httpx2.Client
    source: Json
    items: dict[tuple[str, str], Json]

    def sent(self, way: str) -> Json:
        return sent(self.source, way)


def sent(source: Json, way: str) -> Json:
    """The input of a request, made from an item of the library."""
    return {
        "text": {},
        "firstFrameImageUrl": {"firstFrameImageUrl": source["lastFrameImageUrl"]},
        "extendVideoUrl": {"extendVideoUrl": source["url"]},
        "referenceImageUrls": {"referenceImageUrls": [source["thumbnailImageUrl"], source["lastFrameImageUrl"]]},
    }[way]


@pytest.fixture(scope="session")
def reel(sqlite_server: Server) -> Iterator[Reel]:
    """Everything this file looks at, asked for at once."""
    with sqlite_server.client() as api:
        first = submit(api, "pixverse5.5 text", model="pixverse5.5", aspectRatio="9:16")
        source = completed(api, first)
        jobs = {("pixverse5.5", "text"): first}
        for model in SIZES:
            for way in WAYS:
                if (model, way) not in jobs:
                    jobs[model, way] = submit(
                        api, f"{model} {way}", model=model, aspectRatio="9:16", **sent(source, way)
                    )
        yield Reel(api, source, {key: completed(api, job_id) for key, job_id in jobs.items()})


every_take = pytest.mark.parametrize(("model", "way"), [(model, way) for model in SIZES for way in WAYS])


def download(api: httpx2.Client, url: str) -> bytes:
    answer = api.get(url)
    assert answer.status_code == 200
    return answer.content


def frames(mp4: bytes) -> list[Picture]:
    """Every frame, decoded anew by the test."""
    with av.open(io.BytesIO(mp4), "r") as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]


def image(data: bytes, kind: str) -> Image.Image:
    with Image.open(io.BytesIO(data)) as opened:
        opened.load()
        assert opened.format == kind
        return opened.convert("RGB")


def psnr(one: Any, other: Any) -> float:
    difference = np.asarray(one, np.float64) - np.asarray(other, np.float64)
    return float(10 * np.log10(255**2 / max(float(np.mean(difference**2)), 1e-9)))


@every_take
def test_the_item_says_what_was_asked_and_what_the_file_is(reel: Reel, model: str, way: str) -> None:
    item = reel.items[model, way]
    assert (item["model"], item["aspectRatio"]) == (model, "9:16")
    assert {name: item[name] for name in WAYS[1:] if name in item} == reel.sent(way)
    with av.open(io.BytesIO(download(reel.api, item["url"])), "r") as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (item["width"], item["height"]) == (stream.width, stream.height) == SIZES[model]
        assert stream.duration is not None
        assert stream.time_base is not None
        assert item["duration"] == f"{float(stream.duration * stream.time_base):g}s"
        if way in ("text", "firstFrameImageUrl"):
            assert item["duration"] == SECONDS[model]


@every_take
def test_the_four_links_lead_to_what_they_promise(reel: Reel, model: str, way: str) -> None:
    item = reel.items[model, way]
    video = frames(download(reel.api, item["url"]))
    last = image(download(reel.api, item["lastFrameImageUrl"]), "PNG")
    assert last.size == SIZES[model]
    distances = [psnr(last, frame) for frame in video[-6:]]
    assert distances[-1] > 45, "the PNG is the last frame"
    assert distances[-1] == max(distances), "and none before it"
    preview = image(download(reel.api, item["previewImageUrl"]), "JPEG")
    assert preview.size == SIZES[model]
    assert psnr(preview, video[0]) > 30, "the preview is the first frame"
    thumbnail = image(download(reel.api, item["thumbnailImageUrl"]), "JPEG")
    assert max(thumbnail.size) == 480
    assert abs(thumbnail.size[0] / thumbnail.size[1] - SIZES[model][0] / SIZES[model][1]) < 0.01


@pytest.mark.parametrize("way", ["firstFrameImageUrl", "extendVideoUrl"])
def test_a_first_frame_is_the_first_frame_and_an_extension_opens_on_the_sources_last(reel: Reel, way: str) -> None:
    opening = image(download(reel.api, reel.source["lastFrameImageUrl"]), "PNG")
    video = frames(download(reel.api, reel.items["pixverse5.5", way]["url"]))
    assert psnr(opening, video[0]) >= 35


def test_the_library_lists_them_newest_first(reel: Reel) -> None:
    items = reel.api.get(VIDEOS).json()["items"]
    assert len(items) == len(SIZES) * len(WAYS)
    dates = [item["createdDate"] for item in items]
    assert dates == sorted(dates, reverse=True)
    assert items[-1]["id"] == reel.source["id"]
    assert len({item["id"] for item in items}) == len({item["url"] for item in items}) == len(items)


def test_an_opening_frame_without_an_aspect_ratio_has_the_models_default(reel: Reel) -> None:
    """B6: the upright frame is scaled and cropped to cover 16:9."""
    job_id = submit(reel.api, "lying down", **reel.sent("firstFrameImageUrl"))
    data = ended(reel.api, job_id)["data"]
    assert (data["status"], data["width"], data["height"]) == ("completed", 1280, 720)


# --- inputs that are not what they should be (B4) ---


def test_an_own_link_to_nothing_is_unreachable(reel: Reel, sqlite_server: Server) -> None:
    item = reel.source
    nowhere = f"{sqlite_server.url}/videos/user/{ids.uuid()}/{ids.uuid()}"
    gone = item["url"].replace(item["url"][-10:], "000000.mp4")
    jobs = [
        submit(reel.api, firstFrameImageUrl=f"{nowhere}_last_frame.png"),
        submit(reel.api, extendVideoUrl=f"{nowhere}.mp4"),
        submit(reel.api, extendVideoUrl=gone),
        submit(reel.api, referenceImageUrls=[item["lastFrameImageUrl"], f"{nowhere}_preview.jpg"]),
    ]
    assert [failed(reel.api, job_id) for job_id in jobs] == ["INPUT_UNREACHABLE"] * 4


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/x.png",
        "http://localhost/x.png",
        "http://10.1.2.3/x.png",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/x.png",
        "http://0x7f000001/x.png",
        "http://2130706433/x.png",
        "http://[::ffff:10.0.0.1]/x",
    ],
)
def test_a_private_address_is_blocked(reel: Reel, url: str) -> None:
    assert failed(reel.api, submit(reel.api, firstFrameImageUrl=url)) == "INPUT_BLOCKED"


def test_a_video_is_no_image_and_an_image_is_no_video(reel: Reel) -> None:
    item = reel.source
    jobs = {
        submit(reel.api, firstFrameImageUrl=item["url"]): "INPUT_NOT_AN_IMAGE",
        submit(reel.api, referenceImageUrls=[item["previewImageUrl"], item["url"]]): "INPUT_NOT_AN_IMAGE",
        submit(reel.api, extendVideoUrl=item["lastFrameImageUrl"]): "INPUT_NOT_A_VIDEO",
        submit(reel.api, extendVideoUrl=item["thumbnailImageUrl"]): "INPUT_NOT_A_VIDEO",
    }
    for job_id, code in jobs.items():
        assert failed(reel.api, job_id) == code
        sentence = ended(reel.api, job_id)["data"]["error_message"]
        assert item["url"].rpartition("/")[2][:36] in sentence, "the sentence names the link"


def test_the_sentence_about_a_bad_input_does_not_repeat_its_signature(reel: Reel) -> None:
    job_id = submit(reel.api, firstFrameImageUrl=f"{reel.source['url']}?signature=s3cret#s3cret")
    assert failed(reel.api, job_id) == "INPUT_NOT_AN_IMAGE"
    assert "s3cret" not in ended(reel.api, job_id)["data"]["error_message"]


# --- what counts as ours (B5) ---

SMALL = """
[models."pixverse5.5"]
provider = "sandbox"
sizes = { "9:16" = [72, 128] }
durations = [1]
"""


@dataclass(frozen=True)
class Own:
    """A server that goes by several addresses, and the path of a video in its library."""

    server: Server
    api: httpx2.Client
    path: str


async def _keep(studio: Studio, account_id: str) -> str:
    """A small real video with its files, entered through the store."""
    request = VideoRequest("already there", "pixverse5.5", "9:16", 1)
    files = VideoFiles(account_id, ids.uuid())
    with studio.blobs.workspace() as folder:
        facts = await media.stills(make(folder / "video.mp4", width=72, height=128), folder)
        for name, source in zip(
            files.all, ("video.mp4", "preview.jpg", "thumbnail.jpg", "last_frame.png"), strict=False
        ):
            await studio.blobs.put(name, folder / source)
    entered = Video(
        ids.item_id(NOON), account_id, files.file_id, None, request, NOON, facts.width, facts.height, facts.seconds
    )
    await add(studio, [entered])
    return f"/{files.video}"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    folder: Path = tmp_path_factory.mktemp("own")
    (folder / "routes.toml").write_text(SMALL)
    settings = {
        "RUSHES_CONFIG": str(folder / "routes.toml"),
        "RUSHES_PUBLIC_URL": "https://films.example/studio",
        "RUSHES_URL_ALIASES": "http://old.example, https://cdn.example:8443/",
    }
    with serving(folder / "data", settings=settings) as server:
        key = server.key()
        account_id = account_of(server, key)
        with server.client(key) as api:
            yield Own(server, api, server.do(lambda studio: _keep(studio, account_id)))


@pytest.mark.parametrize(
    "base",
    ["https://films.example/studio", "http://old.example", "https://cdn.example:8443", "the address listened on"],
)
def test_the_public_url_the_address_listened_on_and_an_alias_are_ours(own: Own, base: str) -> None:
    """Read from storage, never over the network: none of these names answers here."""
    base = own.server.url if base == "the address listened on" else base
    job = ended(own.api, submit(own.api, extendVideoUrl=f"{base}{own.path}?a=1#b"))
    assert job["data"]["status"] == "completed", job["data"]


def test_the_host_of_the_request_is_ours_too(sqlite_server: Server, reel: Reel) -> None:
    path = reel.source["lastFrameImageUrl"].removeprefix(sqlite_server.url)
    body = {"prompt": "by another name", "firstFrameImageUrl": f"http://studio.lan:8700{path}", "duration": "5s"}
    answer = reel.api.post(VIDEOS, json=body, headers={"Host": "studio.lan:8700"})
    job = ended(reel.api, answer.json()["data"]["jobId"])
    assert job["data"]["status"] == "completed", job["data"]


@pytest.mark.parametrize(
    "base", ["https://films.example", "http://old.example.evil", "http://old.example:81", "https://old.example"]
)
def test_what_only_looks_like_ours_is_fetched_like_anybodys(own: Own, base: str) -> None:
    code = failed(own.api, submit(own.api, extendVideoUrl=f"{base}{own.path}"))
    assert code == "INPUT_UNREACHABLE"
    [job] = [row for row in _messages(own) if base.partition("//")[2].partition(":")[0] in row][-1:]
    assert "was not fetched" in job


def _messages(own: Own) -> list[str]:
    rows = own.server.do(
        lambda studio: studio.store.rows("SELECT error_message FROM jobs WHERE error_message IS NOT NULL")
    )
    return [str(row[0]) for row in rows]
