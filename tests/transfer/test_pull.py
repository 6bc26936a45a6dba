"""``rushes pull``: another server's library, mirrored whole and once, on good days and bad ones."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from rushes import config, ids
from rushes.client import AsyncClient
from rushes.model import Kind, VideoFiles
from rushes.paging import Filters
from rushes.store import library
from rushes.store.library import LIBRARIES
from rushes.studio import Studio
from rushes.transfer.pull import Outcome, Pulled, Report, pull
from tests.conftest import START_SECONDS, Server, serving
from tests.servers.faults import Faults
from tests.transfer.libraries import account_id, brought, clip, items, left, texts

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("pull")]  # one source for all of them

VIDEOS, IMAGES = 14, 5


@dataclass(frozen=True)
class Source:
    """A second Rushes with a library."""

    server: Server
    key: str
    listed: dict[Kind, list[dict[str, Any]]]

    @property
    def ids(self) -> set[str]:
        return {item["id"] for listed in self.listed.values() for item in listed}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    folder = tmp_path_factory.mktemp("source")
    for number in range(VIDEOS):
        clip(folder / "in" / f"clip {number}.mp4", number, width=96, height=64)
    for number in range(IMAGES):
        Image.new("RGB", (80, 60), (number * 40, 90, 40)).save(folder / "in" / f"picture {number}.png")
    with serving(folder / "data", None, "--no-worker") as server:
        server.do(lambda studio: brought(studio, folder / "in"))
        key = server.key("default")
        yield Source(server, key, {kind: _listed(server, key, kind) for kind in Kind})


def _listed(server: Server, key: str, kind: Kind) -> list[dict[str, Any]]:
    with server.client(key) as api:
        return list(api.get(f"/aistudio/{kind}s").json()["items"])


async def pulled(studio: Studio, url: str, key: str, account: str = "default") -> tuple[Report, list[Pulled]]:
    done: list[Pulled] = []
    async with AsyncClient(url, key) as client:
        return await pull(studio, account, client, url, done.append), done


@pytest.fixture
async def faults(source: Source) -> AsyncIterator[Faults]:
    """On a good day."""
    async with Faults(source.server.url) as proxy:
        yield proxy


# --- what comes ---


async def test_a_library_comes_whole_with_its_facts_and_files_as_they_are(source: Source, studio: Studio) -> None:
    report, _ = await pulled(studio, source.server.url, source.key)
    assert report.counts == {Outcome.NEW: VIDEOS + IMAGES}
    theirs = await asyncio.to_thread(source.server.do, lambda there: _texts(there))
    assert [await texts(studio, kind) for kind in Kind] == theirs, "ids, dates, order, prompts, sizes, lengths"
    ours = await _files(studio)
    assert ours == await asyncio.to_thread(source.server.do, _files), "every byte of every file"
    assert await left(studio) == (0, [])


async def _texts(studio: Studio) -> list[list[str]]:
    return [await texts(studio, kind) for kind in Kind]


async def _files(studio: Studio) -> dict[str, bytes]:
    owner = await account_id(studio)
    names = [name for prefix in ("videos", "images") for name in await studio.blobs.names(prefix)]
    return {name.replace(owner, "ACCOUNT"): (studio.config.data / "media" / name).read_bytes() for name in names}


async def test_what_was_made_from_an_item_says_so_here_too(source: Source, studio: Studio, tmp_path: Path) -> None:
    """Its uuid in the names of files is kept, so that links to it still mean it."""
    await pulled(studio, source.server.url, source.key)
    for listed in source.listed[Kind.VIDEO]:
        file = VideoFiles(await account_id(studio), listed["url"].rpartition("/")[2].removesuffix(".mp4"))
        assert await studio.blobs.stat(file.video)


async def test_a_sidecar_keeps_all_that_the_source_told_and_the_hash_of_each_file(
    source: Source, studio: Studio
) -> None:
    await pulled(studio, source.server.url, source.key)
    told = source.listed[Kind.VIDEO][0]
    files = VideoFiles(await account_id(studio), told["url"].rpartition("/")[2].removesuffix(".mp4"))
    sidecar = json.loads((studio.config.data / "media" / files.sidecar).read_text())
    assert (sidecar["source"]["from"], sidecar["source"]["item"]) == (source.server.url, told)
    for link, name in zip(sidecar["source"]["sha256"], files.all, strict=False):
        content = (studio.config.data / "media" / name).read_bytes()
        assert sidecar["source"]["sha256"][link] == sha256(content).hexdigest()


async def test_a_second_pull_fetches_only_what_is_new(source: Source, studio: Studio, faults: Faults) -> None:
    await pulled(studio, faults.url, source.key)
    before = dict(faults.whole)
    report, _ = await pulled(studio, faults.url, source.key)
    assert report.counts == {Outcome.HERE: VIDEOS + IMAGES}
    fetched = {path for path, count in faults.whole.items() if count > before.get(path, 0)}
    assert {path.rpartition("/")[2] for path in fetched} == {"videos", "images"}, "the two lists and nothing else"


async def test_two_accounts_pull_the_same_library(source: Source, studio: Studio) -> None:
    """Also where another account's item already has the same id."""
    for account in ("one", "two"):
        report, _ = await pulled(studio, source.server.url, source.key, account)
        assert report.counts == {Outcome.NEW: VIDEOS + IMAGES}
    assert await texts(studio, Kind.VIDEO, "one") == await texts(studio, Kind.VIDEO, "two")
    one, two = await items(studio, "one"), await items(studio, "two")
    assert {item["id"] for item in one} == {item["id"] for item in two} == source.ids


async def test_two_pulls_at_once_enter_each_item_once(source: Source, studio: Studio) -> None:
    reports = await asyncio.gather(*[pulled(studio, source.server.url, source.key) for _ in range(3)])
    assert sum(report.counts[Outcome.NEW] for report, _ in reports) == VIDEOS + IMAGES
    assert {item["id"] for item in await items(studio)} == source.ids
    assert await left(studio) == (0, [])


async def test_what_was_deleted_here_stays_deleted(source: Source, studio: Studio) -> None:
    await pulled(studio, source.server.url, source.key)
    gone = source.listed[Kind.VIDEO][3]["id"]
    assert await studio.delete_item(await account_id(studio), Kind.VIDEO, gone)
    report, done = await pulled(studio, source.server.url, source.key)
    assert report.counts == {Outcome.HERE: VIDEOS + IMAGES - 1, Outcome.DELETED: 1}
    assert [each.id for each in done if each.outcome == Outcome.DELETED] == [gone]


# --- what is lost, damaged, missing ---


@pytest.mark.parametrize("status", [404, 403, 410])
async def test_dead_links_and_damaged_files_are_told_and_stop_nothing_else(
    source: Source, studio: Studio, faults: Faults, status: int
) -> None:
    """A link that has expired is a 403 or a 410 to some stores."""
    lost, cut_off, picture = source.listed[Kind.VIDEO][1], source.listed[Kind.VIDEO][2], source.listed[Kind.IMAGE][0]
    faults.dead, faults.dead_status = {_file(lost)}, status
    faults.damaged = {_file(cut_off), _file(picture)}
    report, done = await pulled(studio, faults.url, source.key)
    assert report.counts == {Outcome.NEW: VIDEOS + IMAGES - 3, Outcome.LOST: 1, Outcome.DAMAGED: 2}
    told = {each.id: each for each in done if each.outcome not in (Outcome.NEW, Outcome.HERE)}
    assert set(told) == {lost["id"], cut_off["id"], picture["id"]}
    assert str(status) in told[lost["id"]].sentence
    assert "MP4" in told[cut_off["id"]].sentence
    assert await left(studio) == (0, []), "nothing of them stays"
    faults.dead, faults.damaged = set(), set()
    report, _ = await pulled(studio, faults.url, source.key)
    assert report.counts == {Outcome.NEW: 3, Outcome.HERE: VIDEOS + IMAGES - 3}


async def test_stills_that_are_missing_or_damaged_are_made_again_from_the_video(
    source: Source, studio: Studio, faults: Faults
) -> None:
    first, second = source.listed[Kind.VIDEO][:2]
    faults.dead = {_file(first, "previewImageUrl"), _file(first, "lastFrameImageUrl")}
    faults.damaged = {_file(second, "thumbnailImageUrl")}
    report, _ = await pulled(studio, faults.url, source.key)
    assert report.counts == {Outcome.NEW: VIDEOS + IMAGES}
    assert await _files(studio) == await asyncio.to_thread(source.server.do, _files), "as they were made there"


def _file(item: dict[str, Any], link: str = "url") -> str:
    return str(item[link]).rpartition("/")[2]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # half a minute of pauses, whatever the database
async def test_a_file_that_always_breaks_off_is_left_for_another_run(
    source: Source, studio: Studio, faults: Faults
) -> None:
    faults.cut = {_file(source.listed[Kind.IMAGE][1])}
    report, done = await pulled(studio, faults.url, source.key)
    assert report.counts == {Outcome.NEW: VIDEOS + IMAGES - 1, Outcome.FAILED: 1}
    [failed] = [each for each in done if each.outcome == Outcome.FAILED]
    assert "cut off" in failed.sentence
    faults.cut = set()
    report, _ = await pulled(studio, faults.url, source.key)
    assert report.counts == {Outcome.NEW: 1, Outcome.HERE: VIDEOS + IMAGES - 1}


async def test_bad_days_cost_time_and_nothing_else(source: Source, studio: Studio) -> None:
    async with Faults(source.server.url, rate=0.3, most=2) as faults:
        report, _ = await pulled(studio, faults.url, source.key)
        assert set(faults.played) == {"slow", "429", "500", "503", "cut"}
    assert report.counts == {Outcome.NEW: VIDEOS + IMAGES}
    assert await _files(studio) == await asyncio.to_thread(source.server.do, _files)


# --- what they were made from ---


async def test_inputs_are_kept_beside_an_item_where_they_still_answer_and_go_with_it(
    source: Source, studio: Studio, faults: Faults
) -> None:
    """A file of the source's library is that item's own, and is not kept twice; it is what this one continues."""
    [first, second, third, *_] = source.listed[Kind.VIDEO]
    answers = first["thumbnailImageUrl"].replace(source.server.url, f"http://localhost:{faults.port}")
    dead = f"{faults.url}/uploads/user/{ids.uuid()}/{ids.uuid()}.png"
    listed = [{**second, "referenceImageUrls": [answers, dead, first["previewImageUrl"]]}, first, third]
    async with _Lying(listed) as url:
        report, _ = await pulled(studio, url, "pictai_x")
    assert report.counts == {Outcome.NEW: 3}
    owner = await account_id(studio)
    files = VideoFiles(owner, _file(second).removesuffix(".mp4"))
    told = json.loads((studio.config.data / "media" / files.sidecar).read_text())["source"]["inputs"]
    assert [each["url"] for each in told] == [answers, dead]
    assert await studio.blobs.names("inputs") == [files.inputs[0]] == [told[0]["file"]]
    content = (studio.config.data / "media" / files.inputs[0]).read_bytes()
    assert content == httpx2.get(first["thumbnailImageUrl"], trust_env=False).content
    assert (told[0]["sha256"], "404" in told[1]["lost"]) == (sha256(content).hexdigest(), True)
    parent = await library.file_of(studio.store, owner, first["id"])
    page = await LIBRARIES[Kind.VIDEO].page(studio.store, owner, None, 9, Filters(parent=parent))
    assert [json.loads(item.replace(b"\x01", b""))["id"] for item in page.items] == [second["id"]]
    assert await studio.delete_item(owner, Kind.VIDEO, second["id"])
    assert await studio.blobs.names("inputs") == []


# --- a hostile source ---


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "../../etc/passwd"},
        {"id": ""},
        {"id": 7},
        {"createdDate": "yesterday"},
        {"createdDate": None},
        {"url": None},
        {"url": "http://169.254.169.254/latest"},
        {"url": "file:///etc/passwd"},
        {"url": "ftp://a.example/x.mp4"},
    ],
    ids=str,
)
async def test_an_item_that_cannot_be_one_is_refused_and_the_others_come(
    source: Source, studio: Studio, wrong: dict[str, Any]
) -> None:
    listed = [{**source.listed[Kind.VIDEO][0], **wrong}, source.listed[Kind.VIDEO][1]]
    async with _Lying(listed) as url:
        report, _ = await pulled(studio, url, "pictai_x")
    assert report.counts[Outcome.NEW] == 1
    assert sum(report.counts[each] for each in (Outcome.DAMAGED, Outcome.LOST, Outcome.REFUSED)) == 1


async def test_what_no_database_can_hold_is_left_out_of_a_prompt(source: Source, studio: Studio) -> None:
    listed = [{**source.listed[Kind.VIDEO][0], "prompt": "a\x00 fox \ud800in snow", "extra": "\x00"}]
    async with _Lying(listed) as url:
        report, _ = await pulled(studio, url, "pictai_x")
    assert report.counts == {Outcome.NEW: 1}
    assert [item["prompt"] for item in await items(studio)] == ["a fox in snow"]


async def test_two_items_that_name_the_same_file_each_get_their_own(source: Source, studio: Studio) -> None:
    """Both on their way at once: neither gets the other's bytes or sidecar, and none is left for another run."""
    [first, second, *_] = source.listed[Kind.VIDEO]
    listed = [first, {**second, "url": f"{second['url'].rpartition('/')[0]}/{_file(first)}"}]
    async with _Lying(listed) as url:
        report, _ = await pulled(studio, url, "pictai_x")
    assert report.counts == {Outcome.NEW: 2}
    owner = await account_id(studio)
    for each in listed:
        file_id = await library.file_of(studio.store, owner, each["id"])
        assert file_id
        sidecar = json.loads((studio.config.data / "media" / VideoFiles(owner, file_id).sidecar).read_text())
        assert sidecar["item"]["id"] == each["id"]
    assert await left(studio) == (0, [])


class _Lying:
    """A source that lists what it is told to; the files are where they say."""

    def __init__(self, listed: list[dict[str, Any]]) -> None:
        self._pages = {"/pictoryapis/v1/aistudio/videos": listed, "/pictoryapis/v1/aistudio/images": []}

    async def __aenter__(self) -> str:
        from aiohttp import web

        async def answer(request: web.Request) -> web.Response:
            return web.Response(text=json.dumps({"items": self._pages[request.path]}), content_type="application/json")

        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


# --- the command ---


def command(data: Path, url: str, key: str, *options: str) -> list[str]:
    told = ["pull", "--from", url, "--key", key, "--data", str(data), *options]
    return [sys.executable, "-m", "rushes", *told]


async def run(*arguments: str, cwd: Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *arguments, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_command_tells_what_came_and_what_did_not(source: Source, faults: Faults, tmp_path: Path) -> None:
    lost = source.listed[Kind.VIDEO][1]
    faults.dead = {_file(lost)}
    ended = await run(*command(tmp_path / "data", faults.url, source.key, "--json"), cwd=tmp_path)
    lines = [json.loads(line) for line in ended[1].splitlines()]
    assert ended[0] == 0, "what is lost at the source is nothing that another run could fetch"
    assert {line["id"] for line in lines if line["outcome"] == "new"} == source.ids - {lost["id"]}
    assert [line["id"] for line in lines if line["outcome"] == "lost"] == [lost["id"]]
    assert "404" in ended[2]
    assert f"{VIDEOS + IMAGES - 1} new, 1 lost" in ended[2]
    ended = await run(*command(tmp_path / "data", faults.url, source.key), cwd=tmp_path)
    assert f"{VIDEOS + IMAGES - 1} here, 1 lost" in ended[2]


@pytest.mark.parametrize(
    ("url", "key", "says"),
    [
        ("http://127.0.0.1:1", "pictai_x", "did not answer"),
        ("nonsense", "pictai_x", "address"),
        (None, "pictai_x", "key"),
    ],
)
async def test_a_source_that_cannot_be_read_is_one_sentence(
    source: Source, tmp_path: Path, url: str | None, key: str, says: str
) -> None:
    ended = await run(*command(tmp_path / "data", url or source.server.url, key), cwd=tmp_path)
    assert ended[0] == 1
    assert says in ended[2]
    assert "Traceback" not in ended[2]


async def test_what_may_not_be_fetched_is_told_so_and_exits_1(source: Source, tmp_path: Path) -> None:
    """Links to another private host; and what a source lists neither writes on the terminal nor forges lines."""
    first, second = source.listed[Kind.VIDEO][:2]
    listed = [
        {**first, "url": "http://10.1.2.3/x.mp4"},
        {**second, "id": "a\x1b]0;x\x07\nnew\tforged"},
    ]
    async with _Lying(listed) as url:
        ended = await run(*command(tmp_path / "data", url, "pictai_x"), cwd=tmp_path)
    assert ended[0] == 1
    assert "1 refused" in ended[2]
    assert "RUSHES_ALLOW_PRIVATE_HOSTS" in ended[2]
    assert len(ended[1].splitlines()) == 2
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", ended[1] + ended[2])


async def test_killed_anywhere_it_goes_on_and_fetches_no_finished_file_again(source: Source, tmp_path: Path) -> None:
    """kill -9 after so many files, again and again; the last run ends it."""
    async with Faults(source.server.url, rate=0.4, most=9, seed=3) as faults:
        faults_only_slow(faults)
        arguments = command(tmp_path / "data", faults.url, source.key, "--at-once", "3")
        kills = 0
        for count in range(4, 40, 5):
            process = await asyncio.create_subprocess_exec(*arguments, cwd=tmp_path, start_new_session=True)
            async with asyncio.timeout(START_SECONDS):
                while process.returncode is None and sum(faults.whole.values()) < count + 2 * kills:
                    await asyncio.sleep(0.002)
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                kills += 1
            await process.wait()
        assert kills >= 5
        ended = await run(*arguments, cwd=tmp_path)
        assert ended[0] == 0, ended[2]
        again = {path: count for path, count in faults.whole.items() if count > 1 and "/user/" in path}
        # The one moment between the last byte and its place on the disk: at most what was on its way at each kill.
        assert sum(count - 1 for count in again.values()) <= 3 * kills
    async with Studio.open(config.load(data=tmp_path / "data")) as studio:
        assert [await texts(studio, kind) for kind in Kind] == await asyncio.to_thread(source.server.do, _texts)
        assert await _files(studio) == await asyncio.to_thread(source.server.do, _files)
        assert await left(studio) == (0, [])


def faults_only_slow(faults: Faults) -> None:
    faults.kinds = ["slow"]


async def test_watching_goes_on_by_itself_and_over_bad_days(source: Source, faults: Faults, tmp_path: Path) -> None:
    arguments = command(tmp_path / "data", faults.url, source.key, "--watch", "1s")
    process = await asyncio.create_subprocess_exec(
        *arguments,
        cwd=tmp_path,
        start_new_session=True,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    looks, faults.kinds, faults.most = "/pictoryapis/v1/aistudio/images", ["500"], 1_000
    try:
        async with asyncio.timeout(START_SECONDS):
            while faults.whole[looks] < 2:
                await asyncio.sleep(0.02)
            faults.rate = 1
            while faults.played["500"] < 6:  # more than one request is tried
                await asyncio.sleep(0.02)
            faults.rate, seen = 0, faults.whole[looks]
            while faults.whole[looks] < seen + 2:
                await asyncio.sleep(0.02)
        assert process.returncode is None
    finally:
        process.terminate()
        _, err = await process.communicate()
    assert b"rushes: " in err
