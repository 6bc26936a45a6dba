"""``rushes import``: one's own files enter the library, whole and once, with what is known of them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from rushes import config, ids
from rushes.model import Kind, VideoFiles, milliseconds
from rushes.paging import Filters
from rushes.store.library import IMAGES, VIDEOS
from rushes.studio import Studio
from rushes.transfer.bring import Outcome, found
from tests.cli.running import LEFT, interrupted, rushes
from tests.transfer.libraries import MAY, account_id, brought, clip, items, left, tagged, texts

pytestmark = pytest.mark.anyio

JUNE = "2026-06-01T08:30:00.123Z"
ITEM = {
    "id": "20260601083000123a1b2c3d4e5f60718",
    "prompt": "A heron,\n  as it was asked for ",
    "aspectRatio": "9:16",
    "createdDate": JUNE,
    "model": "veo3.1",
    "width": 1,
    "firstFrameImageUrl": "https://a.example/heron.png",
    "extendVideoUrl": "javascript:alert(1)",
}


def beside(file: Path, **told: Any) -> Path:
    """Write a sidecar."""
    file.with_suffix(".json").write_text(json.dumps({"version": 1, **told}))
    return file


def png(path: Path, shade: int = 0, **chunks: str) -> Path:
    """A picture that says something of itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    info = PngInfo()
    for name, text in chunks.items():
        info.add_text(name, text)
    Image.new("RGB", (90, 60), (shade, 90, 40)).save(path, pnginfo=info)
    os.utime(path, (MAY / 1000, MAY / 1000))
    return path


async def only(studio: Studio, *paths: Path, **told: Any) -> dict[str, Any]:
    """Import one file into an empty library; its item."""
    [done] = await brought(studio, *paths, **told)
    assert (done.outcome, done.sentence) == (Outcome.NEW, "")
    [item] = await items(studio)
    assert item["id"] == done.item_id
    return item


# --- what is known of a file ---


async def test_a_file_that_says_nothing_is_called_by_its_name_and_dated_by_its_age(
    studio: Studio, tmp_path: Path
) -> None:
    file = clip(tmp_path / "in" / "fox.mp4", width=120, height=68)
    item = await only(studio, file)
    digest = sha256(file.read_bytes()).hexdigest()
    assert item["id"] == "20260501120000000" + digest[:16]
    assert item["createdDate"] == "2026-05-01T12:00:00.000Z"
    told = {name: item[name] for name in ("prompt", "model", "aspectRatio", "width", "height", "duration")}
    assert told == {
        "prompt": "fox",
        "model": "imported",
        "aspectRatio": "16:9",
        "width": 120,
        "height": 68,
        "duration": "0s",
    }


async def test_its_four_files_and_its_sidecar_are_kept_and_it_stays_where_it_was(
    studio: Studio, tmp_path: Path
) -> None:
    file = clip(tmp_path / "in" / "fox.mp4")
    item = await only(studio, file)
    media = tmp_path / "media"
    owner = await account_id(studio)
    files = VideoFiles(owner, Path(item["url"]).stem)
    assert (media / files.video).read_bytes() == file.read_bytes()
    sidecar = json.loads((media / files.sidecar).read_text())
    kept = [sha256((media / name).read_bytes()).hexdigest() for name in files.all[:-1]]
    assert sidecar["source"]["imported"] == "fox.mp4"
    assert list(sidecar["source"]["sha256"].values()) == kept
    assert list(sidecar["source"]["sha256"]) == ["url", "previewImageUrl", "thumbnailImageUrl", "lastFrameImageUrl"]
    assert sidecar["item"]["id"] == item["id"]
    assert await left(studio) == (0, [])


async def test_its_own_metadata_says_more_than_its_name(studio: Studio, tmp_path: Path) -> None:
    file = tagged(
        tmp_path / "fox.mp4",
        clip(tmp_path / "plain.mov", format="mp4"),
        comment="A fox in snow",
        creation_time="2025-03-04T05:06:07.000000Z",
    )
    item = await only(studio, file)
    assert (item["prompt"], item["createdDate"]) == ("A fox in snow", "2025-03-04T05:06:07.000Z")


@pytest.mark.parametrize("nonsense", ["1970-01-01T00:00:01Z", "2999-01-01T00:00:00Z"])
async def test_a_clock_that_was_never_set_is_not_believed(studio: Studio, tmp_path: Path, nonsense: str) -> None:
    file = tagged(tmp_path / "fox.mp4", clip(tmp_path / "plain.mp4"), creation_time=nonsense)
    os.utime(file, (MAY / 1000, MAY / 1000))
    assert (await only(studio, file))["createdDate"] == "2026-05-01T12:00:00.000Z"


GRAPH = {
    "3": {"class_type": "KSampler", "inputs": {"positive": ["6", 0], "negative": ["7", 0]}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a glass city"}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "ugly"}},
}


@pytest.mark.parametrize(
    ("chunks", "prompt", "model"),
    [
        ({"Description": "a hill"}, "a hill", "imported"),
        (
            {"parameters": "a hill,\nat dawn\nNegative prompt: ugly\nSteps: 20, Model: dreamy v8, VAE: x"},
            "a hill,\nat dawn",
            "dreamy v8",
        ),
        ({"parameters": "{red|blue} hill\nSteps: 20"}, "{red|blue} hill", "imported"),
        ({"prompt": json.dumps(GRAPH)}, "a glass city", "imported"),
        ({"prompt": json.dumps({"1": {"inputs": {"seed": 3}}})}, "hill", "imported"),
        ({"prompt": "[" * 10_000}, "[" * 5000, "imported"),
    ],
    ids=["description", "a1111", "braces", "comfyui", "graph without words", "too long"],
)
async def test_a_png_tells_its_prompt_in_the_ways_that_programs_write_it(
    studio: Studio, tmp_path: Path, chunks: dict[str, str], prompt: str, model: str
) -> None:
    file = png(tmp_path / "in" / "hill.png", 0, **chunks)
    item = await only(studio, file)
    assert (item["prompt"], item["model"], item["aspectRatio"]) == (prompt, model, "3:2")
    assert ids.is_uuid(item["id"])
    assert item["url"].endswith(f"/{item['id']}.png")
    assert (tmp_path / "media" / item["url"].replace("ACCOUNT", await account_id(studio))[1:]).read_bytes() == (
        file.read_bytes()
    )


async def test_a_jpeg_tells_it_in_its_exif_and_is_kept_as_a_png(studio: Studio, tmp_path: Path) -> None:
    file, exif = tmp_path / "hill.jpg", Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + "ein Hügel\nSteps: 4".encode("utf-16-be")
    Image.new("RGB", (64, 64)).save(file, exif=exif)
    item = await only(studio, file)
    assert (item["prompt"], item["aspectRatio"]) == ("ein Hügel", "1:1")
    kept = tmp_path / "media" / item["url"].replace("ACCOUNT", await account_id(studio))[1:]
    with Image.open(kept) as image:
        assert image.format == "PNG"


async def test_a_sidecar_says_more_than_the_file_and_options_say_most(studio: Studio, tmp_path: Path) -> None:
    file = clip(tmp_path / "in" / "x.mp4")
    file_id = ids.uuid()
    beside(file, kind="video", fileId=file_id, item=ITEM, job={"jobId": "the-job"})
    item = await only(studio, file, model="own")
    assert item["url"] == f"/videos/user/ACCOUNT/{file_id}.mp4"
    told = {name: item.get(name) for name in ITEM}
    assert told == {**ITEM, "width": 96, "model": "own", "extendVideoUrl": None}
    sidecar = tmp_path / "media" / "sidecars" / await account_id(studio) / f"{file_id}.json"
    assert json.loads(sidecar.read_text())["source"]["job"] == {"jobId": "the-job"}


async def test_all_options_win(studio: Studio, tmp_path: Path) -> None:
    file = beside(clip(tmp_path / "in" / "x.mp4"), item=ITEM)
    item = await only(studio, file, prompt="P", created=MAY, model="M")
    assert (item["prompt"], milliseconds(item["createdDate"]), item["model"]) == ("P", MAY, "M")
    assert item["id"] == ITEM["id"]


@pytest.mark.parametrize(
    "text",
    [
        "[1]",
        '{"item": {"prompt": 7, "id": "../../x", "createdDate": "soon", "aspectRatio": "wide"}, "fileId": "x"}',
        '{"item": {"id": 5, "createdDate": "0001-01-01T00:00:00+14:00", "referenceImageUrls": [{}]}, "sha256": 3}',
        '{"kind": "image", "item": {"prompt": "of another file"}}',
        '{"prompt": " \\u0000\\ud800 "}',
    ],
    ids=range(5),
)
async def test_a_sidecar_of_nonsense_says_nothing(studio: Studio, tmp_path: Path, text: str) -> None:
    file = clip(tmp_path / "in" / "fox.mp4")
    file.with_suffix(".json").write_text(text)
    item = await only(studio, file)
    assert (item["prompt"], item["id"][:17], item["aspectRatio"]) == ("fox", "20260501120000000", "3:2")


async def test_a_date_that_lies_ahead_is_told_and_nothing_of_the_file_enters(studio: Studio, tmp_path: Path) -> None:
    file = beside(clip(tmp_path / "in" / "x.mp4"), item={"createdDate": "9999-12-31T00:00:00.000Z"})
    [done] = await brought(studio, file)
    assert done.outcome is Outcome.REFUSED
    assert done.sentence == (
        "Its date, 9999-12-31T00:00:00.000Z, is more than a day ahead; mend it beside the file, or say --date."
    )
    assert (await items(studio), await left(studio)) == ([], (0, []))
    assert (await only(studio, file, created=MAY))["createdDate"] == "2026-05-01T12:00:00.000Z"


async def test_a_file_that_is_younger_than_now_is_of_now(studio: Studio, tmp_path: Path) -> None:
    file = clip(tmp_path / "in" / "x.mp4")
    os.utime(file, (MAY / 1000 * 3, MAY / 1000 * 3))
    before = await studio.now()
    assert before <= milliseconds((await only(studio, file))["createdDate"]) <= await studio.now()


@pytest.mark.parametrize("text", ['{"item":', "[" * 100_000, "\x00"], ids=range(3))
async def test_a_sidecar_that_is_no_json_is_told_and_nothing_of_it_lost(
    studio: Studio, tmp_path: Path, text: str
) -> None:
    file = clip(tmp_path / "in" / "fox.mp4")
    file.with_suffix(".json").write_text(text)
    [done] = await brought(studio, file)
    assert (done.outcome, await items(studio)) == (Outcome.REFUSED, [])
    assert "fox.json" in done.sentence


async def test_the_same_bytes_under_other_names_and_dates_enter_once(studio: Studio, tmp_path: Path) -> None:
    first, second = clip(tmp_path / "in" / "fox.mp4"), tmp_path / "in" / "copy of fox.mp4"
    second.write_bytes(first.read_bytes())
    assert sorted(each.outcome for each in await brought(studio, tmp_path / "in")) == [Outcome.HERE, Outcome.NEW]
    os.utime(first, (MAY / 1000 + 5000, MAY / 1000 + 5000))
    assert {each.outcome for each in await brought(studio, tmp_path / "in")} == {Outcome.HERE}
    [item] = await items(studio)
    assert await studio.delete_item(await account_id(studio), Kind.VIDEO, item["id"])
    await brought(studio, tmp_path / "in")
    assert len(await items(studio)) == 1, "asked for again, it is another item"
    assert item["url"] != (await items(studio))[0]["url"]


async def test_no_text_that_cannot_be_stored_comes_in(studio: Studio, tmp_path: Path) -> None:
    file = clip(tmp_path / "in" / "fox.mp4")
    file.with_suffix(".json").write_text(r'{"prompt": "a\u0000b\ud800c \ud83e\udd8a' + "x" * 6000 + '"}')
    assert (await only(studio, file))["prompt"] == ("abc 🦊" + "x" * 6000)[:5000]


async def test_a_name_that_is_no_text_is_no_obstacle(studio: Studio, tmp_path: Path) -> None:
    clip(tmp_path / "plain.mp4").rename(os.fsdecode(os.fsencode(tmp_path) + b"/f\xff.mp4"))
    [done] = await brought(studio, *tmp_path.glob("f*.mp4"))
    assert done.outcome is Outcome.NEW
    assert (await items(studio))[0]["prompt"] == "f"


# --- which files ---


async def test_a_folder_is_walked_in_an_order_that_stays_without_stills_and_other_files(tmp_path: Path) -> None:
    names = ["b/2.mp4", "b/1.MOV", "a.webp", "c.jpg", "b/2_preview.jpg", "b/2_last_frame.png", "x_preview.jpg", "n.txt"]
    for name in [*names, ".hidden/h.mp4", "._a.mp4"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    under = [path.relative_to(tmp_path).as_posix() for path in found([tmp_path, tmp_path / "a.webp"])]
    assert under == ["a.webp", "c.jpg", "x_preview.jpg", "b/1.MOV", "b/2.mp4"]


async def test_one_bad_file_is_told_of_and_stops_no_other(studio: Studio, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    whole = [clip(folder / "a.mp4"), png(folder / "b.png"), clip(folder / "m.mov", 1, format="mp4")]
    cut = clip(folder / "cut.mp4", 2)
    cut.write_bytes(cut.read_bytes()[:-100])
    (folder / "lies.png").write_bytes(b"GIF89a")
    clip(folder / "quick.mov", format="mov")
    os.mkfifo(folder / "pipe.mp4")
    (folder / "note.txt").touch()
    done = {each.path.name: each for each in await brought(studio, folder, folder / "note.txt", folder / "none.png")}
    assert {name for name, each in done.items() if each.outcome is Outcome.NEW} == {file.name for file in whole}
    bad = {name: (each.outcome, each.sentence) for name, each in done.items() if each.outcome is not Outcome.NEW}
    assert {name: outcome for name, (outcome, _) in bad.items()} == {
        **dict.fromkeys(("cut.mp4", "lies.png"), Outcome.DAMAGED),
        **dict.fromkeys(("quick.mov", "pipe.mp4", "note.txt", "none.png"), Outcome.REFUSED),
    }
    assert all(sentence.endswith(".") for _, sentence in bad.values())
    assert "ffmpeg" in bad["quick.mov"][1]
    assert len(await items(studio)) == 3
    assert await left(studio) == (0, [])


async def test_stills_that_were_exported_with_a_video_are_kept_if_they_can_be(studio: Studio, tmp_path: Path) -> None:
    file = clip(tmp_path / "in" / "x.mp4")
    Image.new("RGB", (96, 64), "teal").save(preview := tmp_path / "in" / "x_preview.jpg")
    Image.new("RGB", (9, 9), "teal").save(tmp_path / "in" / "x_last_frame.png")
    (tmp_path / "in" / "x_thumbnail.jpg").write_bytes(b"no picture")
    item = await only(studio, tmp_path / "in")
    kept = {name: tmp_path / "media" / item[name].replace("ACCOUNT", await account_id(studio))[1:] for name in STILLS}
    assert kept["previewImageUrl"].read_bytes() == preview.read_bytes()
    for name in STILLS[1:]:
        with Image.open(kept[name]) as still:
            assert still.size == (96, 64), "made anew"
    assert file.exists()


STILLS = ("previewImageUrl", "lastFrameImageUrl", "thumbnailImageUrl")


async def test_a_video_that_is_not_the_one_its_sidecar_tells_of_is_damaged(studio: Studio, tmp_path: Path) -> None:
    file = beside(clip(tmp_path / "in" / "x.mp4"), item=ITEM, sha256={"url": "0" * 64})
    [done] = await brought(studio, file)
    assert (done.outcome, "sidecar" in done.sentence) == (Outcome.DAMAGED, True)
    assert await items(studio) == []


# --- once ---


async def test_a_file_enters_once_however_often_and_under_whatever_name(studio: Studio, tmp_path: Path) -> None:
    first = await brought(studio, clip(tmp_path / "a" / "x.mp4"), png(tmp_path / "a" / "y.png"))
    again = await brought(studio, clip(tmp_path / "b" / "z.mp4"), png(tmp_path / "b" / "z.png"), tmp_path / "a")
    assert {done.outcome for done in first} == {Outcome.NEW}
    assert {done.outcome for done in again} == {Outcome.HERE}
    assert {done.item_id for done in again} == {done.item_id for done in first}
    assert len(await items(studio)) == 2
    assert await left(studio) == (0, [])


@pytest.mark.parametrize("with_sidecar", [True, False])
@pytest.mark.parametrize("kind", list(Kind))
async def test_what_was_deleted_comes_back_as_another_item_and_once(
    studio: Studio, tmp_path: Path, kind: Kind, with_sidecar: bool
) -> None:
    file = clip(tmp_path / "in" / "x.mp4") if kind is Kind.VIDEO else png(tmp_path / "in" / "x.png")
    if with_sidecar:
        file_id = ids.uuid()
        beside(file, fileId=file_id, item={**ITEM, **({"id": file_id} if kind is Kind.IMAGE else {})})
    seen: list[dict[str, Any]] = []
    for _ in range(3):
        assert (await brought(studio, file))[0].outcome is Outcome.NEW
        assert (await brought(studio, file))[0].outcome is Outcome.HERE
        seen += await items(studio)
        assert await studio.delete_item(await account_id(studio), kind, seen[-1]["id"])
    assert len({item["id"] for item in seen}) == len({item["url"] for item in seen}) == 3
    assert len({item["createdDate"] for item in seen}) == 1
    assert await left(studio) == (0, [])


async def test_the_same_bytes_at_the_same_moment_are_one_item(studio: Studio, tmp_path: Path) -> None:
    for number in range(6):
        clip(tmp_path / "in" / "films" / f"{number}.mp4")
        png(tmp_path / "in" / "pictures" / f"{number}.png")
    done = await brought(studio, tmp_path / "in")
    assert sorted(each.outcome for each in done) == [Outcome.HERE] * 10 + [Outcome.NEW] * 2
    assert len(await items(studio)) == 2
    assert await left(studio) == (0, [])


async def test_copies_of_other_ages_are_told_of_under_the_id_that_is_there(studio: Studio, tmp_path: Path) -> None:
    for number in range(6):
        os.utime(clip(tmp_path / "in" / f"{number}.mp4"), (MAY / 1000 + number, MAY / 1000 + number))
    done = await brought(studio, tmp_path / "in")
    [item] = await items(studio)
    assert {each.item_id for each in done} == {item["id"]}


async def test_another_video_under_an_id_that_is_here_is_not_called_here(studio: Studio, tmp_path: Path) -> None:
    first = beside(clip(tmp_path / "a" / "x.mp4"), item=ITEM)
    other = beside(clip(tmp_path / "b" / "x.mp4", 1), item=ITEM)
    assert [done.outcome for done in await brought(studio, first)] == [Outcome.NEW]
    [done] = await brought(studio, other)
    assert (done.outcome, "sidecar" in done.sentence) == (Outcome.REFUSED, True)
    assert [done.outcome for done in await brought(studio, first)] == [Outcome.HERE]


async def test_a_copied_sidecar_takes_no_other_items_files(studio: Studio, tmp_path: Path) -> None:
    file_id = ids.uuid()
    for shade, item_id in enumerate(("20260601083000123aaaaaaaaaaaaaaaa", "20260601083000123bbbbbbbbbbbbbbbb")):
        beside(clip(tmp_path / "in" / f"{shade}.mp4", shade), fileId=file_id, item={**ITEM, "id": item_id})
    assert {done.outcome for done in await brought(studio, tmp_path / "in")} == {Outcome.NEW}
    urls = [item["url"] for item in await items(studio)]
    assert len(set(urls)) == 2
    assert f"/videos/user/ACCOUNT/{file_id}.mp4" in urls


async def test_accounts_are_apart(studio: Studio, tmp_path: Path) -> None:
    file = clip(tmp_path / "in" / "x.mp4")
    for account in ("default", "film club"):
        assert (await brought(studio, file, account=account))[0].outcome is Outcome.NEW
        assert len(await texts(studio, Kind.VIDEO, account)) == 1


async def test_what_was_made_from_an_item_is_found_by_it_again(studio: Studio, tmp_path: Path) -> None:
    before, parent, child = ids.uuid(), ids.uuid(), ids.uuid()
    beside(clip(tmp_path / "in" / "p.mp4"), fileId=parent, item={**ITEM, "id": "20260601083000123aaaaaaaaaaaaaaaa"})
    link = f"https://old.example/videos/user/{before}/{parent}_last_frame.png"
    told = {**ITEM, "firstFrameImageUrl": link, "referenceImageUrls": [f"https://a.example/videos/user/x/{parent}.mp4"]}
    beside(clip(tmp_path / "in" / "c.mp4", 1), accountId=before, fileId=child, item=told)
    await brought(studio, tmp_path / "in")
    page = await VIDEOS.page(studio.store, await account_id(studio), None, 9, Filters(parent=parent))
    assert [json.loads(item.replace(b"\x01", b""))["id"] for item in page.items] == [ITEM["id"]]


# --- the command ---


def told(run: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_the_command_tells_of_each_file_and_exits_1_when_one_failed(tmp_path: Path) -> None:
    clip(tmp_path / "in" / "a.mp4")
    (tmp_path / "in" / "b.png").write_bytes(b"no picture")
    run = rushes("import", "in", "--data", "data", "--json", cwd=tmp_path)
    assert run.returncode == 1
    new, damaged = sorted(told(run), key=lambda line: str(line["path"]))
    assert (new["outcome"], new["path"], new["sentence"]) == ("new", "in/a.mp4", None)
    assert (damaged["outcome"], damaged["id"]) == ("damaged", None)
    assert f"in/b.png: {damaged['sentence']}\n" in run.stderr
    assert "1 new" in run.stderr
    again = rushes("import", "in/a.mp4", "--data", "data", cwd=tmp_path)
    assert (again.returncode, again.stdout, again.stderr) == (0, f"here\t{new['id']}\tin/a.mp4\n", "1 here\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere.mp4"],
        ["in", "--date", "soon"],
        ["in", "--date", "1969-12-31"],
        ["in", "--date", "9999-12-31"],
        ["in", "--prompt", " "],
        ["in", "--prompt", "x" * 5001],
        ["in", "--model", "x" * 101],
        [],
    ],
    ids=lambda arguments: " ".join(arguments)[:20],
)
def test_wrong_words_exit_2_and_make_nothing(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "in").mkdir()
    run = rushes("import", *arguments, "--data", "data", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert not (tmp_path / "data").exists()


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    run = rushes("import", "in", "--data", "data", cwd=tmp_path)
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (1, "", 1)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    for number in range(12):
        clip(tmp_path / "in" / f"{number:02}.mp4", number)
    return tmp_path / "in"


async def test_an_import_that_is_killed_shows_nothing_half_and_the_next_completes_it(
    tmp_path: Path, database_url: str | None, many: Path
) -> None:
    settings = {"RUSHES_DATABASE_URL": database_url or "", "RUSHES_DATA": str(tmp_path / "data")}
    command = [sys.executable, "-m", "rushes", "import", str(many), "--json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RUSHES_")} | settings
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout
    for _ in range(3):
        assert await asyncio.to_thread(process.stdout.readline)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    async with Studio.open(config.load(data=tmp_path / "data", database_url=database_url)) as studio:
        before = await items(studio)
        assert 3 <= len(before) < 12
        await whole(studio, before)
    run = await asyncio.to_thread(rushes, "import", str(many), "--json", cwd=tmp_path, **settings)
    assert (run.returncode, len(told(run))) == (0, 12)
    assert {line["id"] for line in told(run) if line["outcome"] == "here"} == {item["id"] for item in before}
    async with Studio.open(config.load(data=tmp_path / "data", database_url=database_url)) as studio:
        after = await items(studio)
        assert len({item["id"] for item in after}) == len(after) == 12
        await whole(studio, after)


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, many: Path) -> None:
    assert interrupted("import", str(many), "--data", str(tmp_path / "data")) == (130, LEFT)


async def whole(studio: Studio, listed: list[dict[str, Any]]) -> None:
    """Every file of every item is there."""
    owner = await account_id(studio)
    for item in listed:
        for name in VideoFiles(owner, Path(item["url"]).stem).all:
            assert await studio.blobs.stat(name)


async def test_both_libraries_know_what_they_hold(studio: Studio, tmp_path: Path) -> None:
    """A control: the tests above would pass on a library that forgets."""
    done = await brought(studio, png(tmp_path / "y.png"))
    owner = await account_id(studio)
    assert await IMAGES.known(studio.store, owner, [str(done[0].item_id)]) == ({done[0].item_id}, set())
