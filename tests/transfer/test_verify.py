"""``rushes verify``: every fault that is planted is found, alone and by its name, and mended if it can be."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest

from rushes import ids, wire
from rushes.model import Kind, VideoFiles
from rushes.store import Store, indexed, trash
from rushes.store import verify as store_verify
from rushes.store.library import VIDEOS
from rushes.store.verify import ItemRow
from rushes.studio import Studio
from rushes.transfer.verify import accounts as books
from rushes.transfer.verify.faults import Fault
from rushes.transfer.verify.items import Looker
from tests.api.takes import ended
from tests.cli.running import failed, rushes
from tests.conftest import Server, serving
from tests.contract.samples import NOON, new_account, video
from tests.transfer.libraries import brought
from tests.transfer.test_import import png
from tests.transfer.worked import Made, database_like, faults, film, on_postgres

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("verify")]  # one library made for all of them

LONG_AGO = time.time() - 30 * 86_400


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return asyncio.run(film(tmp_path_factory.mktemp("original")))


@pytest.fixture(scope="module")
def rows_on_postgres(original: Made, postgres: str) -> str:
    """The address of the same rows in PostgreSQL, to be copied."""
    return asyncio.run(on_postgres(original, postgres))


@pytest.fixture
def made(original: Made, tmp_path: Path, engine: str, request: pytest.FixtureRequest) -> Made:
    copied = original.copy(tmp_path / "data")
    if engine == "sqlite":
        return copied
    return replace(copied, database_url=database_like(request.getfixturevalue("rows_on_postgres")))


@pytest.fixture
def on_disk(original: Made, tmp_path: Path) -> Made:
    return original.copy(tmp_path / "data")


async def change(studio: Studio, sql: str, **params: object) -> None:
    async with studio.store.write() as tx:
        await tx.rows(sql, **params)


def files(made: Made) -> dict[str, bytes]:
    found = (path for path in made.media.glob("[!.]*/**/*") if path.is_file())
    return {str(path.relative_to(made.media)): path.read_bytes() for path in found}


@pytest.mark.parametrize("quick", [False, True])
async def test_a_library_that_is_as_it_should_be(made: Made, quick: bool) -> None:
    async with made.studio() as studio:
        before = files(made)
        assert await faults(studio, repair=True, quick=quick) == []
        assert files(made) == before


# --- faults of files ---


@dataclass(frozen=True)
class Case:
    """A fault that is planted, what it is called and whether it can be mended."""

    plant: Callable[[Made], None]
    kinds: list[str]
    mends: bool
    quickly: list[str] | None = None
    """What is found without reading files, where that is something else."""


def remove(link: str) -> Callable[[Made], None]:
    return lambda made: made.path(getattr(made.first, link)).unlink()


def cut(link: str) -> Callable[[Made], None]:
    def plant(made: Made) -> None:
        path = made.path(getattr(made.first, link))
        os.truncate(path, path.stat().st_size // 2)

    return plant


def swap(link: str) -> Callable[[Made], None]:
    def plant(made: Made) -> None:
        one, other = (made.path(getattr(each, link)) for each in (made.first, made.second))
        kept = one.with_suffix(".kept")
        one.rename(kept)
        other.rename(one)
        kept.rename(other)

    return plant


def flip(link: str) -> Callable[[Made], None]:
    def plant(made: Made) -> None:
        path = made.path(getattr(made.first, link))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    return plant


def spoil_sidecar(act: Callable[[dict[str, Any]], object]) -> Callable[[Made], None]:
    def plant(made: Made) -> None:
        path = made.path(made.first.sidecar)
        told = json.loads(path.read_text())
        act(told)
        path.write_text(wire.dumps(told))

    return plant


def no_sidecar(text: str) -> Callable[[Made], None]:
    def plant(made: Made) -> None:
        made.path(made.first.sidecar).write_text(text)

    return plant


def put(made: Made, name: str, content: bytes = b"x", age: float = LONG_AGO) -> None:
    path = made.path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (age, age))


def orphans(made: Made) -> None:
    stray = VideoFiles(made.account, ids.uuid())
    put(made, stray.video)
    put(made, stray.preview)


FILES = {
    "no MP4": Case(remove("video"), ["missing"], mends=False),
    "no still": Case(remove("thumbnail"), ["missing"], mends=True),
    "no last frame": Case(remove("last_frame"), ["missing"], mends=True),
    "half an MP4": Case(cut("video"), ["size"], mends=False),
    "half a still": Case(cut("preview"), ["size"], mends=True),
    "an empty still": Case(lambda made: os.truncate(made.path(made.first.preview), 0), ["size"], mends=True),
    "MP4s exchanged": Case(swap("video"), ["swapped", "swapped"], mends=False, quickly=["size", "size"]),
    "stills exchanged": Case(swap("last_frame"), ["swapped", "swapped"], mends=True, quickly=["size", "size"]),
    "a bit of an MP4": Case(flip("video"), ["hash"], mends=False, quickly=[]),
    "a bit of a still": Case(flip("last_frame"), ["hash"], mends=True, quickly=[]),
    "no sidecar": Case(remove("sidecar"), ["sidecar"], mends=True),
    "half a sidecar": Case(no_sidecar('{"item": {'), ["sidecar"], mends=True),
    "another prompt": Case(spoil_sidecar(lambda told: told["item"].update(prompt="x")), ["sidecar"], mends=True),
    "another width": Case(spoil_sidecar(lambda told: told["item"].update(width=1)), ["sidecar"], mends=True),
    "another job": Case(spoil_sidecar(lambda told: told["job"].update(jobId="x")), ["sidecar"], mends=True),
    "another account": Case(spoil_sidecar(lambda told: told.update(accountId="x")), ["sidecar"], mends=True),
    "orphans": Case(orphans, ["orphan"], mends=True),
    "a still of nothing": Case(
        lambda made: put(made, VideoFiles(made.account, ids.uuid()).preview), ["orphan"], mends=True
    ),
    "a sidecar of nothing": Case(
        lambda made: put(made, VideoFiles(made.account, ids.uuid()).sidecar, b'{"item":{}}'), ["orphan"], mends=True
    ),
    "inputs of nothing": Case(
        lambda made: put(made, VideoFiles(made.account, ids.uuid()).inputs[0]), ["orphan"], mends=True
    ),
    "an orphan of nobody": Case(
        lambda made: put(made, VideoFiles(ids.uuid(), ids.uuid()).video), ["orphan"], mends=True
    ),
    "an upload of nothing": Case(
        lambda made: put(made, f"uploads/user/{made.account}/{ids.uuid()}.png"), ["orphan"], mends=True
    ),
    "a stranger": Case(lambda made: put(made, "videos/user/notes.txt"), ["orphan"], mends=False),
    "a stranger beside an item": Case(
        lambda made: put(made, made.first.video.replace(".mp4", "-2.mp4")), ["orphan"], mends=False
    ),
    "no upload": Case(lambda made: made.path(made.upload).unlink(), ["missing"], mends=False),
    "half an upload": Case(lambda made: os.truncate(made.path(made.upload), 3), ["size"], mends=False),
}


@pytest.mark.parametrize("name", FILES)
async def test_a_fault_of_files_is_found_alone_and_mended_or_left(on_disk: Made, name: str) -> None:
    case = FILES[name]
    case.plant(on_disk)
    before = files(on_disk)
    async with on_disk.studio() as studio:
        found = await faults(studio)
        assert [fault.fault for fault in found] == case.kinds, found
        assert files(on_disk) == before, "looking changes nothing"
        quickly = [fault.fault for fault in await faults(studio, quick=True)]
        assert quickly == (case.kinds if case.quickly is None else case.quickly)
        mended = await faults(studio, repair=True)
        assert [fault.mended for fault in mended] == [case.mends] * len(found), mended
        if case.mends:
            assert await faults(studio) == []
        else:
            assert files(on_disk) == before
            assert set(await faults(studio)) == set(found), "in whatever order: several items are looked at at once"


async def test_what_is_mended_is_what_it_was(on_disk: Made, original: Made) -> None:
    for link in ("preview", "thumbnail", "last_frame", "sidecar"):
        remove(link)(on_disk)
    async with on_disk.studio() as studio:
        assert [fault.mended for fault in await faults(studio, repair=True, quick=True)] == [True] * 4
    before, after = files(original), files(on_disk)
    told, was = (json.loads(each.pop(on_disk.first.sidecar)) for each in (after, before))
    assert after == before
    was["job"]["ticket"] = None  # which the row keeps no longer
    assert told == was


# --- faults of rows ---

Plant = Callable[[Made], Callable[[Studio], Awaitable[None]]]


def facts(**told: object) -> Plant:
    def planted(made: Made) -> Callable[[Studio], Awaitable[None]]:
        async def plant(studio: Studio) -> None:
            at = {"file": made.first.file_id}
            [(item,)] = await studio.store.rows("SELECT item FROM videos WHERE file_id = :file", **at)
            item = json.loads(wire.resolve(item, "LINK"))
            item = wire.dumps({**item, **told}).encode().replace(b"LINK", wire.LINK)
            await change(studio, "UPDATE videos SET item = :item WHERE file_id = :file", item=item, **at)

        return plant

    return planted


def sql(statement: str, **more: object) -> Plant:
    """A change, in which ``:first`` names the files of a video and ``:account`` whose it is."""

    def planted(made: Made) -> Callable[[Studio], Awaitable[None]]:
        known = {"first": made.first.file_id, "account": made.account, **more}
        used = {name: value for name, value in known.items() if f":{name}" in statement}

        async def plant(studio: Studio) -> None:
            await change(studio, statement, **used)

        return plant

    return planted


@dataclass(frozen=True)
class RowCase:
    """A fault of rows that is planted, what it is called and whether it can be mended."""

    plant: Plant
    kinds: list[str]
    mends: bool


_ONE = "job_id = (SELECT job_id FROM videos WHERE file_id = :first)"


def another_line(created: str = "created", job: str = "job_id") -> Plant:
    columns = "account_id, created, id, type, amount, source, description, job_id"
    values = f"account_id, {created}, id || 'x', type, amount, source, description, {job}"
    return sql(f"INSERT INTO ledger ({columns}) SELECT {values} FROM ledger WHERE {_ONE}")


NOWHERE = "00000000-0000-4000-8000-000000000000"
ROWS = {
    "another height": RowCase(facts(height=9), ["facts"], mends=True),
    "another width": RowCase(facts(width="wide"), ["facts"], mends=True),
    "another length": RowCase(facts(duration="9s"), ["facts"], mends=True),
    "another day": RowCase(facts(createdDate="2020-01-01T00:00:00.000Z"), ["facts"], mends=True),
    "another link": RowCase(facts(url="LINK/videos/user/a/b.mp4"), ["facts"], mends=True),
    "another prompt": RowCase(facts(prompt="a hedgehog"), ["facts"], mends=True),
    "no text": RowCase(sql("UPDATE videos SET item = :text WHERE file_id = :first", text=b"x"), ["facts"], mends=True),
    "no charge": RowCase(sql(f"DELETE FROM ledger WHERE {_ONE}"), ["charge"], mends=False),
    "a charge twice": RowCase(another_line(), ["charge"], mends=False),
    "a charge twice, later": RowCase(another_line("created + 1"), ["charge"], mends=False),
    "a wrong charge": RowCase(sql(f"UPDATE ledger SET amount = amount + 1 WHERE {_ONE}"), ["charge"], mends=False),
    "a charge of no job": RowCase(another_line(job="'nothing'"), ["charge"], mends=False),
    "an item of a job that is cleaned": RowCase(
        sql("UPDATE jobs SET state = 'cleaned' WHERE id = (SELECT job_id FROM videos WHERE file_id = :first)"),
        ["job"],
        mends=False,
    ),
    "spent": RowCase(sql("UPDATE accounts SET spent = spent + 5 WHERE id = :account"), ["counter"], mends=True),
    "held": RowCase(sql("UPDATE accounts SET held = 0 WHERE id = :account"), ["counter"], mends=True),
    "under way": RowCase(sql("UPDATE accounts SET under_way = 7 WHERE id = :account"), ["counter"], mends=True),
    "a provider's budget": RowCase(
        sql("UPDATE budgets SET held = held + 1 WHERE scope <> 'account ' || :account"), ["counter"], mends=True
    ),
    "an account's budget": RowCase(
        sql("UPDATE budgets SET held = 0 WHERE scope = 'account ' || :account"), ["counter"], mends=True
    ),
    "a revision twice": RowCase(
        sql("UPDATE images SET revision = (SELECT revision FROM videos WHERE file_id = :first)"), ["feed"], mends=False
    ),
    "a revision to come": RowCase(
        sql("UPDATE videos SET revision = revision + 900 WHERE file_id = :first"), ["feed"], mends=False
    ),
    "deleted and there": RowCase(
        sql("UPDATE tombstones SET item_id = (SELECT id FROM videos WHERE file_id = :first)"), ["feed"], mends=False
    ),
    "a hidden change": RowCase(sql("DELETE FROM tombstones WHERE account_id = :account"), ["feed"], mends=False),
    "no child": RowCase(sql("UPDATE lineage SET created = created + 1"), ["lineage"], mends=True),
    "no parent": RowCase(sql("UPDATE lineage SET parent = :nowhere", nowhere=NOWHERE), ["lineage"], mends=False),
    "not found": RowCase(
        sql("DELETE FROM search_pending WHERE id = (SELECT id FROM videos WHERE file_id = :first)"),
        ["search"],
        mends=True,
    ),
    "found and gone": RowCase(
        sql(
            "INSERT INTO search_pending (account_id, kind, created, id, terms) "
            "SELECT account_id, kind, 1, id, terms FROM search_pending WHERE kind = 'image'"
        ),
        ["search"],
        mends=True,
    ),
}
COUNTED = ("accounts", "keys", "jobs", "videos", "images", "ledger", "tombstones", "uploads", "drafts", "trash")


async def rows_of(studio: Studio) -> dict[str, int]:
    counts = {table: await studio.store.rows(f"SELECT count(*) FROM {table}") for table in COUNTED}
    return {table: found[0][0] for table, found in counts.items()}


@pytest.mark.parametrize("name", ROWS)
async def test_a_fault_of_rows_is_found_alone_and_mended_or_left(made: Made, name: str) -> None:
    case = ROWS[name]
    async with made.studio() as studio:
        await case.plant(made)(studio)
        before, rows = files(made), await rows_of(studio)
        found = await faults(studio)
        assert [fault.fault for fault in found] == case.kinds, found
        mended = await faults(studio, repair=True)
        assert [fault.mended for fault in mended] == [case.mends]
        assert [fault.fault for fault in await faults(studio)] == ([] if case.mends else case.kinds)
        assert await rows_of(studio) == rows
        assert files(made) == before


async def test_a_job_whose_item_has_gone_is_told(on_disk: Made) -> None:
    async with on_disk.studio() as studio:
        await sql("UPDATE images SET job_id = NULL")(on_disk)(studio)
        assert [fault.fault for fault in await faults(studio)] == ["sidecar", "job"]


async def test_long_lists_are_checked_to_their_end(database: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """In pages that end anywhere, and where the index is cut into chunks."""
    for module, name, size in ((books, "_PAGE", 7), (indexed, "_STRETCH", 50), (store_verify, "_PAGE", 9)):
        monkeypatch.setattr(module, name, size)
    owner = await new_account(database)
    many = [video(owner, id=ids.item_id(NOON + n), file_id=ids.uuid(), created=NOON + n) for n in range(600)]
    for start in range(0, 600, 100):
        async with database.write() as tx:
            for each in many[start : start + 100]:
                await VIDEOS.add(tx, each)
    async with database.write() as tx:
        for each in many[::20]:
            await VIDEOS.remove(tx, owner, each.id)
    assert len(await database.rows("SELECT 1 FROM search_members")) > 400

    async def found(*, repair: bool = False) -> list[str]:
        book = books.Books(cast("Studio", SimpleNamespace(store=database)), repair)
        return [fault.fault for part in (book.feeds(), book.index(), book.lineage()) async for fault in part]

    assert await found() == []
    spoil = "DELETE FROM search_members WHERE id IN (:one, :other)"
    revisions = "UPDATE tombstones SET item_id = :alive WHERE item_id = :gone"
    async with database.write() as tx:
        await tx.rows(spoil, one=many[101].id, other=many[333].id)
        await tx.rows(revisions, alive=many[599].id, gone=many[580].id)
    assert await found(repair=True) == ["feed", "search", "search"]
    assert await found() == ["feed"]


# --- what is no fault ---


async def test_what_is_young_or_under_way_or_being_deleted_is_no_fault(on_disk: Made) -> None:
    young, drafted, gone = (VideoFiles(on_disk.account, ids.uuid()) for _ in range(3))
    put(on_disk, young.video, age=time.time() - 60)
    put(on_disk, drafted.video)
    put(on_disk, gone.video)
    async with on_disk.studio() as studio:
        assert await studio.expect_files(on_disk.account, Kind.VIDEO, drafted.file_id)
        async with studio.store.write() as tx:
            await trash.add(tx, Kind.VIDEO, on_disk.account, gone.file_id)
        before = files(on_disk)
        assert await faults(studio, repair=True) == []
        assert files(on_disk) == before


async def test_an_item_whose_row_is_lost_is_told_and_kept(on_disk: Made) -> None:
    async with on_disk.studio() as studio:
        for table in ("search_pending", "lineage"):
            gone = f"DELETE FROM {table} WHERE id IN (SELECT id FROM videos WHERE file_id = :first)"
            await sql(gone)(on_disk)(studio)
        await sql("DELETE FROM videos WHERE file_id = :first")(on_disk)(studio)
        for name in on_disk.first.all:
            os.utime(on_disk.path(name), (LONG_AGO, LONG_AGO))
        before = files(on_disk)
        found = await faults(studio, repair=True)
        assert [fault.fault for fault in found] == ["unlisted", "job", "feed"]
        assert files(on_disk) == before
        # What its remedy says:
        out = on_disk.data.parent / "x.mp4"
        shutil.copy(on_disk.path(on_disk.first.video), out)
        shutil.copy(on_disk.path(on_disk.first.sidecar), out.with_suffix(".json"))
        [back] = await brought(studio, out)
        assert back.item_id == json.loads(out.with_suffix(".json").read_text())["item"]["id"]
        assert await VIDEOS.id_of(studio.store, on_disk.account, on_disk.first.file_id) == back.item_id
        assert "unlisted" not in [fault.fault for fault in await faults(studio)]


@pytest.mark.parametrize("at", [1, 2])
async def test_what_looks_wrong_and_has_gone_meanwhile_is_no_fault(on_disk: Made, at: int) -> None:
    """The item is deleted between the look at its row and that at its files: the first, or the second."""
    remove("video")(on_disk)
    async with on_disk.studio() as studio:
        item_id = await VIDEOS.id_of(studio.store, on_disk.account, on_disk.first.file_id)
        honest, looks = Looker.look, list[Fault]()

        async def late(self: Looker, kind: Kind, row: ItemRow, *rest: Any) -> Any:
            look = await honest(self, kind, row, *rest)
            looks.extend(look.faults)
            if look.faults and len(looks) == at:
                await studio.delete_item(on_disk.account, kind, str(item_id))
            return look

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Looker, "look", late)
            assert await faults(studio) == []


@pytest.fixture
def lively(tmp_path: Path, database_url: str | None) -> Iterator[Server]:
    """A server that nobody else puts anything into."""
    with serving(tmp_path / "data", database_url) as server:
        yield server


def test_a_library_in_use_gives_no_false_alarm(lively: Server) -> None:
    server = lively
    picture = png(server.data.parent / "fox.png").read_bytes()
    told = {"RUSHES_DATABASE_URL": server.database_url or ""}
    folder, key = server.data.parent, server.key()
    stop = threading.Event()

    def busy() -> int:
        count = 0
        with server.client(key) as api:
            while not stop.is_set():
                job = api.post("/aistudio/images", json={"prompt": f"a fox {count}"}).json()["data"]["jobId"]
                told = {"fileName": "fox.png", "contentType": "image/png"}
                link = api.post("/media/generateurl", json=told).json()["data"]["signedUrl"]
                httpx2.put(link, content=picture, headers={"content-type": "image/png"}).raise_for_status()
                assert ended(api, job)["data"]["status"] == "completed"
                [item] = api.get("/aistudio/images").json()["items"]
                assert api.delete(f"/aistudio/images/{item['id']}").status_code < 300
                count += 1
        return count

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(busy)
        try:
            for _ in range(2):
                run = rushes("verify", "--data", str(server.data), cwd=folder, **told)
                assert (run.returncode, run.stdout) == (0, ""), run.stdout + run.stderr
        finally:
            stop.set()
        assert working.result() > 0


# --- the command ---


def test_each_fault_is_a_line_and_the_sum_comes_last(on_disk: Made, tmp_path: Path) -> None:
    remove("thumbnail")(on_disk)
    remove("video")(replace(on_disk, first=on_disk.second))
    found = rushes("verify", "--data", "data", cwd=tmp_path)
    assert found.returncode == 1
    lines = sorted(line.split("  ") for line in found.stdout.splitlines())
    assert [(line[0], line[1], len(line)) for line in lines] == [("missing", on_disk.account, 5)] * 2
    assert any(line[3:] == [f"{on_disk.first.thumbnail} is missing", "rushes verify --repair"] for line in lines)
    assert found.stderr.startswith("4 items and ")
    assert found.stderr.endswith(" checked: 2 faults\n")
    mended = rushes("verify", "--data", "data", "--repair", "--json", cwd=tmp_path)
    assert mended.returncode == 1
    told = [json.loads(line) for line in mended.stdout.splitlines()]
    assert sorted((each["fault"], each["mended"], each["remedy"] is None) for each in told) == [
        ("missing", False, False),
        ("missing", True, True),
    ]
    assert mended.stderr.endswith(" checked: 2 faults, 1 mended\n")
    shutil.copy(on_disk.path(on_disk.first.video), on_disk.path(on_disk.second.video))
    assert rushes("verify", "--data", "data", "--quick", cwd=tmp_path).returncode == 1


def test_all_that_was_wrong_is_mended_and_the_library_is_clean(on_disk: Made, tmp_path: Path) -> None:
    remove("preview")(on_disk)
    orphans(on_disk)
    assert rushes("verify", "--data", "data", "--repair", cwd=tmp_path).returncode == 0
    clean = rushes("verify", "--data", "data", "--json", cwd=tmp_path)
    assert (clean.returncode, clean.stdout) == (0, "")
    assert clean.stderr.endswith(" checked: no faults\n")


def test_there_must_be_a_library(tmp_path: Path) -> None:
    assert "There is no library" in failed(rushes("verify", "--data", "nowhere", cwd=tmp_path))


# --- in a bucket ---


@pytest.mark.xdist_group("ceph")
async def test_a_bucket_is_proven_and_mended_like_a_folder(
    on_disk: Made, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    bucket = f"{request.getfixturevalue('ceph').bucket()}/of/rushes"
    assert rushes("move", "--data", "data", "--to", bucket, cwd=tmp_path).returncode == 0
    told = on_disk.config.model_copy(update={"storage_url": bucket, "sweep_seconds": 0.001})
    async with Studio.open(told) as studio:
        assert await faults(studio) == []
        await studio.blobs.delete(on_disk.first.last_frame)
        await studio.blobs.delete(on_disk.first.sidecar)
        await studio.blobs.delete(on_disk.second.video)
        with studio.blobs.workspace() as folder:
            (folder / "file").write_bytes(b"x")
            await studio.blobs.put(VideoFiles(on_disk.account, ids.uuid()).video, folder / "file")
        kinds = ["missing", "missing", "orphan", "sidecar"]
        assert sorted(fault.fault for fault in await faults(studio)) == kinds
        mended = await faults(studio, repair=True)
        assert sorted((fault.fault, fault.mended) for fault in mended) == [
            ("missing", False),
            ("missing", True),
            ("orphan", True),
            ("sidecar", True),
        ]
        assert [fault.fault for fault in await faults(studio)] == ["missing"]
