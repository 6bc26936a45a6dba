"""``rushes export``: the library as a folder, whole, up to date, and to be looked at without us."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import json
import os
import re
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

from rushes import config, ids
from rushes.errors import Conflict, NotFound, StartError
from rushes.model import Image, ImageRequest, Kind, Video, VideoRequest
from rushes.studio import Studio
from rushes.transfer.export import Departures, Outcome
from rushes.transfer.wall import Wall
from tests.cli.running import LEFT, interrupted, rushes
from tests.transfer.libraries import MAY, account_id, brought, clip, entered, exported, items, texts

pytestmark = pytest.mark.anyio

PROMPTS = (
    "A red fox in snow",
    "<script>alert(1)</script>",
    "</script><!-- <script> --><img src=x onerror=alert(1)>",
    'quotes " and \\ and \u2028 and &lt; and 🦊',
)
DAY = 86_400_000


def video(owner: str, number: int = 0, **told: Any) -> Video:
    request = VideoRequest(PROMPTS[number % len(PROMPTS)], "pixverse5.5", "3:2", 1)
    created = MAY + number * DAY // 3
    return Video(
        **{
            "id": ids.item_id(created),
            "account_id": owner,
            "file_id": ids.uuid(),
            "job_id": None,
            "request": request,
            "created": created,
            "width": 96,
            "height": 64,
            "seconds": 1.0,
            **told,
        }
    )


def image(owner: str, number: int = 0) -> Image:
    request = ImageRequest(PROMPTS[number % len(PROMPTS)], "nanobanana", "1:1", "vintage")
    return Image(ids.uuid(), owner, None, request, MAY + number * DAY // 3, 64, 64)


async def some(studio: Studio, count: int = 4) -> str:
    """As many videos and images over some days; their account."""
    owner = await account_id(studio)
    await entered(studio, *(made for number in range(count) for made in (video(owner, number), image(owner, number))))
    return owner


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def listed(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]


# --- what is in it ---


async def test_every_item_is_there_by_day_with_its_facts(studio: Studio, tmp_path: Path) -> None:
    owner = await some(studio)
    done = await exported(studio, to := tmp_path / "out")
    assert {each.outcome for each in done} == {Outcome.NEW}
    index = listed(to)
    newest = sorted(await items(studio), key=lambda item: (item["createdDate"], item["id"]), reverse=True)
    assert [item["id"] for item in index] == [item["id"] for item in newest] == [each.item_id for each in done]
    for item, api, each in zip(index, newest, done, strict=True):
        links = [name for name in item if name.lower().endswith("url")]
        assert {**item, **{name: api[name] for name in links}} == api
        assert list(item) == list(api)
        stem = f"{item['createdDate'][:10]}/{item['id']}"
        assert item["url"] == stem + (".mp4" if "duration" in item else ".png")
        assert each.path == to / item["url"]
        for name in links:
            stored = tmp_path / "media" / api[name].replace("ACCOUNT", owner)[1:]
            assert (to / item[name]).read_bytes() == stored.read_bytes()
        told = json.loads((to / f"{stem}.json").read_text())
        assert (told["item"], told["accountId"], told["version"]) == (item, owner, 1)
        assert told["sha256"] == {name: sha256((to / item[name]).read_bytes()).hexdigest() for name in links}


async def test_what_comes_out_can_go_in_again_as_it_was(studio: Studio, tmp_path: Path) -> None:
    owner = await account_id(studio)
    for shade in range(3):
        clip(tmp_path / "in" / f"{shade}.mp4", shade)
        Picture.new("RGB", (64, 48), (shade, 0, 0)).save(tmp_path / "in" / f"{shade}.png")
    await brought(studio, tmp_path / "in")
    for number in range(4):
        await entered(studio, video_with_all(owner, number), files=whole(tmp_path, number))
    await exported(studio, first := tmp_path / "first")
    assert {done.outcome for done in await brought(studio, first, account="other")} == {"new"}
    for kind in Kind:
        assert await texts(studio, kind) == await texts(studio, kind, "other")
    await exported(studio, second := tmp_path / "second", "other")
    assert kept(first) == kept(second)
    assert len(kept(first)) == 7 * 4 + 3 + 1


def video_with_all(owner: str, number: int) -> Video:
    """One with everything that can be sent, older than it looks by its id."""
    links = ("https://a.example/2.png", "http://b.example/ü.png")
    first_frame = "https://a.example/1.png?x=1&y=2"
    request = VideoRequest(f"{PROMPTS[number]} ", "veo3.1", "16:9", 4, first_frame, None, links)
    return video(owner, number, id=ids.item_id(MAY - number), request=request, created=MAY + 77, seconds=30 / 24)


def whole(folder: Path, number: int) -> list[bytes]:
    """A clip of 30 frames and stills that nobody makes today."""
    made = [clip(folder / "whole.mp4", 24)]
    for name in ("preview.jpg", "thumbnail.jpg", "last_frame.png"):
        Picture.new("RGB", (96, 64), (0, number, 90)).save(folder / name)
        made.append(folder / name)
    return [path.read_bytes() for path in made]


def kept(folder: Path) -> dict[str, bytes]:
    """All but what tells of the account."""
    return {name: content for name, content in files(folder).items() if not name.endswith((".json", ".html"))}


async def test_many_pages_come_out_in_one_order(studio: Studio, tmp_path: Path) -> None:
    await some(studio, 110)
    await exported(studio, to := tmp_path / "out")
    places = [(item["createdDate"], item["id"]) for item in listed(to)]
    assert len(places) == 220
    assert places == sorted(places, reverse=True)


async def test_an_empty_library_is_a_page_that_says_so(studio: Studio, tmp_path: Path) -> None:
    await account_id(studio)
    assert await exported(studio, tmp_path / "out") == []
    assert listed(tmp_path / "out") == []
    assert Page(tmp_path / "out").library == {"account": "default", "items": []}


# --- again ---


async def test_what_is_there_is_not_copied_again_and_what_broke_off_is(studio: Studio, tmp_path: Path) -> None:
    await some(studio)
    await exported(studio, to := tmp_path / "out")
    before = files(to)
    cut, lost = listed(to)[0], listed(to)[3]
    (to / cut["url"]).write_bytes(before[cut["url"]][:-1])
    (to / f"{cut['url']}.part").write_bytes(b"half")
    (to / lost["url"]).with_suffix(".json").unlink()
    inodes = {path: path.stat().st_ino for path in to.rglob("*.*") if cut["id"] not in path.name}
    done = {each.item_id: each.outcome for each in await exported(studio, to)}
    assert {item for item, outcome in done.items() if outcome is Outcome.NEW} == {cut["id"], lost["id"]}
    assert files(to) == before
    assert all(path.stat().st_ino == inode for path, inode in inodes.items() if "index" not in path.name)


async def test_every_file_is_on_the_disk_before_it_has_its_name(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut a file of the right length may hold nothing, and no later export would look into it."""
    await some(studio, 1)
    synced, fsync = [], os.fsync

    def noted(descriptor: int) -> None:
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink(), os.fstat(descriptor).st_ino))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    await exported(studio, to := tmp_path / "out")
    here = {(path.with_name(f"{path.name}.part"), path.stat().st_ino) for path in to.rglob("*.*")}
    assert sorted(synced) == sorted(each for each in here if each[0].name != "rushes-export.json.part")
    assert {path.name for path, _ in synced[-2:]} == {"index.jsonl.part", "index.html.part"}


async def test_what_was_deleted_stays_until_it_is_told_to_go(studio: Studio, tmp_path: Path) -> None:
    owner = await some(studio)
    await exported(studio, to := tmp_path / "out")
    gone = [listed(to)[0], listed(to)[1], listed(to)[-1]]
    for item in gone:
        await studio.delete_item(owner, Kind.VIDEO if "duration" in item else Kind.IMAGE, item["id"])
    (own := to / gone[0]["createdDate"][:10] / "notes.json").write_text('{"kind": "video", "item": {"id": "other"}}')
    before = files(to)
    told = {each.item_id: each.outcome for each in await exported(studio, to)}
    assert {item for item, outcome in told.items() if outcome is Outcome.GONE} == {item["id"] for item in gone}
    assert files(to).keys() == before.keys()
    assert not {item["id"] for item in gone} & {item["id"] for item in listed(to)}
    told = {each.item_id: each.outcome for each in await exported(studio, to, delete=True)}
    assert {item for item, outcome in told.items() if outcome is Outcome.DELETED} == {item["id"] for item in gone}
    left = {name for name in before if not any(item["id"] in name for item in gone)}
    assert files(to).keys() == left
    assert own.exists()
    assert {path.name for path in to.iterdir() if path.is_dir()} == {name[:10] for name in left if "/" in name}


async def test_an_item_deleted_while_it_is_copied_leaves_nothing_of_it(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip(tmp_path / "in" / "x.mp4")
    await brought(studio, tmp_path / "in")
    [item] = await items(studio)
    copy = Departures._copy

    async def copied(self: Departures, stored: str, size: int, to: Path, created: int) -> None:
        await copy(self, stored, size, to, created)
        await studio.delete_item(await account_id(studio), Kind.VIDEO, item["id"])

    monkeypatch.setattr(Departures, "_copy", copied)
    assert await exported(studio, to := tmp_path / "out") == []
    assert {path.name for path in to.rglob("*")} == {"index.html", "index.jsonl", "rushes-export.json"}


async def test_a_file_that_storage_lost_is_told_of_and_stops_no_other(studio: Studio, tmp_path: Path) -> None:
    owner = await account_id(studio)
    await entered(studio, lost := video(owner), whole := video(owner, 1))
    await studio.blobs.delete(lost.files.thumbnail)
    await studio.blobs.delete(whole.files.sidecar)
    to = tmp_path / "out"
    done = {each.item_id: each for each in await exported(studio, to)}
    assert (done[lost.id].outcome, done[whole.id].outcome) == (Outcome.MISSING, Outcome.NEW)
    assert lost.files.thumbnail in done[lost.id].sentence
    assert [item["id"] for item in listed(to)] == [whole.id]


# --- where it may be ---


async def test_a_folder_of_something_else_is_left_alone(studio: Studio, tmp_path: Path) -> None:
    await some(studio, 1)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "index.html").write_text("mine")
    with pytest.raises(Conflict):
        await exported(studio, tmp_path / "home")
    assert files(tmp_path / "home") == {"index.html": b"mine"}
    (tmp_path / "file").touch()
    with pytest.raises(StartError):
        await exported(studio, tmp_path / "file" / "x")


async def test_each_account_has_a_folder_of_its_own(studio: Studio, tmp_path: Path) -> None:
    await some(studio, 1)
    await exported(studio, to := tmp_path / "out")
    before = files(to)
    await account_id(studio, "other")
    with pytest.raises(Conflict):
        await exported(studio, to, "other", delete=True)
    assert files(to) == before
    with pytest.raises(NotFound):
        await exported(studio, tmp_path / "out 2", "nobody")
    assert not (tmp_path / "out 2").exists()


async def test_two_exports_at_once_do_not_meet(studio: Studio, tmp_path: Path) -> None:
    await some(studio, 1)
    await exported(studio, to := tmp_path / "out")
    with (to / "rushes-export.json").open() as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        with pytest.raises(Conflict):
            await exported(studio, to)
    await exported(studio, to)


# --- the page ---


class Page(HTMLParser):
    """What a browser makes of index.html."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[int, str] = {}
        self.feed((folder / "index.html").read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.elements.append((f"/{tag}", {}))

    def handle_data(self, data: str) -> None:
        number = len(self.elements) - 1
        self.texts[number] = self.texts.get(number, "") + data

    def of(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        """Every such element: its attributes, its text."""
        return [(told, self.texts.get(n, "")) for n, (name, told) in enumerate(self.elements) if name == tag]

    @property
    def library(self) -> Any:
        [(told, text), _] = self.of("script")
        assert told == {"type": "application/json", "id": "library"}
        return json.loads(text)


async def test_the_page_holds_the_library_as_data_whatever_prompts_say(studio: Studio, tmp_path: Path) -> None:
    await some(studio)
    await exported(studio, to := tmp_path / "out")
    page = Page(to)
    shown = page.library["items"]
    assert [item["prompt"] for item in shown] == [item["prompt"] for item in listed(to)]
    assert {item["prompt"] for item in shown} == set(PROMPTS)
    assert page.of("img") == [], "no prompt became an element"
    for item in shown:
        assert (to / item["url"]).is_file()
        assert (to / item.get("still", item["url"])).is_file()


async def test_the_page_runs_its_own_script_and_loads_nothing_from_elsewhere(studio: Studio, tmp_path: Path) -> None:
    await some(studio, 1)
    await exported(studio, to := tmp_path / "out")
    page = Page(to)
    [policy] = [told["content"] or "" for told, _ in page.of("meta") if "http-equiv" in told]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    [_, (attributes, script)], [(_, style)] = page.of("script"), page.of("style")
    assert attributes == {}
    assert rules["default-src"] == "'none'"
    assert (rules["script-src"], rules["style-src"]) == (named(script), named(style))
    assert not re.findall(r"https?://|innerHTML|document\.write|eval\(", (to / "index.html").read_text())


def named(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


def test_a_page_grows_by_the_item(tmp_path: Path) -> None:
    """What is written for one is not kept for the next: memory is the page's buffer."""
    with (tmp_path / "index.html").open("w") as file:
        wall = Wall(file, "<b>club</b>")
        for number in range(3):
            wall.add({"id": str(number), "prompt": "</script>", "unknown": 1})
        wall.end()
    assert Page(tmp_path).library == {
        "account": "<b>club</b>",
        "items": [{"id": str(number), "prompt": "</script>"} for number in range(3)],
    }


# --- the command ---


async def test_the_command_tells_of_each_item_and_exits_1_when_one_is_missing(studio: Studio, tmp_path: Path) -> None:
    owner = await account_id(studio)
    await entered(studio, first := video(owner), image(owner, 1))
    settings = {"RUSHES_DATABASE_URL": studio.config.database_url or "", "RUSHES_DATA": str(tmp_path)}
    run = rushes("export", "out", "--json", cwd=tmp_path, **settings)
    assert (run.returncode, run.stderr) == (0, "2 new\n")
    told = [json.loads(line) for line in run.stdout.splitlines()]
    assert [line["id"] for line in told] == [item["id"] for item in listed(tmp_path / "out")]
    assert [list(line) for line in told] == [["outcome", "id", "path", "sentence"]] * 2
    await studio.blobs.delete(first.files.video)
    (tmp_path / told[1]["path"]).unlink()
    again = rushes("export", "out", cwd=tmp_path, **settings)
    assert (again.returncode, again.stdout.splitlines()[1].split("\t")[0]) == (1, "missing")
    assert "is not in storage" in again.stderr


async def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    async with Studio.open(config.load(data=tmp_path / "data")) as studio:
        await some(studio, 100)
    arguments = ("export", str(tmp_path / "out"), "--data", str(tmp_path / "data"))
    assert await asyncio.to_thread(interrupted, *arguments) == (130, LEFT)


def test_a_library_that_is_not_there_is_told_and_nothing_made(tmp_path: Path) -> None:
    run = rushes("export", "out", "--data", "data", cwd=tmp_path)
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (1, "", 1)
    assert not list(tmp_path.iterdir())
