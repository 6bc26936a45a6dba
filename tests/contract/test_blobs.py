"""Files under names: put once, whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rushes.blobs import CHUNK_BYTES, Blobs
from rushes.config import secret
from rushes.errors import StartError, StorageFull, StorageUnavailable
from tests.conftest import START_SECONDS
from tests.contract import programs
from tests.servers.azurite import Azurite
from tests.servers.ceph import Ceph

pytestmark = pytest.mark.anyio

NAME = "videos/user/7f9c24e8-3b12-4fef-91e0-ec5f5cd8c67a/0b8f6f0e-60a5-4c1c-8c4e-0f0f8f7cf6d1_last_frame.png"
DAY = 24 * 3600


@pytest.fixture
async def folder(tmp_path: Path) -> Blobs:
    opened = Blobs(tmp_path / "media")
    await opened.open()
    return opened


@pytest.fixture(
    params=[
        "folder",
        pytest.param("bucket", marks=pytest.mark.xdist_group("ceph")),
        pytest.param("azure", marks=pytest.mark.xdist_group("azurite")),
    ]
)
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Each place that files can be in, empty."""
    url = None
    if request.param == "bucket":
        ceph: Ceph = request.getfixturevalue("ceph")
        url = f"{ceph.bucket()}/a/prefix"
    elif request.param == "azure":
        azurite: Azurite = request.getfixturevalue("azurite")
        url = f"{azurite.container()}/a/prefix"
    opened = Blobs(tmp_path / "media", url, secret)
    await opened.open()
    return opened


async def put(blobs: Blobs, name: str, content: bytes) -> None:
    with blobs.workspace() as folder:
        (folder / "file").write_bytes(content)
        await blobs.put(name, folder / "file")


async def read(blobs: Blobs, name: str, start: int, length: int) -> bytes:
    return b"".join([chunk async for chunk in blobs.read(name, start, length)])


# There and back


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 7])
async def test_what_is_put_is_there(blobs: Blobs, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    await put(blobs, NAME, content)
    known = await blobs.stat(NAME)
    assert known is not None
    assert known.size == size
    assert abs(known.modified - time.time()) < 60
    assert await read(blobs, NAME, 0, size) == content
    await blobs.copy(NAME, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    assert await blobs.names("videos") == [NAME]
    await blobs.delete(NAME)
    assert (await blobs.stat(NAME), await blobs.names("videos")) == (None, [])


@pytest.mark.parametrize(("start", "length"), [(0, 2), (5, 10), (CHUNK_BYTES - 1, 2), (3, CHUNK_BYTES), (9, 0)])
async def test_a_range_is_exactly_its_bytes(blobs: Blobs, start: int, length: int) -> None:
    content = os.urandom(CHUNK_BYTES + 100)
    await put(blobs, NAME, content)
    assert await read(blobs, NAME, start, length) == content[start : start + length]


async def test_a_range_beyond_the_end_is_told(blobs: Blobs) -> None:
    await put(blobs, NAME, b"12345")
    with pytest.raises(StorageUnavailable, match="shorter"):
        await read(blobs, NAME, 3, 3)


async def test_the_etag_changes_with_the_bytes_and_only_then(blobs: Blobs) -> None:
    await put(blobs, "a", b"one")
    first = await blobs.stat("a")
    assert await blobs.stat("a") == first
    await put(blobs, "a", b"others")
    second = await blobs.stat("a")
    assert first is not None
    assert second is not None
    assert first.etag != second.etag
    assert '"' not in first.etag


async def test_what_is_not_there_is_told_and_may_be_deleted(blobs: Blobs, tmp_path: Path) -> None:
    assert await blobs.stat(NAME) is None
    await blobs.delete(NAME)
    with pytest.raises(FileNotFoundError):
        await blobs.copy(NAME, tmp_path / "copy")
    with pytest.raises(FileNotFoundError):
        await read(blobs, NAME, 0, 1)


async def test_a_folder_is_not_a_file(blobs: Blobs) -> None:
    await put(blobs, NAME, b"x")
    assert await blobs.stat("videos/user") is None
    assert await blobs.stat(f"{NAME}/more") is None


async def test_a_file_open_for_reading_survives_its_deletion(blobs: Blobs) -> None:
    content = os.urandom(3 * CHUNK_BYTES)
    await put(blobs, NAME, content)
    chunks = blobs.read(NAME, 0, len(content))
    got = await anext(chunks)
    await blobs.delete(NAME)
    assert await blobs.stat(NAME) is None
    got += b"".join([chunk async for chunk in chunks])
    assert got == content


async def test_whoever_is_cancelled_while_reading_leaves_no_file_open(folder: Blobs, tmp_path: Path) -> None:
    await put(folder, NAME, b"take")
    path = tmp_path / "media" / NAME
    for turns in range(100):
        reading = asyncio.create_task(read(folder, NAME, 0, 4))
        for _ in range(turns):
            await asyncio.sleep(0)
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        async with asyncio.timeout(START_SECONDS):  # what a thread opens meanwhile is closed when it has
            while path in opened():
                await asyncio.sleep(0.001)


def opened() -> set[Path]:
    """The files that this process has open."""
    found = set[Path]()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(entry.readlink())
    return found


async def test_files_put_at_once_are_all_there(blobs: Blobs) -> None:
    names = [f"deep/{number % 5}/er/{number}.bin" for number in range(40)]
    await asyncio.gather(*(put(blobs, name, name.encode() * 1000) for name in names))
    for name in names:
        assert await read(blobs, name, 0, len(name) * 1000) == name.encode() * 1000
    assert await blobs.names("deep") == sorted(names)


# Names

ODD = [
    "",
    "/",
    ".",
    "..",
    "../secret",
    "videos/../../secret",
    "/etc/passwd",
    "//etc/passwd",
    "videos//a",
    "videos/",
    "./a",
    ".work/x",
    ".hidden",
    "a/.hidden/b",
    "a\\..\\b",
    "a\x00b",
    "a\n",
    "a b",
    "é.mp4",
    "a.mp4.exe",
    "a%2e%2e",
    "~root",
    "-rf",
    "a" * 300,
    f"{'a' * 300}.mp4",
    "a/" * 3000 + "a",
]


@pytest.mark.parametrize("name", ODD)
async def test_an_odd_name_is_no_file(blobs: Blobs, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    assert await blobs.stat(name) is None


@pytest.mark.parametrize("name", ODD)
async def test_nothing_is_put_read_or_deleted_under_an_odd_name(blobs: Blobs, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    refusals = (ValueError, StorageUnavailable)
    with pytest.raises(refusals):
        await put(blobs, name, b"x")
    with pytest.raises(refusals):
        await read(blobs, name, 0, 1)
    with pytest.raises(refusals):
        await blobs.copy(name, tmp_path / "copy")
    with pytest.raises(refusals):
        await blobs.delete(name)
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert {path.name for path in tmp_path.iterdir()} <= {"secret", "media", "copy"}


@pytest.mark.parametrize("prefix", ["..", "../", "videos/../..", "/", "/etc"])
async def test_a_prefix_cannot_leave_the_folder(blobs: Blobs, tmp_path: Path, prefix: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    with pytest.raises(ValueError, match="cannot be"):
        await blobs.names(prefix)


async def test_files_on_their_way_have_no_name(blobs: Blobs) -> None:
    await put(blobs, "a/b.mp4", b"x")
    with blobs.workspace() as folder:
        (folder / "half.mp4").write_bytes(b"half")
        assert await blobs.names("a") == ["a/b.mp4"]


# Whole or not at all


WHOLE = b"a" * programs.HALF + b"z" * programs.HALF


@pytest.mark.parametrize("after", [1, 4, 9])
async def test_a_named_file_is_whole_whenever_it_is_seen_and_whenever_its_writer_dies(
    tmp_path: Path, after: int
) -> None:
    blobs = Blobs(tmp_path / "media")
    process = programs.start("put", str(tmp_path / "media"))
    try:
        programs.go(process)
        for number in range(after):
            async with asyncio.timeout(30):
                while not await blobs.stat(programs.put_name(number)):
                    assert process.poll() is None
            assert await read(blobs, programs.put_name(number), 0, len(WHOLE)) == WHOLE
    finally:
        programs.end(process)
    names = await blobs.names("some")
    assert len(names) >= after
    assert [name for name in names if await read(blobs, name, 0, len(WHOLE)) != WHOLE] == []


async def test_a_failed_put_leaves_no_name(blobs: Blobs) -> None:
    with pytest.raises(StorageUnavailable):
        await blobs.put("b", Path("/nowhere/file"))
    assert await blobs.stat("b") is None


async def test_a_file_cannot_be_a_folder(folder: Blobs) -> None:
    await put(folder, "a", b"a file where a folder would be")
    with pytest.raises(StorageUnavailable):
        await put(folder, "a/b", b"x")
    assert await folder.names("a/b") == []


# Workspaces


async def test_a_workspace_is_empty_and_goes_with_its_block(blobs: Blobs) -> None:
    with blobs.workspace() as one, blobs.workspace() as other:
        assert one != other
        assert list(one.iterdir()) == []
        (one / "deep").mkdir()
        (one / "deep" / "file").write_bytes(b"x")
    assert not one.exists()
    assert not other.exists()


async def test_a_workspace_goes_on_an_error_too(blobs: Blobs) -> None:
    made: list[Path] = []

    def fail() -> None:
        with blobs.workspace() as folder:
            made.append(folder)
            (folder / "file").write_bytes(b"x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not made[0].exists()


def leave(folder: Path, age: float) -> Path:
    """What a process that was killed left behind, some time ago."""
    (folder / ".work").mkdir(parents=True, exist_ok=True)
    left = folder / ".work" / f"left-{age:g}"
    left.mkdir()
    (left / "half.mp4").write_bytes(b"half")
    os.utime(left, (time.time() - age, time.time() - age))
    return left


async def test_stale_workspaces_are_deleted_at_the_next_start(tmp_path: Path) -> None:
    stale, fresh = leave(tmp_path, DAY + 60), leave(tmp_path, DAY - 600)
    await Blobs(tmp_path).open()
    assert (stale.exists(), fresh.exists()) == (False, True)


async def test_a_stale_file_between_the_workspaces_is_deleted_too(tmp_path: Path) -> None:
    (tmp_path / ".work").mkdir()
    stale = tmp_path / ".work" / "tmp1234"
    stale.write_bytes(b"half")
    os.utime(stale, (0, 0))
    await Blobs(tmp_path).open()
    assert not stale.exists()


async def test_processes_may_open_the_same_folder_at_once(tmp_path: Path) -> None:
    for number in range(300):
        leave(tmp_path, DAY + 60 + number)
    with ThreadPoolExecutor(8) as threads:
        opened = [threads.submit(lambda: asyncio.run(Blobs(tmp_path).open())) for _ in range(8)]
    assert [each.exception() for each in opened] == [None] * 8
    assert list((tmp_path / ".work").iterdir()) == []


# A disk that is full, a folder that is not there


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte, where we may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=50", "none", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small disk; the limit on file sizes is tested instead")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


async def test_a_full_disk_is_told_and_what_is_there_stays(small_disk: Path) -> None:
    blobs = Blobs(small_disk)
    await blobs.open()
    await put(blobs, "a.mp4", b"x" * 1000)
    with pytest.raises(StorageFull) as caught:
        await blobs.check()
    assert caught.value.retryable
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with pytest.raises(StorageFull), blobs.workspace() as folder:
        await blobs.copy("a.mp4", folder / "copy")
    assert await read(blobs, "a.mp4", 0, 1000) == b"x" * 1000
    (small_disk / "filler").unlink()
    await put(blobs, "b.mp4", b"again")
    assert await read(blobs, "b.mp4", 0, 5) == b"again"


async def test_a_disk_that_takes_no_more_files_is_told(small_disk: Path) -> None:
    blobs = Blobs(small_disk)
    await blobs.open()
    await put(blobs, "a.mp4", b"x")
    with blobs.workspace() as folder:
        (folder / "b").write_bytes(b"b")
        with contextlib.suppress(OSError):
            for number in range(1000):
                (small_disk / f"filler-{number}").touch()
        with pytest.raises(StorageFull), blobs.workspace():
            pass
        with pytest.raises(StorageFull):
            await blobs.put("new/folder/b.mp4", folder / "b")
        assert await blobs.stat("new/folder/b.mp4") is None
        assert await read(blobs, "a.mp4", 0, 1) == b"x"


async def test_a_disk_that_takes_no_more_bytes_is_told_by_the_check(tmp_path: Path) -> None:
    process = programs.start("fill", str(tmp_path / "media"))
    try:
        programs.go(process)
        assert "full" in programs.said(process)
    finally:
        programs.end(process)


async def test_the_check_passes_on_a_good_disk_and_leaves_nothing(folder: Blobs, tmp_path: Path) -> None:
    await folder.check()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_a_folder_that_went_away_is_told(folder: Blobs, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "media")
    with pytest.raises(StorageUnavailable):
        await folder.check()
    with pytest.raises(StorageUnavailable), folder.workspace():
        pass


@pytest.mark.parametrize("below", ["", "media"])
async def test_a_folder_that_cannot_be_written_is_told_in_one_sentence(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StartError, match="cannot be written") as caught:
        await Blobs(tmp_path / "file" / below).open()
    assert "\n" not in caught.value.sentence
    assert str(tmp_path / "file") in caught.value.sentence


async def test_a_read_only_disk_is_told_in_one_sentence(small_disk: Path) -> None:
    await Blobs(small_disk).open()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StartError, match="cannot be written"):
        await Blobs(small_disk).open()
