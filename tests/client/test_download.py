"""A file is saved whole, or not at all; what was there stays until then."""

from __future__ import annotations

import gzip
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rushes import Client, errors
from rushes.client import Video
from tests.client.conftest import Connect, all_at_once
from tests.conftest import wait_until
from tests.servers.vendor import Answer, Vendor, cut, cut_body, first, instead, stall, status

FOX = "/files/fox.mp4"
MP4 = b"\x00\x00\x00\x18ftypisom" + random.Random(1).randbytes(300_000)
OTHER = b"\x00\x00\x00\x18ftypmp42" + random.Random(2).randbytes(200_000)
SMALL = b"\x00\x00\x00\x18ftypisom" + bytes(range(80))


@pytest.fixture
def fox(vendor: Vendor, client: Client) -> Video:
    """A video of the vendor's, with its file."""
    vendor.add_video("fox", MP4)
    [video] = client.videos.list()
    return video


def ranges(vendor: Vendor) -> list[str]:
    return [asked.headers.get("range", "") for asked in vendor.of("GET", FOX)]


# Whole


def test_a_file_is_saved_as_named_or_under_its_id(client: Client, fox: Video, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    named = client.videos.download(fox, tmp_path / "a b.mp4", on_bytes=lambda have, of: seen.append((have, of)))
    in_folder = client.videos.download(fox, tmp_path)
    assert (named, in_folder) == (tmp_path / "a b.mp4", tmp_path / f"{fox.id}.mp4")
    assert named.read_bytes() == in_folder.read_bytes() == MP4
    assert sorted(tmp_path.iterdir()) == sorted([named, in_folder])
    assert seen == sorted(seen)
    assert seen[-1] == (len(MP4), len(MP4))


def test_an_image_is_saved(vendor: Vendor, client: Client, tmp_path: Path) -> None:
    content = b"\x89PNG\r\n\x1a\n" + bytes(100)
    vendor.add_image("heron", content)
    [image] = client.images.list()
    assert client.images.download(image, tmp_path).read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == [f"{image.id}.png"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_cut_at_any_byte_is_whole_in_the_end(
    vendor: Vendor, client: Client, tmp_path: Path, chunked: bool
) -> None:
    vendor.files["fox.mp4"] = (SMALL, '"1"')
    length = len(vendor.raw("GET", FOX, chunked=chunked))
    vendor.each(
        "GET", FOX, first(lambda asked: cut(int(asked.query["n"]), chunked=chunked), lambda asked: asked.query["n"])
    )

    def download(n: int) -> bytes:
        return client.download(f"{vendor.url}{FOX}?n={n}", tmp_path / f"{n}.mp4").read_bytes()

    assert all_at_once(download, range(length + 1)) == [SMALL] * (length + 1)
    assert len(list(tmp_path.iterdir())) == length + 1
    resumed = {int(told.removeprefix("bytes=").rstrip("-")) for told in ranges(vendor) if told}
    assert resumed == set(range(1, len(SMALL) + chunked))


def test_the_rest_is_asked_for_as_often_as_it_gets_on(
    vendor: Vendor, client: Client, fox: Video, tmp_path: Path
) -> None:
    vendor.next("GET", FOX, *[cut_body(50_000)] * 5)
    assert client.videos.download(fox, tmp_path).read_bytes() == MP4
    assert ranges(vendor) == ["", *(f"bytes={n * 50_000}-" for n in range(1, 6))]
    assert {asked.headers.get("if-range") for asked in vendor.of("GET", FOX)} == {None, '"fox-1"'}


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_what_cannot_be_told_to_be_the_same_is_fetched_anew(
    vendor: Vendor, client: Client, fox: Video, tmp_path: Path, etag: str
) -> None:
    vendor.next("GET", FOX, cut_body(100_000, etag=etag))
    assert client.videos.download(fox, tmp_path).read_bytes() == MP4
    assert ranges(vendor) == ["", ""]


def test_a_file_that_was_changed_meanwhile_is_the_new_one(
    vendor: Vendor, client: Client, fox: Video, tmp_path: Path
) -> None:
    def change(have: int, of: int | None) -> None:
        vendor.files["fox.mp4"] = (OTHER, '"fox-2"')

    vendor.next("GET", FOX, cut_body(250_000))
    assert client.videos.download(fox, tmp_path, on_bytes=change).read_bytes() == OTHER
    assert ranges(vendor) == ["", "bytes=250000-"]


def test_a_file_that_was_packed_on_its_way_is_unpacked_and_never_joined(
    vendor: Vendor, client: Client, fox: Video, tmp_path: Path
) -> None:
    headers = {"Content-Encoding": "gzip", "ETag": '"fox-1"'}
    packed = Answer(200, gzip.compress(MP4), headers)
    half = Answer(200, packed.body[:100_000], {**headers, "Content-Length": str(len(packed.body))})
    vendor.next("GET", FOX, instead(half), instead(packed))
    assert client.videos.download(fox, tmp_path).read_bytes() == MP4
    assert ranges(vendor) == ["", ""]
    assert {asked.headers["accept-encoding"] for asked in vendor.of("GET", FOX)} == {"identity"}


def test_a_server_of_files_may_be_away_for_a_moment(vendor: Vendor, client: Client, fox: Video, tmp_path: Path) -> None:
    codes = ["429", "500", "502", "503", "504"]
    vendor.each("GET", FOX, first(lambda asked: status(int(asked.query["n"])), lambda asked: asked.query["n"]))

    def download(code: str) -> bytes:
        return client.download(f"{fox.url}?n={code}", tmp_path / f"{code}.mp4").read_bytes()

    assert all_at_once(download, codes) == [MP4] * len(codes)


def test_silence_in_the_middle_is_an_end_too(connect: Connect, vendor: Vendor, fox: Video, tmp_path: Path) -> None:
    vendor.next("GET", FOX, stall(100_000))
    assert connect(vendor.url, timeout=0.5).videos.download(fox, tmp_path).read_bytes() == MP4


def test_the_key_goes_to_no_file_and_redirects_are_followed(vendor: Vendor, client: Client, tmp_path: Path) -> None:
    with Vendor() as elsewhere:
        elsewhere.files["fox.mp4"] = (MP4, '"1"')
        vendor.add_video("fox")
        [fox] = client.videos.list()
        vendor.always("GET", FOX, instead(Answer(302, b"", {"Location": f"{elsewhere.url}{FOX}"})))
        elsewhere.next("GET", FOX, cut_body(100_000))
        assert client.videos.download(fox, tmp_path).read_bytes() == MP4
        asked = [*vendor.of("GET", FOX), *elsewhere.asked]
        assert (len(elsewhere.asked), elsewhere.asked[-1].headers["range"]) == (2, "bytes=100000-")
    assert [each.path for each in asked if "authorization" in each.headers or "pictai" in str(each)] == []


# Not whole


def refused(client: Client, video: Video, to: Path) -> errors.RushesError:
    """The error; nothing of the file is left, and nothing is taken from what was there."""
    to.write_bytes(b"what was there")
    beside = to.with_name("new.mp4")
    with pytest.raises(errors.RushesError) as raised:
        client.videos.download(video, to)
    with pytest.raises(type(raised.value)):
        client.videos.download(video, beside)
    assert [path.name for path in to.parent.iterdir()] == [to.name]
    assert to.read_bytes() == b"what was there"
    return raised.value


HTML = b"<!doctype html><title>Sign in to the network</title>"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, HTML, {"Content-Type": "text/html"}),
        Answer(200, b""),
        Answer(200, b"\x00\x00\x00\x18fty"),
        # Nobody can say whether that was all.
        Answer(200, MP4, unbounded=True),
        # Other parts than were asked for.
        Answer(206, MP4, {"Content-Range": f"bytes 0-{len(MP4) - 1}/{len(MP4) + 7}"}),
        Answer(206, MP4),
    ],
    ids=["a page", "nothing", "too little", "no end", "a part", "a part of what"],
)
def test_what_is_no_whole_video_is_not_saved(
    vendor: Vendor, client: Client, fox: Video, tmp_path: Path, answer: Answer
) -> None:
    vendor.always("GET", FOX, instead(answer))
    assert isinstance(refused(client, fox, tmp_path / "old.mp4"), errors.NotWhole)


def test_a_video_is_one_whatever_it_is_called(vendor: Vendor, client: Client, fox: Video, tmp_path: Path) -> None:
    for name in ("fox", "fox.film", "fox.MP4", "fox.png"):
        assert client.videos.download(fox, tmp_path / name).read_bytes() == MP4
        vendor.next("GET", FOX, instead(Answer(200, HTML)))
        with pytest.raises(errors.NotWhole):
            client.videos.download(fox, tmp_path / name)
        assert (tmp_path / name).read_bytes() == MP4


SIZE = len(MP4)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Range": f"bytes 0-{SIZE - 1}/{SIZE}"}, MP4),
        ({"Content-Range": f"bytes 99999-{SIZE - 1}/{SIZE}"}, MP4[99_999:]),
        ({"Content-Range": f"bytes 100000-100099/{SIZE}"}, MP4[100_000:100_100]),
        ({"Content-Range": "bytes 100000-100099/100100"}, MP4[100_000:100_100]),
        ({"Content-Range": f"bytes 100000-{SIZE - 1}/*"}, MP4[100_000:]),
        ({"Content-Range": f"bytes 100000-{SIZE - 1}/{SIZE}"}, MP4[100_000:-1]),
        ({"Content-Range": "whatever"}, MP4[100_000:]),
        ({}, MP4[100_000:]),
        # It does not know If-Range: the rest of another file.
        ({"Content-Range": f"bytes 100000-{SIZE - 1}/{SIZE}", "ETag": '"fox-2"'}, OTHER),
        (
            {"Content-Range": f"bytes 100000-{SIZE - 1}/{SIZE}", "Content-Encoding": "gzip"},
            gzip.compress(MP4[100_000:]),
        ),
    ],
    ids=[
        *("from the start", "from before", "less", "less of less", "of how much", "one byte short", "whatever"),
        *("untold", "of another file", "packed"),
    ],
)
def test_the_rest_is_what_was_asked_for(
    vendor: Vendor, client: Client, fox: Video, tmp_path: Path, headers: dict[str, str], body: bytes
) -> None:
    part = instead(Answer(206, body, headers))
    vendor.next("GET", FOX, cut_body(100_000), part, cut_body(100_000), part)
    assert isinstance(refused(client, fox, tmp_path / "old.mp4"), errors.NotWhole)


@pytest.mark.parametrize(
    ("code", "kind"), [(403, errors.Unauthorized), (404, errors.NotFound), (410, errors.BadAnswer)]
)
def test_a_file_that_is_not_there_is_told_as_that(
    vendor: Vendor, client: Client, fox: Video, tmp_path: Path, code: int, kind: type[errors.RushesError]
) -> None:
    vendor.always("GET", FOX, instead(Answer(code, HTML)))
    error = refused(client, fox, tmp_path / "old.mp4")
    assert (type(error), error.status) == (kind, code)


@pytest.mark.parametrize("location", [FOX, "ftp://127.0.0.1/fox.mp4", "file:///etc/passwd"])
def test_a_redirect_that_leads_nowhere_is_followed_no_further(
    vendor: Vendor, client: Client, fox: Video, tmp_path: Path, location: str
) -> None:
    vendor.always("GET", FOX, instead(Answer(302, b"", {"Location": location})))
    assert isinstance(refused(client, fox, tmp_path / "old.mp4"), errors.BadAnswer)
    assert len(vendor.of("GET", FOX)) in (2, 42)


def test_what_breaks_off_at_every_try_is_not_told_as_no_answer(
    vendor: Vendor, connect: Connect, fox: Video, tmp_path: Path
) -> None:
    for after in (0, 100_000):
        vendor.always("GET", FOX, cut_body(after, etag=""))
        error = refused(connect(vendor.url, tries=1), fox, tmp_path / "old.mp4")
        assert isinstance(error, errors.ServerUnreachable)
        assert "answered and broke off in the middle" in error.sentence
        assert "address, and" not in error.sentence


def test_a_link_that_is_none_is_not_followed(vendor: Vendor, client: Client, tmp_path: Path) -> None:
    for url in ("", "/files/fox.mp4", "file:///etc/passwd", "javascript:alert()", "http://[", "http://h:99999/"):
        vendor.add_video("fox", url=url)
        assert isinstance(refused(client, next(client.videos.list()), tmp_path / "old.mp4"), errors.BadAnswer), url


def test_an_id_leads_out_of_no_folder(vendor: Vendor, client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("../outside", "/tmp/outside", "a/b", "..", ".hidden", "a\\b", "", "a\x00b", "a\nb"):
        vendor.add_video("fox", MP4, id=name)
        fox = next(client.videos.list())
        with pytest.raises(errors.BadAnswer):
            client.videos.download(fox, folder)
        assert list(tmp_path.rglob("*")) == [folder]
    assert client.videos.download(fox, folder / "fox.mp4").read_bytes() == MP4


def test_whoever_breaks_it_off_leaves_nothing_behind(client: Client, fox: Video, tmp_path: Path) -> None:
    def enough(have: int, of: int | None) -> None:
        raise ZeroDivisionError

    (tmp_path / "old.mp4").write_bytes(b"what was there")
    with pytest.raises(ZeroDivisionError):
        client.videos.download(fox, tmp_path / "old.mp4", on_bytes=enough)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"what was there"]


PROGRAM = """
import sys
from pathlib import Path
from rushes import Client

with Client(sys.argv[1], "key") as client:
    client.download(sys.argv[1] + "/files/fox.mp4", Path(sys.argv[2]))
"""


def test_killed_in_the_middle_the_old_file_is_as_it_was(vendor: Vendor, tmp_path: Path) -> None:
    vendor.files["fox.mp4"] = (MP4, '"1"')
    vendor.next("GET", FOX, stall(200_000))
    old = tmp_path / "old.mp4"
    old.write_bytes(OTHER)
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, vendor.url, str(old)])
    try:
        wait_until(lambda: any(part.stat().st_size for part in tmp_path.glob(".old.mp4.*.part")), what="a part")
        program.send_signal(signal.SIGKILL)
        assert program.wait() == -signal.SIGKILL
    finally:
        program.kill()
    assert old.read_bytes() == OTHER


FULL = """
import resource, sys
from pathlib import Path
from rushes.client.part import Part
from rushes.errors import NotSaved

resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))  # as on a full disk, a write fails
try:
    with Part(Path("x.mp4"), ".mp4") as part:
        part.begin(200, {"content-length": str(65536 + int(sys.argv[1]))})
        part.write(b"\\0\\0\\0\\x18ftyp" + bytes(65536 - 8))
        part.write(bytes(int(sys.argv[1])))
        part.finish()
except NotSaved as error:
    print(error.sentence)
"""


@pytest.mark.parametrize("more", [100, 100_000], ids=["in the buffer", "beyond it"])
def test_a_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path, more: int) -> None:
    command = [sys.executable, "-c", FULL, str(more)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("x.mp4 cannot be written: File too large.\n", "")
    assert list(tmp_path.iterdir()) == []
