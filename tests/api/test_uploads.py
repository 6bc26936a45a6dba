"""``POST /media/generateurl`` and the links it gives out (contract A5): one's own files as inputs."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from PIL import Image

from rushes.api.uploads import _query
from rushes.store import uploads
from rushes.studio import Studio
from tests.api import sockets
from tests.api.library import UUID, account_of
from tests.api.takes import VIDEOS, Json, completed, ended, failed
from tests.api.takes import submit as submit_video
from tests.conftest import Server, serving, wait_until
from tests.media.clips import make

ANNOUNCE = "/media/generateurl"
GOOD = {"fileName": "fox.png", "contentType": "image/png"}
EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
}


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    """Whoever holds a link: no key."""
    with httpx2.Client(trust_env=False, timeout=30) as client:
        yield client


def announced(api: httpx2.Client, content_type: str = "image/png", name: str = "fox.png") -> Json:
    answer = api.post(ANNOUNCE, json={"fileName": name, "contentType": content_type})
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert isinstance(data, dict)
    return data


def put(http: httpx2.Client, link: str, content: object, content_type: str = "image/png") -> httpx2.Response:
    return http.put(link, content=content, headers={"Content-Type": content_type})  # type: ignore[arg-type]


def uploaded(http: httpx2.Client, api: httpx2.Client, content: bytes, content_type: str = "image/png") -> Json:
    data = announced(api, content_type)
    answer = put(http, data["signedUrl"], content, content_type)
    assert (answer.status_code, answer.content) == (200, b'{"success":true}')
    return data


def a_picture(colour: tuple[int, int, int] = (200, 30, 30), kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (320, 320), colour).save(out, kind)
    return out.getvalue()


def nothing(http: httpx2.Client, link: str) -> bool:
    return http.get(link).content == b'{"message":"Not Found"}'


# --- the announcement ---


@pytest.mark.parametrize("content_type", list(EXTENSIONS))
def test_an_announcement_gives_a_signed_link_the_files_link_and_its_key(
    server: Server, api: httpx2.Client, content_type: str
) -> None:
    """Contract: "{"success":true,"data":{"signedUrl","url","key"}}"."""
    answer = api.post(ANNOUNCE, json={"fileName": "a fox.xyz", "contentType": content_type})
    body = answer.json()
    assert (list(body), list(body["data"])) == (["success", "data"], ["signedUrl", "url", "key"])
    data = body["data"]
    account_id = account_of(server, api.headers["authorization"])
    assert re.fullmatch(rf"uploads/user/{account_id}/{UUID}\.{EXTENSIONS[content_type]}", data["key"])
    assert data["url"] == f"{server.url}/{data['key']}"
    assert data["signedUrl"].startswith(f"{data['url']}?")


def test_a_link_is_good_for_a_day(server: Server, api: httpx2.Client) -> None:
    """Contract: "within 86,400 s"."""
    before = server.do(lambda studio: studio.now())
    [expires] = parse_qs(urlsplit(announced(api)["signedUrl"]).query)["expires"]
    after = server.do(lambda studio: studio.now())
    assert before + 86_400_000 <= int(expires) <= after + 86_400_000


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["contentType", "fileName"]),
        ({"fileName": "x.png"}, ["contentType"]),
        ({"contentType": "image/png"}, ["fileName"]),
        ({**GOOD, "fileName": ""}, ["fileName"]),
        ({**GOOD, "fileName": "x" * 256}, ["fileName"]),
        ({**GOOD, "fileName": "nul\x00.png"}, ["fileName"]),
        ({**GOOD, "fileName": 5}, ["fileName"]),
        ({**GOOD, "contentType": "text/html"}, ["contentType"]),
        ({**GOOD, "contentType": "image/svg+xml"}, ["contentType"]),
        ({**GOOD, "contentType": "image/png; charset=x"}, ["contentType"]),
        ({**GOOD, "contentType": ["image/png"]}, ["contentType"]),
        ({"fileName": None, "contentType": ""}, ["contentType", "fileName"]),
    ],
)
def test_a_wrong_announcement_names_every_bad_field(api: httpx2.Client, body: Json, fields: list[str]) -> None:
    answer = api.post(ANNOUNCE, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST_BODY")
    assert sorted(field["name"] for field in answer.json()["fields"]) == fields


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "..\\..\\x.png", "a/b/c.png", "x.mp4", ".", "..", "%2e%2e%2f", "ä 🎬.png"],
)
def test_a_name_cannot_leave_the_folder(server: Server, api: httpx2.Client, http: httpx2.Client, name: str) -> None:
    """Contract: "a name that tries to leave the folder": ours is a uuid, theirs is not used."""
    data = announced(api, name=name)
    account_id = account_of(server, api.headers["authorization"])
    assert re.fullmatch(rf"uploads/user/{account_id}/{UUID}\.png", data["key"])
    assert put(http, data["signedUrl"], b"x").status_code == 200
    assert (server.data / "media" / data["key"]).read_bytes() == b"x"


def test_an_announcement_needs_a_key(server: Server) -> None:
    with server.client("pictai_unknown") as api:
        assert api.post(ANNOUNCE, json=GOOD).content == b'{"message":"Unauthorized"}'


# --- the file ---


@pytest.mark.parametrize("content_type", list(EXTENSIONS))
def test_the_file_is_served_as_it_came_with_its_type(
    api: httpx2.Client, http: httpx2.Client, content_type: str
) -> None:
    content = bytes(range(256)) * 4000
    data = uploaded(http, api, content, content_type)
    for link in (data["url"], data["signedUrl"]):
        answer = http.get(link)
        assert (answer.status_code, answer.content) == (200, content)
        assert answer.headers["content-type"] == content_type
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_html_announced_as_png_is_served_as_png_and_not_sniffed(api: httpx2.Client, http: httpx2.Client) -> None:
    """Contract: "HTML announced as image/png is served as image/png with nosniff"."""
    data = uploaded(http, api, b"<!doctype html><script>alert(1)</script>")
    for answer in (
        http.get(data["url"]),
        http.head(data["url"]),
        http.get(data["url"], headers={"Range": "bytes=0-3"}),
    ):
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_range_of_an_upload(api: httpx2.Client, http: httpx2.Client) -> None:
    """Contract: "Range on uploads"."""
    url = uploaded(http, api, b"0123456789", "video/mp4")["url"]
    answer = http.get(url, headers={"Range": "bytes=2-4"})
    assert (answer.status_code, answer.content) == (206, b"234")
    assert answer.headers["content-range"] == "bytes 2-4/10"
    assert http.get(url, headers={"Range": "bytes=10-"}).status_code == 416
    etag = http.head(url).headers["etag"]
    assert http.get(url, headers={"If-None-Match": etag}).status_code == 304


def test_an_empty_file_is_a_file(api: httpx2.Client, http: httpx2.Client) -> None:
    data = uploaded(http, api, b"")
    assert (http.get(data["url"]).status_code, http.get(data["url"]).content) == (200, b"")
    assert put(http, data["signedUrl"], b"x").status_code == 409


def test_before_it_has_come_there_is_nothing(api: httpx2.Client, http: httpx2.Client) -> None:
    data = announced(api)
    assert nothing(http, data["url"])
    assert nothing(http, data["signedUrl"])


def test_another_content_type_is_400_and_the_link_stays_good(api: httpx2.Client, http: httpx2.Client) -> None:
    """Contract: "of the named type (other Content-Type 400)"."""
    data = announced(api)
    for other in ("image/jpeg", "text/html", "", "image/png; charset=utf-8", "application/octet-stream"):
        answer = put(http, data["signedUrl"], b"x", other)
        assert answer.status_code == 400, other
        assert [field["name"] for field in answer.json()["fields"]] == ["Content-Type"]
    assert http.put(data["signedUrl"], content=b"x").status_code == 400
    assert nothing(http, data["url"])
    assert put(http, data["signedUrl"], b"x").status_code == 200


# --- exactly one ---


def test_the_same_file_again_is_taken_as_come(api: httpx2.Client, http: httpx2.Client) -> None:
    """Whoever lost the answer cannot know that it was taken."""
    data = uploaded(http, api, b"the same bytes")
    assert put(http, data["signedUrl"], b"the same bytes").json() == {"success": True}
    assert put(http, data["signedUrl"], b"the same bytez").status_code == 409
    assert http.get(data["url"]).content == b"the same bytes"


def test_a_second_file_is_refused_and_the_first_stays(api: httpx2.Client, http: httpx2.Client) -> None:
    """Contract: "Exactly one file (a second PUT …)"."""
    data = uploaded(http, api, b"first")
    answer = put(http, data["signedUrl"], b"second")
    assert (answer.status_code, answer.json()["code"]) == (409, "UPLOAD_TAKEN")
    assert http.get(data["url"]).content == b"first"


@pytest.mark.parametrize("number", [2, 20])
def test_of_many_at_once_one_wins_and_the_file_is_its(
    api: httpx2.Client, http: httpx2.Client, server: Server, number: int
) -> None:
    """Contract: "two at once, 20 at once: one wins, the file is whole and the winner's"."""
    data = announced(api, "video/mp4")
    files = [bytes([sender]) * 300_000 for sender in range(number)]

    def send(content: bytes) -> int:
        with httpx2.Client(trust_env=False, timeout=60) as client:
            return put(client, data["signedUrl"], content, "video/mp4").status_code

    with ThreadPoolExecutor(number) as pool:
        statuses = list(pool.map(send, files))
    assert sorted(statuses) == [200, *[409] * (number - 1)]
    assert http.get(data["url"]).content == files[statuses.index(200)]
    assert not list((server.data / "media" / ".work").glob("*/upload"))


# --- signatures ---


def test_an_altered_link_is_401(api: httpx2.Client, http: httpx2.Client) -> None:
    """Contract: "altered/expired signature 401"."""
    data, other = announced(api), announced(api)
    query = parse_qs(urlsplit(data["signedUrl"]).query)
    [expires], [signature] = query["expires"], query["signature"]
    for altered in (
        "",
        f"expires={expires}",
        f"signature={signature}",
        f"expires={int(expires) + 1}&signature={signature}",
        f"expires=0{expires}&signature={signature}",
        f"expires={expires}&signature={signature[:-1]}",
        f"expires={expires}&signature={'0' * 64}",
        f"expires={expires}&signature={signature.upper()}",
        f"expires={expires}&signature=%ff%00🎬",
        urlsplit(other["signedUrl"]).query,
    ):
        answer = put(http, f"{data['url']}?{altered}", b"x")
        assert (answer.status_code, answer.content) == (401, b'{"message":"Unauthorized"}'), altered
    # a key is no signature
    with_key = http.put(data["url"], content=b"x", headers={"Authorization": api.headers["authorization"]})
    assert with_key.status_code == 401
    assert nothing(http, data["url"])


def test_a_link_whose_day_is_over_is_401(server: Server, api: httpx2.Client, http: httpx2.Client) -> None:
    data = announced(api)

    async def a_day_later(studio: Studio) -> None:
        async with studio.store.write() as tx:
            old = "UPDATE uploads SET expires = expires - 86400001 WHERE name = :name RETURNING id"
            assert await tx.rows(old, name=data["key"])

    server.do(a_day_later)
    # Signed as it was, and signed for what the row says now.
    for query in (urlsplit(data["signedUrl"]).query, server.do(lambda studio: signed_now(studio, data["key"]))):
        assert put(http, f"{data['url']}?{query}", b"x").status_code == 401
    assert nothing(http, data["url"])


async def signed_now(studio: Studio, key: str) -> str:
    upload = await uploads.get(studio.store, Path(key).stem)
    assert upload
    return _query(studio, upload)


@pytest.mark.parametrize(
    "name", ["{uuid}.png", "{mine}.jpg", "{mine}", "x.png", "%00.png", "{mine}%00.png", "{mine}.png/x"]
)
def test_an_unknown_link_is_404(server: Server, api: httpx2.Client, name: str) -> None:
    """Contract: "unknown 404"."""
    link = urlsplit(announced(api)["signedUrl"])
    folder, _, mine = link.path.rpartition("/")
    told = name.format(uuid="00000000-0000-4000-8000-000000000000", mine=mine.removesuffix(".png"))
    headers = (b"Host: a", b"Content-Type: image/png", b"Content-Length: 1")
    answer = sockets.ask(server, f"{folder}/{told}?{link.query}".encode(), *headers, method=b"PUT", body=b"x")
    assert (answer.status, answer.body) == (404, b'{"message":"Not Found"}')


# --- limits ---


@dataclass(frozen=True)
class Narrow:
    """A server that takes small files, and its workspace."""

    server: Server
    api: httpx2.Client

    @property
    def work(self) -> list[Path]:
        return list((self.server.data / "media" / ".work").iterdir())


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Narrow]:
    settings = {"RUSHES_INPUT_IMAGE_BYTES": "100000", "RUSHES_INPUT_VIDEO_BYTES": "200000"}
    with (
        serving(tmp_path_factory.mktemp("narrow") / "data", None, "--no-worker", settings=settings) as server,
        server.client() as api,
    ):
        yield Narrow(server, api)


def raw_put(server: Server, link: str, *headers: bytes, body: bytes = b"", content_type: str = "image/png") -> int:
    parts = urlsplit(link)
    target = f"{parts.path}?{parts.query}".encode()
    told = (b"Host: a", f"Content-Type: {content_type}".encode(), *headers)
    return sockets.ask(server, target, *told, method=b"PUT", body=body).status


def test_a_file_over_the_limit_is_413_and_one_at_the_limit_is_taken(narrow: Narrow, http: httpx2.Client) -> None:
    """Contract: "size limit (413, also without Content-Length, chunked)"."""
    for content_type, most in (("image/png", 100_000), ("video/mp4", 200_000)):
        link = announced(narrow.api, content_type)["signedUrl"]
        sized = b"Content-Length: %d" % (most + 1)
        assert raw_put(narrow.server, link, sized, content_type=content_type) == 413
        assert raw_put(narrow.server, link, b"Content-Length: 99999999999", content_type=content_type) == 413
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (most + 1, bytes(most + 1))
        coding = b"Transfer-Encoding: chunked"
        assert raw_put(narrow.server, link, coding, body=chunked, content_type=content_type) == 413
        assert narrow.work == []
        whole = (bytes(most - 7) for _ in range(1)), iter([bytes(7)])
        answer = put(http, link, (part for parts in whole for part in parts), content_type)
        assert answer.status_code == 200, answer.text
        assert len(http.get(link).content) == most


def test_a_file_that_stops_half_way_leaves_nothing_and_may_be_sent_again(narrow: Narrow, http: httpx2.Client) -> None:
    """Contract: "dropped half-way (may be tried again; nothing left behind)"."""
    data = announced(narrow.api)
    parts = urlsplit(data["signedUrl"])
    lines = (f"PUT {parts.path}?{parts.query} HTTP/1.1", "Host: a", "Content-Type: image/png", "Content-Length: 90000")
    head = "\r\n".join((*lines, "", ""))
    for number in range(6):
        with sockets.connect(narrow.server) as connection:
            connection.sendall(head.encode() + bytes(30_000))
            wait_until(lambda: not free(narrow.server, data["key"]), 20, "the first to be on its way")
            assert put(http, data["signedUrl"], b"x").status_code == 409
            if number % 2:  # a reset instead of a goodbye
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_until(lambda: not narrow.work, 20, "the half to be gone")
        assert nothing(http, data["url"])
        wait_until(lambda: free(narrow.server, data["key"]), 20, "the link to be free again")
    assert put(http, data["signedUrl"], b"whole").status_code == 200
    assert http.get(data["url"]).content == b"whole"
    log = next(narrow.server.data.parent.glob("serve-*.log")).read_text()
    assert "Traceback" not in log, log


def free(server: Server, key: str) -> bool:
    rows = server.do(lambda studio: studio.store.rows("SELECT claimed FROM uploads WHERE name = :name", name=key))
    return bool(rows[0][0] is None)


def half_sent(server: Server, key: str, link: str) -> socket.socket:
    """An upload on its way whose second half is still to come."""
    parts = urlsplit(link)
    lines = (f"PUT {parts.path}?{parts.query} HTTP/1.1", "Host: a", "Content-Type: image/png", "Content-Length: 8")
    connection = sockets.connect(server)
    connection.sendall("\r\n".join((*lines, "", "half")).encode())
    wait_until(lambda: not free(server, key), 20, "it to be on its way")
    return connection


def test_a_link_is_kept_from_others_for_as_long_as_its_file_takes(tmp_path: Path, http: httpx2.Client) -> None:
    with (
        serving(tmp_path / "data", None, "--no-worker", settings={"RUSHES_LEASE_SECONDS": "0.5"}) as server,
        server.client() as api,
    ):
        data = announced(api)
        with half_sent(server, data["key"], data["signedUrl"]) as connection:
            first = claimed(server, data["key"])
            wait_until(lambda: claimed(server, data["key"]) > first + 1000, 20, "two leases to pass")
            assert put(http, data["signedUrl"], b"x").status_code == 409
            connection.sendall(b"file")
            assert connection.recv(99).startswith(b"HTTP/1.1 200")
        assert http.get(data["url"]).content == b"halffile"


def claimed(server: Server, key: str) -> int:
    rows = server.do(lambda studio: studio.store.rows("SELECT claimed FROM uploads WHERE name = :name", name=key))
    return int(rows[0][0] or 0)


def test_a_server_killed_while_it_receives_gives_the_link_back(tmp_path: Path, http: httpx2.Client) -> None:
    """Nothing but time can tell that it is dead: one lease."""
    settings = {"RUSHES_LEASE_SECONDS": "0.5", "RUSHES_PUBLIC_URL": "http://rushes.example"}
    with serving(tmp_path / "data", None, "--no-worker", settings=settings) as server, server.client() as api:
        data = announced(api)
        with half_sent(server, data["key"], data["signedUrl"].replace("http://rushes.example", server.url)):
            assert server.program.process is not None
            os.killpg(server.program.process.pid, signal.SIGKILL)
            server.program.process.wait()
    with serving(tmp_path / "data", None, "--no-worker", settings=settings) as server:
        link = data["signedUrl"].replace("http://rushes.example", server.url)
        wait_until(lambda: put(http, link, b"whole").status_code == 200, 20, "the link to be free")
        assert http.get(data["url"].replace("http://rushes.example", server.url)).content == b"whole"


def test_a_server_that_is_stopped_while_it_receives_says_nothing_of_it(tmp_path: Path) -> None:
    with serving(tmp_path / "data", None, "--no-worker") as server, server.client() as api:
        data = announced(api)
        with half_sent(server, data["key"], data["signedUrl"]):
            server.program.stop()
        log = next(tmp_path.glob("serve-*.log")).read_text()
    assert "Traceback" not in log, log


# --- as an input ---


@dataclass(frozen=True)
class Uploads:
    """An account's picture and clip, uploaded."""

    picture: str
    clip: str


@pytest.fixture
def files(api: httpx2.Client, http: httpx2.Client, tmp_path: Path) -> Uploads:
    clip = make(tmp_path / "clip.mp4", width=72, height=128).read_bytes()
    jpeg = a_picture(kind="JPEG")
    return Uploads(uploaded(http, api, jpeg, "image/jpeg")["url"], uploaded(http, api, clip, "video/mp4")["url"])


def test_an_upload_serves_as_every_kind_of_input(api: httpx2.Client, files: Uploads) -> None:
    """Contract: "url then serves as an input (as first frame, reference, extendVideoUrl; read from storage …)". The
    address is a private one, so that a fetch would be blocked.
    """
    asked: list[Json] = [
        {"firstFrameImageUrl": files.picture},
        {"referenceImageUrls": [files.picture, f"{files.picture}?x=1"]},
        {"extendVideoUrl": files.clip},
    ]
    jobs = [submit_video(api, **each) for each in asked]
    answer = api.post("/aistudio/images", json={"prompt": "a red fox", "referenceImageUrl": files.picture})
    for job_id, each in zip(jobs, asked, strict=True):
        item = completed(api, job_id)
        assert {name: item[name] for name in each} == each
    assert ended(api, answer.json()["data"]["jobId"])["data"]["status"] == "completed"


def test_an_upload_that_has_not_come_or_is_something_else_fails_the_job(
    api: httpx2.Client, http: httpx2.Client, files: Uploads
) -> None:
    jobs = {
        submit_video(api, firstFrameImageUrl=announced(api)["url"]): "INPUT_UNREACHABLE",
        submit_video(api, firstFrameImageUrl=uploaded(http, api, b"<html>")["url"]): "INPUT_NOT_AN_IMAGE",
        submit_video(api, extendVideoUrl=files.picture): "INPUT_NOT_A_VIDEO",
        submit_video(api, firstFrameImageUrl=files.clip): "INPUT_NOT_AN_IMAGE",
        submit_video(api, extendVideoUrl=uploaded(http, api, b"", "video/mp4")["url"]): "INPUT_NOT_A_VIDEO",
    }
    assert {job_id: failed(api, job_id) for job_id in jobs} == jobs
    assert api.get(VIDEOS).content == b'{"items":[]}'


def test_a_picture_with_too_many_pixels_is_too_large(api: httpx2.Client, http: httpx2.Client) -> None:
    """Contract: INPUT_TOO_LARGE; also where Pillow itself would call it a bomb."""
    for side in (8194, 20_000):
        file = io.BytesIO()
        Image.new("1", (side, side)).save(file, "PNG")
        url = uploaded(http, api, file.getvalue())["url"]
        job = ended(api, submit_video(api, firstFrameImageUrl=url))
        assert job["data"]["error_code"] == "INPUT_TOO_LARGE", job
        assert f"{side} x {side}" in job["data"]["error_message"]


def test_uploads_are_kept_from_each_other_and_from_the_libraries(server: Server, api: httpx2.Client) -> None:
    """What is announced is in no list."""
    announced(api)
    assert api.get(VIDEOS).content == api.get("/aistudio/images").content == b'{"items":[]}'
    assert api.get("/jobs").json() == {"items": [], "nextPageKey": None}
