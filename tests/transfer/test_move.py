"""``rushes move``: a library goes to other places, whole, and goes on there as if nothing had been."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from rushes import config, ids, store
from rushes.blobs import Blobs
from rushes.errors import DamagedCopy, StartError
from rushes.model import ImageFiles, Kind, VideoFiles, VideoRequest, result_name
from rushes.store import Store, tables
from rushes.store.library import VIDEOS
from rushes.studio import Studio
from rushes.transfer.move import PREFIXES, Carried, carry_files, carry_rows
from tests.api.takes import VIDEOS as PATH
from tests.api.takes import completed, submit
from tests.cli.running import failed, rushes
from tests.conftest import Server, serving, wait_until
from tests.contract.samples import submitted, video
from tests.transfer.libraries import MAY, account_id, entered

pytestmark = pytest.mark.anyio

BUCKET = pytest.param("bucket", marks=pytest.mark.xdist_group("ceph"))


async def filled(studio: Studio, count: int = 30) -> str:
    """A library with something of everything: items, jobs, charges, a webhook that is due, an upload; the account."""
    await studio.create_key("default", "a label")
    owner = await account_id(studio)
    request = VideoRequest("a heron lifts off", "pixverse5.5", "9:16", 5, webhook="http://127.0.0.1:9/hook")
    jobs = [await submitted(studio, owner, request, "http://a.example") for _ in range(3)]
    await studio.cancel_job(owner, jobs[0].id)
    made = [video(owner, id=ids.item_id(MAY + n), file_id=ids.uuid(), created=MAY + n) for n in range(count)]
    await entered(studio, *made)
    await studio.delete_item(owner, Kind.VIDEO, made[0].id)
    return owner


async def contents(opened: Store) -> dict[str, tables.Content]:
    columns = await opened.columns()
    async with opened.snapshot() as rows:
        return {table: await tables.content(rows, table, columns[table]) for table in tables.TABLES}


@dataclass
class Places:
    """Where a library can be."""

    folder: Path
    new_database: Callable[[], str]

    def studio(self, name: str, engine: str) -> config.Config:
        url = self.new_database() if engine == "postgres" else None
        return config.load(data=self.folder / name, database_url=url)


@pytest.fixture
def places(tmp_path: Path, new_database: Callable[[], str]) -> Places:
    return Places(tmp_path, new_database)


# --- rows ---


async def test_no_table_and_no_key_of_one_is_forgotten(database: Store) -> None:
    columns = await database.columns()
    assert columns.keys() - {"migrations"} == tables.TABLES.keys()
    for table, key in tables.TABLES.items():
        assert set(key) <= set(columns[table])
        # What is no key would let rows with the same values be passed over.
        twice = f"SELECT 1 FROM {table} GROUP BY {', '.join(key)} HAVING count(*) > 1"
        assert await database.rows(twice) == []


def test_no_place_of_files_is_forgotten() -> None:
    video, image = VideoFiles("account", "file"), ImageFiles("account", "file")
    names = {*video.all, *video.inputs, *image.all, *image.inputs, result_name("account", "job")}
    assert {name.split("/")[0] for name in names} | {"uploads"} == set(PREFIXES)


@pytest.mark.parametrize("here", ["sqlite", "postgres"])
@pytest.mark.parametrize("there", ["sqlite", "postgres"])
async def test_every_row_arrives_whatever_the_engines(places: Places, here: str, there: str) -> None:
    old, new = places.studio("old", here), places.studio("new", there)
    async with Studio.open(old) as studio:
        owner = await filled(studio, 300)  # so many that the words of some stand in a chunk, and of others do not yet
        before = await contents(studio.store)
        target = await store.open(new.data, new.database_url)
        told = dict([each async for each in carry_rows(studio.store, target)])
        assert {table: content.rows for table, content in before.items()} == told
        assert await contents(target) == before
        page = (await VIDEOS.page(studio.store, owner, None, 1000)).items
        await target.close()
    assert told["jobs"] == told["deliveries"] + 2 == 3
    assert told["search_chunks"] == 1
    assert min(told["search_pending"], told["tombstones"], told["keys"], told["server"]) > 0
    async with Studio.open(new) as studio:
        assert (await VIDEOS.page(studio.store, owner, None, 1000)).items == page
        for number in range(300):  # the numbers that the database gives go on
            made = video(owner, id=ids.item_id(MAY - number), file_id=ids.uuid(), created=MAY - number)
            await entered(studio, made)
        claimed = await studio.turns.claim("a worker", 10)
        assert len(claimed) == 2, "the queue goes on"


async def test_a_database_that_holds_a_library_is_not_written_to(places: Places) -> None:
    old, new = places.studio("old", "sqlite"), places.studio("new", "postgres")
    async with Studio.open(old) as here, Studio.open(new) as there:
        await filled(here, 2)
        await filled(there, 1)
        before = await contents(there.store)
        with pytest.raises(StartError, match="There is a library in the new database already"):
            [each async for each in carry_rows(here.store, there.store)]
        assert await contents(there.store) == before


@pytest.mark.parametrize("there", ["sqlite", "postgres"])
async def test_a_move_that_is_broken_off_leaves_an_empty_database(places: Places, there: str) -> None:
    old, new = places.studio("old", "sqlite"), places.studio("new", there)
    async with Studio.open(old) as studio:
        await filled(studio, 5)
        target = await store.open(new.data, new.database_url)
        moving = carry_rows(studio.store, target)
        async for table, _ in moving:
            if table == "videos":
                break
        await moving.aclose()  # type: ignore[attr-defined]
        assert await tables.is_empty(target)
        assert len([each async for each in carry_rows(studio.store, target)]) == len(tables.TABLES)
        await target.close()


async def test_rows_that_come_out_otherwise_stay_nowhere(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = places.studio("old", "sqlite"), places.studio("new", "postgres")
    async with Studio.open(old) as studio:
        await filled(studio, 5)
        target = await store.open(new.data, new.database_url)
        honest = tables.content

        async def spoilt(sql: store.Rows, table: str, columns: list[str]) -> tables.Content:
            found = await honest(sql, table, columns)
            return found._replace(digest=found.digest + 1) if table == "ledger" else found

        monkeypatch.setattr(tables, "content", spoilt)
        with pytest.raises(DamagedCopy, match="ledger"):
            [each async for each in carry_rows(studio.store, target)]
        assert await tables.is_empty(target)
        await target.close()


# --- files ---


@pytest.fixture(params=["folder", BUCKET])
async def target(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    url = request.getfixturevalue("ceph").bucket() if request.param == "bucket" else None
    blobs = Blobs(tmp_path / "target" / "media", url, config.secret)
    await blobs.open()
    return blobs


@pytest.fixture
async def source(tmp_path: Path) -> Blobs:
    blobs = Blobs(tmp_path / "source" / "media")
    await blobs.open()
    names = [f"{prefix}/user/{n % 3}/{n}.mp4" for prefix in ("videos", "images", "uploads") for n in range(7)]
    for name in [*names, "sidecars/a/1.json", "results/a/b", "results/a-b/c", "checks/ready"]:
        with blobs.workspace() as folder:
            (folder / "file").write_bytes(name.encode() * 1000)
            await blobs.put(name, folder / "file")
    return blobs


async def carried(source: Blobs, target: Blobs) -> list[Carried]:
    return sorted([each async for each in carry_files(source, target)])


async def test_every_file_arrives_and_is_not_copied_again(source: Blobs, target: Blobs) -> None:
    first = await carried(source, target)
    assert [each.outcome for each in first] == ["copied"] * 24
    for name, _, size in first:
        assert b"".join([chunk async for chunk in target.read(name, 0, size)]) == name.encode() * 1000
    assert [each.outcome for each in await carried(source, target)] == ["here"] * 24
    await source.delete("videos/user/0/0.mp4")
    await target.delete("images/user/1/4.mp4")
    again = await carried(source, target)
    assert [each.name for each in again if each.outcome == "copied"] == ["images/user/1/4.mp4"]
    assert len(again) == 23
    assert await target.names("checks") in ([], ["checks/ready"])


async def test_a_file_of_another_size_is_copied_anew(source: Blobs, target: Blobs) -> None:
    with target.workspace() as folder:
        (folder / "file").write_bytes(b"half")
        await target.put("results/a/b", folder / "file")
    done = {each.name: each.outcome for each in await carried(source, target)}
    assert done["results/a/b"] == "copied"
    assert b"".join([chunk async for chunk in target.read("results/a/b", 0, 11_000)]) == b"results/a/b" * 1000


async def test_what_comes_out_otherwise_is_told_and_deleted(
    source: Blobs, target: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = target.read

    async def spoilt(name: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        async with aclosing(honest(name, start, length)) as chunks:
            async for chunk in chunks:
                yield chunk if name != "uploads/user/1/1.mp4" else chunk[:-1] + b"!"

    monkeypatch.setattr(Blobs, "read", lambda self, *told: spoilt(*told) if self is target else honest(*told))
    with pytest.raises(DamagedCopy, match=r"uploads/user/1/1\.mp4"):
        await carried(source, target)
    assert await target.stat("uploads/user/1/1.mp4") is None


async def test_a_file_that_is_deleted_meanwhile_is_no_mistake(source: Blobs, target: Blobs) -> None:
    async def deleted(prefix: str) -> AsyncGenerator[tuple[str, int], None]:
        async for each in Blobs.listed(source, prefix):
            if each[0] == "videos/user/2/5.mp4":
                await source.delete(each[0])
            yield each

    source.listed = deleted  # type: ignore[method-assign]
    assert [each.name for each in await carried(source, target) if each.outcome == "gone"] == ["videos/user/2/5.mp4"]


# --- the command ---


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Server, str]]:
    """A library with a video and an image, and its key."""
    with serving(tmp_path / "old") as server:
        key = server.key("default")
        with server.client(key) as api:
            completed(api, submit(api, "a fox in snow"))
        yield server, key


@pytest.mark.xdist_group("ceph")
def test_a_library_goes_to_postgresql_and_a_bucket_and_goes_on_there(
    served: tuple[Server, str], tmp_path: Path, new_database: Callable[[], str], request: pytest.FixtureRequest
) -> None:
    server, key = served
    ceph = request.getfixturevalue("ceph")
    database, bucket = new_database(), f"{ceph.bucket()}/library"
    to = ("move", "--data", str(server.data), "--to", database, "--to", bucket)
    assert "in use" in failed(rushes(*to, cwd=tmp_path))
    ahead = rushes("move", "--data", str(server.data), "--to", bucket, cwd=tmp_path)
    assert (ahead.returncode, ahead.stdout.count("copied\t")) == (1, 5), ahead.stderr
    assert "give the same command again for what has come since" in ahead.stderr
    with server.client(key) as api:
        completed(api, submit(api, "and another"))
        before = [item["url"].removeprefix(server.url) for item in api.get(PATH).json()["items"]]
        films = [httpx2.get(server.url + url).content for url in before]
    server.program.stop()
    done = rushes(*to, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (done.stdout.count("copied\t"), done.stdout.count("here\t")) == (5, 5)
    assert f"RUSHES_DATABASE_URL={database} RUSHES_STORAGE_URL={bucket}" in done.stderr
    assert "already" in failed(rushes(*to, cwd=tmp_path))
    settings = {"RUSHES_STORAGE_URL": bucket}
    with serving(tmp_path / "other-data", database, settings=settings) as moved, moved.client(key) as api:
        after = [item["url"].removeprefix(moved.url) for item in api.get(PATH).json()["items"]]
        assert after == before
        assert [httpx2.get(moved.url + url).content for url in after] == films
        assert [item["prompt"] for item in api.get(PATH, params={"q": "fox"}).json()["items"]] == ["a fox in snow"]
        completed(api, submit(api, "a third"))
    server.program.start(tmp_path / "again.log")  # for the fixture to end


def test_a_move_that_is_killed_goes_on(tmp_path: Path) -> None:
    data, new = tmp_path / "old", tmp_path / "new"

    async def fill() -> None:
        async with Studio.open(config.load(data=data)) as studio:
            await filled(studio, 400)

    asyncio.run(fill())
    command = [sys.executable, "-m", "rushes", "move", "--data", str(data), "--to", str(new)]
    for seconds in (0.9, 1.2, 1.5):
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(seconds)
            os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: rushes(*command[3:], cwd=tmp_path).returncode in (0, 1), what="the end of the move")

    async def both() -> tuple[dict[str, tables.Content], ...]:
        found = []
        for folder in (data, new):
            opened = await store.open(folder)
            found.append(await contents(opened))
            await opened.close()
        return tuple(found)

    old, moved = asyncio.run(both())
    assert old == moved

    def files(folder: Path) -> dict[Path, bytes]:
        found = (path for path in folder.glob("media/[!.]*/**/*") if path.is_file())
        return {path.relative_to(folder): path.read_bytes() for path in found}

    assert files(data) == files(new)


@pytest.mark.parametrize(
    ("to", "words"),
    [
        (["ftp://there"], "Name at most one"),
        (["s3://a", "s3://b"], "Name at most one"),
        (["a", "b"], "Name at most one"),
    ],
)
def test_what_cannot_be_meant_is_told(tmp_path: Path, to: list[str], words: str) -> None:
    done = rushes("move", *(word for each in to for word in ("--to", each)), cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr


def test_no_library_and_the_same_place_are_told(tmp_path: Path) -> None:
    assert "There is no library in" in failed(rushes("move", "--to", "elsewhere", "--data", "nowhere", cwd=tmp_path))
    rushes("keys", "create", "--data", "here", cwd=tmp_path)
    assert "is there already" in failed(rushes("move", "--to", "here", "--data", "here", cwd=tmp_path))
