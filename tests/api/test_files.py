"""The library's files by their links: types, tags, ranges as players ask for them, and no way out of the folder."""

from __future__ import annotations

import random
import socket
import struct
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushes import ids
from rushes.api.files import Span, span
from rushes.errors import RangeNotSatisfiable
from rushes.model import VideoFiles
from rushes.studio import Studio
from tests.api import sockets
from tests.api.conftest import Take
from tests.conftest import Server, wait_until

SIZE = 1000
BIG = 24 * 2**20
BYTES = random.Random(7).randbytes(SIZE)
BIG_BYTES = random.Random(8).randbytes(2**20) * (BIG // 2**20)
TYPES = {"mp4": "video/mp4", "jpg": "image/jpeg", "png": "image/png"}


@dataclass(frozen=True)
class Shelf:
    """Files on a server, and a client without a key."""

    server: Server
    files: VideoFiles
    big: str
    http: httpx2.Client

    @property
    def video(self) -> str:
        return f"/{self.files.video}"

    def get(self, path: str | None = None, method: str = "GET", **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.request(method, path or self.video, headers=named)


async def _put(studio: Studio, name: str, content: bytes) -> None:
    with studio.blobs.workspace() as folder:
        (folder / "file").write_bytes(content)
        await studio.blobs.put(name, folder / "file")


@pytest.fixture(scope="module", params=["sqlite", pytest.param("bucket", marks=pytest.mark.xdist_group("ceph"))])
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    """Files in a folder, and in a bucket."""
    server: Server = request.getfixturevalue(f"{request.param}_server")
    files, big = VideoFiles(ids.uuid(), ids.uuid()), VideoFiles(ids.uuid(), ids.uuid())

    async def fill(studio: Studio) -> None:
        for name in files.all:
            await _put(studio, name, BYTES)
        await _put(studio, big.video, BIG_BYTES)

    server.do(fill)
    with httpx2.Client(base_url=server.url, trust_env=False, timeout=30) as http:
        yield Shelf(server, files, f"/{big.video}", http)


# --- the whole file ---


def test_each_file_of_a_real_item_has_its_type_length_tag_and_date_and_needs_no_key(take: Take) -> None:
    for name in ("url", "previewImageUrl", "thumbnailImageUrl", "lastFrameImageUrl"):
        link = take.item[name]
        assert "?" not in link
        answer = httpx2.get(link, trust_env=False)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == TYPES[link.rpartition(".")[2]]
        assert answer.headers["content-length"] == str(len(answer.content))
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["etag"][0] == answer.headers["etag"][-1] == '"'
        assert answer.headers["last-modified"].endswith(" GMT")
        assert parsedate_to_datetime(answer.headers["last-modified"]).year >= 2026


def test_a_big_file_arrives_whole_and_in_seven_ranges_at_once(shelf: Shelf) -> None:
    assert shelf.get(shelf.big).content == BIG_BYTES
    edges = [BIG * part // 7 for part in range(8)]

    def part(number: int) -> bytes:
        answer = shelf.get(shelf.big, Range=f"bytes={edges[number]}-{edges[number + 1] - 1}")
        assert answer.status_code == 206
        return answer.content

    with ThreadPoolExecutor(7) as pool:
        assert b"".join(pool.map(part, range(7))) == BIG_BYTES


# --- ranges ---


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-1", 0, 1),  # how Safari asks whether ranges work at all
        ("bytes=0-0", 0, 0),
        ("bytes=100-299", 100, 299),
        ("bytes=0-", 0, 999),
        ("bytes=400-", 400, 999),
        ("bytes=999-", 999, 999),
        ("bytes=999-999", 999, 999),
        ("bytes=-1", 999, 999),
        ("bytes=-300", 700, 999),
        ("bytes=-1000", 0, 999),
        ("bytes=-5000", 0, 999),
        ("bytes=990-5000", 990, 999),
        ("bytes=0-999999999999999999", 0, 999),
        ("BYTES=1-2", 1, 2),
    ],
)
def test_a_range_gives_206_and_just_those_bytes(shelf: Shelf, asked: str, first: int, last: int) -> None:
    answer = shelf.get(Range=asked)
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer.headers["content-length"] == str(last - first + 1)
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.content == BYTES[first : last + 1]
    head = shelf.get(method="HEAD", Range=asked)
    assert (head.status_code, head.content) == (206, b"")
    for name in ("content-range", "content-length", "content-type", "etag", "accept-ranges"):
        assert head.headers[name] == answer.headers[name]


@pytest.mark.parametrize("asked", ["bytes=1000-", "bytes=5000-", "bytes=1000-1000", "bytes=5000-6000", "bytes=-0"])
def test_a_range_beyond_the_file_is_416_with_its_length(shelf: Shelf, asked: str) -> None:
    for method in ("GET", "HEAD"):
        answer = shelf.get(method=method, Range=asked)
        assert answer.status_code == 416
        assert answer.headers["content-range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "asked",
    [
        *("bytes=0-1,5-6", "bytes=0-1, -1", "bytes=0-1,", "bytes=,"),  # several ranges: declined as the whole
        *(
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-2",
            "bytes=a-b",
            "bytes=0x1-2",
            "bytes=1.5-2",
            "bytes=--1",
            "bytes=1--2",
        ),
        *("items=0-1", "0-1", "bytes 0-1", "bytes=0-1;x", "bytes=+1-2", "bytes=\xb2-\xb3"),
    ],
)
def test_several_ranges_or_none_we_understand_give_the_whole_file(shelf: Shelf, asked: str) -> None:
    headers = [(b"range", asked.encode("latin-1"))]
    answer = shelf.http.get(shelf.video, headers=headers)
    assert (answer.status_code, answer.content) == (200, BYTES)
    assert "content-range" not in answer.headers
    assert answer.headers["content-length"] == str(SIZE)


def model(first: int | None, last: int | None, size: int) -> Span | str | None:
    """RFC 9110, 14.1.2, by listing the bytes that are meant."""
    if first is None:
        meant = list(range(size))[-last:] if last else []
    elif last is not None and last < first:
        return None
    else:
        meant = [byte for byte in range(size) if first <= byte and (last is None or byte <= last)]
    return Span(meant[0], meant[-1]) if meant else "unsatisfiable"


numbers = st.none() | st.integers(0, 40)


@given(first=numbers, last=numbers, size=st.integers(1, 30))
def test_span_means_the_bytes_that_the_rfc_means(first: int | None, last: int | None, size: int) -> None:
    if first is None and last is None:
        assert span("bytes=-", size) is None
        return
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    try:
        found: Span | str | None = span(header, size)
    except RangeNotSatisfiable:
        found = "unsatisfiable"
    assert found == model(first, last, size)


@settings(max_examples=500)
@given(header=st.text(max_size=30) | st.from_regex(r"bytes=\d{0,30}-\d{0,30}"), size=st.integers(1, 10**12))
def test_span_of_anything_is_inside_the_file_or_no_range(header: str, size: int) -> None:
    try:
        found = span(header, size)
    except RangeNotSatisfiable:
        return
    assert found is None or 0 <= found.first <= found.last < size


# --- conditions ---


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '"a","b",W/{}', "*"])
def test_if_none_match_with_the_files_tag_gives_304_without_a_body(shelf: Shelf, form: str) -> None:
    etag = shelf.get().headers["etag"]
    for method in ("GET", "HEAD"):
        answer = shelf.get(method=method, If_None_Match=form.format(etag))
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    # it goes before the range
    assert shelf.get(If_None_Match=form.format(etag), Range="bytes=0-1").status_code == 304


@pytest.mark.parametrize("tag", ['"other"', "other", '""', 'W/"other", "another"'])
def test_if_none_match_with_another_tag_gives_the_file(shelf: Shelf, tag: str) -> None:
    assert shelf.get(If_None_Match=tag).content == BYTES
    assert shelf.get(If_None_Match=tag, Range="bytes=0-1").status_code == 206


def test_if_range_with_the_files_tag_or_its_date_gives_the_range(shelf: Shelf) -> None:
    headers = shelf.get().headers
    for condition in (headers["etag"], headers["last-modified"]):
        answer = shelf.get(Range="bytes=5-6", If_Range=condition)
        assert (answer.status_code, answer.content) == (206, BYTES[5:7])


@pytest.mark.parametrize(
    "condition",
    [
        '"other"',
        "W/{etag}",
        "{later}",
        "{earlier}",
        "nonsense",
        "",
        "*",
        "Mon, 99999999999999999999 Jan 2020 00:00:00 GMT",
        "Mon, 01 Jan 0001 00:00:00 +9999",
        "Thu, 01 Jan 1970 00:00:00 -0000",
    ],
)
def test_if_range_with_anything_else_gives_the_whole_file(shelf: Shelf, condition: str) -> None:
    headers = shelf.get().headers
    moment = parsedate_to_datetime(headers["last-modified"]).timestamp()
    told = {"etag": headers["etag"], "later": formatdate(moment + 1, usegmt=True)}
    told["earlier"] = formatdate(moment - 1, usegmt=True)
    answer = shelf.get(Range="bytes=5-6", If_Range=condition.format(**told))
    assert (answer.status_code, answer.content) == (200, BYTES)


def test_head_gives_the_headers_of_the_whole_without_its_bytes(shelf: Shelf) -> None:
    got = shelf.get(shelf.big)
    head = sockets.ask(shelf.server, shelf.big.encode(), b"Host: a", method=b"HEAD")
    assert (head.status, head.body) == (200, b"")
    for name in ("content-type", "content-length", "etag", "last-modified", "accept-ranges"):
        assert head.headers[name] == got.headers[name]


def test_another_method_is_405(shelf: Shelf) -> None:
    for method in ("POST", "PUT", "DELETE"):
        answer = shelf.get(method=method)
        assert (answer.status_code, answer.content) == (405, b'{"message":"Method Not Allowed"}')


# --- no path leaves the folder ---


def refused(server: Server, target: bytes) -> None:
    answer = sockets.ask(server, target, b"Host: a")
    assert (answer.status, answer.body) in [
        (404, b'{"message":"Not Found"}'),
        (400, b"Invalid HTTP request received."),  # what the HTTP parser itself turns away
    ], target


def test_no_path_leaves_the_folder(shelf: Shelf) -> None:
    account, name = shelf.files.account_id.encode(), shelf.files.file_id.encode()
    up = [b"..", b"%2e%2e", b"%252e%252e", b".%2e", b"..%00", b"..;", b"%c0%ae%c0%ae", b"...", b"~"]
    slash = [b"/", b"%2f", b"%252f", b"\\", b"%5c"]
    for dots in up:
        for stroke in slash:
            hop = dots + stroke
            refused(shelf.server, b"/videos/user/" + account + b"/" + hop * 3 + b"rushes.db")
            refused(shelf.server, b"/videos/user/" + hop * 2 + b"sidecars/" + account + b"/" + name + b".json")
            refused(shelf.server, b"/videos/user/" + hop * 4 + b"etc/passwd")
            refused(shelf.server, b"/videos/user/" + account + b"/" + hop + account + b"/" + name + b".mp4")
            refused(shelf.server, b"/" + hop * 6 + b"etc/passwd")
    assert shelf.get().content == BYTES


def test_what_lies_beside_the_videos_has_no_link(shelf: Shelf) -> None:
    account, name = shelf.files.account_id, shelf.files.file_id
    [sidecar] = [each for each in shelf.files.all if each.startswith("sidecars/")]
    data = shelf.server.data
    assert shelf.server.do(lambda studio: studio.blobs.stat(sidecar))
    assert (data / "media" / ".work").is_dir()
    assert (data / "rushes.db").is_file()
    for path in (
        f"/{sidecar}",
        f"/media/{sidecar}",
        f"/videos/{sidecar}",
        f"/videos/user/{account}/{name}.json",
        f"/videos/user/{account}/",
        f"/videos/user/{account}",
        "/videos/user/",
        "/.work",
        "/.work/x",
        "/videos/user/.work/x.mp4",
        "/rushes.db",
        "/videos/user/x/rushes.db",
        f"/videos/user/{account}/rushes.db",
        f"{data}/rushes.db",
        f"/videos/user/{account}/{data}/rushes.db",
    ):
        refused(shelf.server, path.encode())


def test_unknown_names_are_404(shelf: Shelf) -> None:
    account, name = shelf.files.account_id, shelf.files.file_id
    for path in (
        f"{account}/{ids.uuid()}.mp4",
        f"{ids.uuid()}/{name}.mp4",
        f"{account}/{name}",
        f"{account}/{name}.MP4",
        f"{account}/{name}.mp4/",
        f"{account}/{name}.mp4%00",
        f"{account}/{name}.mp4%0a",
        f"{account}/%00{name}.mp4",
        f"{account}/{name}.mp4.png",
        f"{account}/{name}_other.jpg",
        f"{account}/{name}_preview.png",
        f"{account}/{name}.png",
        f"{account}/{name.upper()}.mp4",
        f"{account}/{name.replace('-', '')}.mp4",
        f"{account}/{'-' * 36}.mp4",
        f"{account}/" + "x" * 5000,
    ):
        refused(shelf.server, f"/videos/user/{path}".encode())
    for range_header in (b"Range: bytes=0-1", b"If-None-Match: *"):
        answer = sockets.ask(
            shelf.server, f"/videos/user/{account}/{ids.uuid()}.mp4".encode(), b"Host: a", range_header
        )
        assert answer.status == 404


# --- clients that go away ---


def test_a_client_that_drops_in_the_middle_does_not_hurt_the_server(shelf: Shelf) -> None:
    request = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % shelf.big.encode()
    for number in range(20):
        with sockets.connect(shelf.server) as connection:
            connection.sendall(request)
            assert connection.recv(1024).startswith(b"HTTP/1.1 200")
            if number % 2:  # a reset instead of a goodbye
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert shelf.get(shelf.big, Range="bytes=-9").content == BIG_BYTES[-9:]
    assert shelf.get().content == BYTES
    if Path("/proc/self/fd").is_dir():
        wait_until(lambda: not _held_open(shelf), 10, "the files to be closed")


def _held_open(shelf: Shelf) -> list[str]:
    """The library's files that any process of the server has open."""
    process = shelf.server.program.process
    assert process is not None
    told = subprocess.run(["ps", "-A", "-o", "pid=,pgid="], capture_output=True, text=True, check=True).stdout
    group = [pid for pid, pgid in map(str.split, told.splitlines()) if int(pgid) == process.pid]
    names = []
    for pid in group:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                names.append(str(link.readlink()))
            except OSError:
                continue
    return [name for name in names if name.endswith(".mp4")]
