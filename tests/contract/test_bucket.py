"""What a bucket can do that a folder cannot, and how it fails: on a real S3 store."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import httpx2
import obstore
import pytest
from obstore.exceptions import GenericError

from rushes import config
from rushes.blobs import CHUNK_BYTES, Blobs, objects
from rushes.errors import BadSetting, StartError, StorageFull, StorageUnavailable
from tests.conftest import free_port
from tests.contract import programs
from tests.contract.test_blobs import NAME, put, read
from tests.servers.ceph import SECRET, Ceph

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("ceph")]

MIB = 2**20
VIDEO = "videos/user/one/a.mp4"


@pytest.fixture
def url(ceph: Ceph) -> str:
    return f"{ceph.bucket()}/a/prefix"


@pytest.fixture
async def bucket(tmp_path: Path, url: str) -> Blobs:
    return await opened(tmp_path, url)


async def opened(folder: Path, url: str, **settings: str) -> Blobs:
    blobs = Blobs(folder / "media", url, lambda name: settings.get(name) or config.secret(name))
    await blobs.open()
    await blobs.prove()
    return blobs


# --- what is put ---


async def test_a_file_is_told_by_its_type_and_kept_for_ever_by_whoever_fetches_it(
    bucket: Blobs, ceph: Ceph, url: str
) -> None:
    await put(bucket, VIDEO, b"12345")
    got = obstore.get(ceph.store(url), VIDEO)
    assert got.attributes["Content-Type"] == "video/mp4"
    assert got.attributes["Cache-Control"] == "public, max-age=31536000, immutable"
    assert bytes(got.bytes()) == b"12345"


@pytest.mark.parametrize("size", [8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 20 * MIB])
async def test_long_files_travel_in_parts(bucket: Blobs, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    await put(bucket, NAME, content)
    found = await bucket.stat(NAME)
    assert found
    assert (found.size, bool(found.etag)) == (size, True)
    assert await read(bucket, NAME, 0, size) == content
    assert await read(bucket, NAME, size // 2 - 5, CHUNK_BYTES) == content[size // 2 - 5 :][:CHUNK_BYTES]
    await bucket.copy(NAME, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content


async def test_memory_does_not_grow_with_the_file(tmp_path: Path, url: str) -> None:
    """400 MiB there and back in a process of its own."""
    process = programs.start("carry", str(tmp_path), url, str(400))
    try:
        programs.go(process)
        told = json.loads(programs.said(process))
    finally:
        programs.end(process)
    assert told["whole"]
    assert told["grown_mib"] < 100, told


async def test_a_put_that_nobody_waits_for_any_more_has_ended_when_that_is_told(bucket: Blobs) -> None:
    """Whoever deletes the file then deletes all there will be of it."""
    putting = asyncio.create_task(put(bucket, NAME, os.urandom(20 * MIB)))
    await asyncio.sleep(0.1)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    await bucket.delete(NAME)
    await asyncio.sleep(0.5)
    assert await bucket.stat(NAME) is None


async def test_two_libraries_in_one_bucket_do_not_see_each_other(tmp_path: Path, ceph: Ceph) -> None:
    url = ceph.bucket()
    one, other = await opened(tmp_path / "1", f"{url}/one"), await opened(tmp_path / "2", f"{url}/other")
    await put(one, VIDEO, b"one")
    assert (await other.names("videos"), await other.stat(VIDEO)) == ([], None)
    await other.delete(VIDEO)
    assert await read(one, VIDEO, 0, 3) == b"one"


# --- its own links ---


async def test_a_link_of_its_own_gives_ranges_to_anybody_until_its_time_is_over(bucket: Blobs) -> None:
    await put(bucket, VIDEO, b"0123456789")
    link = await bucket.link(VIDEO, "GET", 2)
    assert link
    async with httpx2.AsyncClient(trust_env=False) as http:
        whole, part = await http.get(link), await http.get(link, headers={"range": "bytes=2-4"})
        assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, b"0123456789", "video/mp4")
        assert (part.status_code, part.content) == (206, b"234")
        assert part.headers["content-range"] == "bytes 2-4/10"
        assert (await http.get(link.replace("a.mp4", "b.mp4"))).status_code == 403
        assert (await http.delete(link)).status_code == 403
        head = await bucket.link(VIDEO, "HEAD", 2)
        assert head
        assert (await http.head(head)).headers["content-length"] == "10"
        await asyncio.sleep(3)
        assert (await http.get(link)).status_code == 403


async def test_a_folder_has_no_links_of_its_own(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "media")
    await blobs.open()
    await put(blobs, VIDEO, b"x")
    assert await blobs.link(VIDEO, "GET", 60) is None


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "another"}, "does not take this key"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "does not take this key"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:{port}"}, "does not answer as it should"),
    ],
)
async def test_a_start_that_cannot_be_says_why_in_one_sentence(
    tmp_path: Path, url: str, settings: dict[str, str], words: str
) -> None:
    settings = {name: value.format(port=free_port()) for name, value in settings.items()}
    began = time.monotonic()
    with pytest.raises(StartError, match=words) as caught:
        await opened(tmp_path, url, **settings)
    assert time.monotonic() - began < 10
    assert url in caught.value.sentence
    assert "\n" not in caught.value.sentence
    assert SECRET not in caught.value.sentence


async def test_an_endpoint_without_a_scheme_is_told(tmp_path: Path, url: str) -> None:
    with pytest.raises(StartError, match="must begin with http"):
        await opened(tmp_path, url, AWS_ENDPOINT_URL="127.0.0.1:9000")


async def test_a_key_that_cannot_be_read_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(StartError) as caught:
        await opened(tmp_path, "gs://bucket", GOOGLE_SERVICE_ACCOUNT_KEY='{"private_key": "topsecret"}')
    assert "topsecret" not in str(caught.value)


async def test_a_part_that_is_cut_off_is_asked_for_again_from_there(
    bucket: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow reader brings it about: a call may take a minute, and the reader sets the pace."""
    content = os.urandom(9 * MIB)
    await put(bucket, VIDEO, content)
    asked: list[int] = []
    honest = objects.Bucket._part

    async def cut(self: objects.Bucket, name: str, start: int, end: int) -> Iterator[bytes]:
        asked.append(start)
        whole = await honest(self, name, start, end)

        def some() -> Iterator[bytes]:
            yield from islice(whole, 3)
            raise GenericError("error decoding response body")

        return some()

    monkeypatch.setattr(objects.Bucket, "_part", cut)
    assert await read(bucket, VIDEO, 0, len(content)) == content
    assert len(asked) >= 5

    async def dead(self: objects.Bucket, name: str, start: int, end: int) -> Iterator[bytes]:
        raise GenericError("error sending request")

    monkeypatch.setattr(objects.Bucket, "_part", dead)
    with pytest.raises(StorageUnavailable):
        await read(bucket, VIDEO, 0, 9)


async def test_a_full_disk_of_ours_is_told_as_such(tmp_path: Path, url: str) -> None:
    process = programs.start("fetch", str(tmp_path), url)
    try:
        programs.go(process)
        assert "full" in programs.said(process)
    finally:
        programs.end(process)


async def test_it_is_not_written_to_at_every_question(bucket: Blobs, ceph: Ceph, url: str) -> None:
    obstore.delete(ceph.store(url), "checks/ready")
    await bucket.check()
    assert await bucket.stat("checks/ready") is None, "it was proven a moment ago"


async def test_a_bucket_that_is_not_there_is_not_a_library_without_files(tmp_path: Path, ceph: Ceph) -> None:
    with pytest.raises(StartError, match="s3://nothing-of-that-name: There is no bucket"):
        await opened(tmp_path, "s3://nothing-of-that-name")
    gone = Blobs(tmp_path / "media", "s3://nothing-of-that-name", config.secret)
    with pytest.raises(StorageUnavailable, match="There is no bucket"):
        await gone.stat(VIDEO)
    with pytest.raises(StorageUnavailable, match="There is no bucket"):
        await gone.copy(VIDEO, tmp_path / "copy")
    with pytest.raises(StorageUnavailable, match="There is no bucket"):
        await gone.names("videos")


@pytest.mark.parametrize("wrong", ["s3:/bucket", "s3://", "ftp://bucket", "s3://a?b=c", "bucket"])
def test_an_address_that_is_none_is_told(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"storage_url.*s3://bucket"):
        config.load(data=tmp_path, storage_url=wrong)


def test_links_of_its_own_need_a_storage_that_has_some(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="media_redirect_seconds needs a storage_url"):
        config.load(data=tmp_path, media_redirect_seconds=60)


@pytest.fixture
def full(ceph: Ceph) -> Iterator[None]:
    """A store that takes nothing more."""
    quota = ("--quota-scope", "user", "--uid", "rushes")
    ceph.admin("quota", "set", *quota, "--max-objects", "0")
    ceph.admin("quota", "enable", *quota)
    yield
    ceph.admin("quota", "disable", *quota)


async def test_a_full_store_is_told_and_what_is_there_stays(
    bucket: Blobs, request: pytest.FixtureRequest, ceph: Ceph, tmp_path: Path, url: str
) -> None:
    await put(bucket, VIDEO, b"12345")
    request.getfixturevalue("full")
    other = Blobs(tmp_path / "other", url, config.secret)
    await other.open()
    await other.prove()  # what is there can still be read
    with pytest.raises(StorageFull) as caught:
        await put(bucket, "videos/user/one/b.mp4", b"more")
    assert caught.value.retryable
    with pytest.raises(StorageFull):
        await other.check()
    assert await read(bucket, VIDEO, 0, 5) == b"12345"
    ceph.admin("quota", "disable", "--quota-scope", "user", "--uid", "rushes")
    await put(bucket, "videos/user/one/b.mp4", b"more")


async def test_a_store_that_is_killed_is_waited_for_a_while_and_keeps_what_it_took(bucket: Blobs, ceph: Ceph) -> None:
    content = os.urandom(9 * MIB)
    await put(bucket, VIDEO, content)
    ceph.kill("rgw", "osd")
    putting = asyncio.create_task(put(bucket, NAME, content))
    try:
        with pytest.raises(StorageUnavailable) as caught:
            await bucket.stat(VIDEO)
        assert caught.value.retryable
    finally:
        await asyncio.to_thread(ceph.start, "osd", "rgw")
    try:
        await putting
    except StorageUnavailable:  # it took longer to come back than a put waits
        assert await bucket.stat(NAME) is None
        await put(bucket, NAME, content)
    for name in (VIDEO, NAME):
        assert await read(bucket, name, 0, len(content)) == content


async def test_a_put_that_is_cut_off_leaves_no_name(tmp_path: Path, url: str) -> None:
    """Killed in the middle of a file of many parts."""
    process = programs.start("carry", str(tmp_path), url, str(400))
    programs.go(process)
    await asyncio.sleep(0.5)
    programs.end(process)
    bucket = await opened(tmp_path, url)
    names = await bucket.names("carried")
    for name in names:  # it was faster than we
        found = await bucket.stat(name)
        assert found
        assert found.size == 400 * MIB
