"""``docs/api.md`` and ``/docs`` say what the document says, and every sample in them works."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import jsonschema_rs
import pytest

from rushes import ids
from rushes.api.openapi import document, examples
from rushes.api.openapi.markdown import written
from rushes.catalogue import CATALOGUE
from rushes.model import Image, ImageRequest, Kind, Video
from rushes.store.library import LIBRARIES
from rushes.studio import Studio
from tests.api.library import NOON, account_of, video
from tests.conftest import Server, serving

FILE = Path(__file__).parents[2] / "docs" / "api.md"
DOCUMENT = document(CATALOGUE)
OPERATIONS = {
    operation["summary"]: operation for methods in DOCUMENT["paths"].values() for operation in methods.values()
}
COMMANDS = {"sh": ["sh", "-c"], "python": [sys.executable, "-c"], "js": ["node", "--input-type=module", "--eval"]}
NEEDED = {"sh": "curl", "python": sys.executable, "js": "node"}
PICTURE = b"\x89PNG\r\n\x1a\n as far as anybody looks"


# The file


def test_the_file_says_what_the_document_says() -> None:
    assert FILE.read_text() == written(DOCUMENT), "docs/api.md is stale: run `make docs`"


class Sample(NamedTuple):
    """A block of the file, below the heading of an operation."""

    summary: str
    language: str
    source: str

    @property
    def operation(self) -> str:
        return str(OPERATIONS[self.summary]["operationId"])


def samples() -> list[Sample]:
    parts = re.split(r"^### (.+)$", FILE.read_text().partition("\n## Shapes\n")[0], flags=re.MULTILINE)
    return [
        Sample(summary, language, source)
        for summary, text in zip(parts[1::2], parts[2::2], strict=True)
        for language, source in re.findall(r"^```(sh|python|js)\n(.+?)\n```$", text, flags=re.MULTILINE | re.DOTALL)
    ]


def test_every_operation_has_a_sample_in_every_language() -> None:
    assert [sample[:2] for sample in samples()] == [(summary, each) for summary in OPERATIONS for each in COMMANDS]


@dataclass
class World:
    """An account with something of everything, at a server that takes requests and makes nothing."""

    server: Server
    key: str
    api: httpx2.Client
    account: str
    videos: list[Video]
    images: list[Image]

    def real(self, sample: Sample) -> dict[str, str]:
        """What stands in this world for each name in the examples. What is deleted is nobody else's."""
        own = list(COMMANDS).index(sample.language) + (3 if sample.operation.startswith("delete") else 0)
        return {
            examples.ORIGIN: self.server.url,
            examples.ACCOUNT: self.account,
            examples.VIDEO: self.videos[own].id,
            examples.VIDEO_FILE: self.videos[own].file_id,
            examples.IMAGE: self.images[own].id,
            **self.job(sample.operation),
            **self.upload(sample.operation),
        }

    def job(self, operation: str) -> dict[str, str]:
        if "job" not in operation:
            return {}
        job_id = self.api.post("/aistudio/videos", json={"prompt": "a job of one's own"}).json()["data"]["jobId"]
        if operation == "clean_job":
            self.api.post(f"/jobs/{job_id}/cancel").raise_for_status()
        return {examples.JOB: job_id}

    def upload(self, operation: str) -> dict[str, str]:
        if operation not in ("upload_file", "get_upload"):
            return {}
        asked = {"fileName": "lighthouse.png", "contentType": "image/png"}
        data = self.api.post("/media/generateurl", json=asked).json()["data"]
        if operation == "get_upload":
            sent = httpx2.put(
                data["signedUrl"], content=PICTURE, headers={"Content-Type": "image/png"}, trust_env=False
            )
            sent.raise_for_status()
        shown = examples.upload()["data"]
        query = shown["signedUrl"].partition("?")[2]
        return {examples.UPLOAD: Path(data["key"]).stem, query: data["signedUrl"].partition("?")[2]}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("samples")
    with serving(folder / "data", None, "--no-worker") as server:
        key = server.key()
        account = account_of(server, key)
        videos = [video(account, number) for number in range(6)]
        images = [image(account, number) for number in range(6)]
        picture = folder / "picture"
        server.do(lambda studio: furnish(studio, [*videos, *images], picture))
        with server.client(key) as api:
            yield World(server, key, api, account, videos, images)


def image(account: str, number: int) -> Image:
    request = ImageRequest(f"still {number}", "seedream3.0", "1:1")
    return Image(ids.uuid(), account, None, request, NOON + number, 1024, 1024)


async def furnish(studio: Studio, items: list[Video | Image], picture: Path) -> None:
    """Enter items, each with a first file that holds something."""
    for item in items:
        picture.write_bytes(PICTURE)
        await studio.blobs.put(item.files.all[0], picture)
        async with studio.store.write() as tx:
            await LIBRARIES[Kind.VIDEO if isinstance(item, Video) else Kind.IMAGE].add(tx, item)


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: f"{sample.operation}-{sample.language}")
def test_a_sample_works(sample: Sample, world: World, tmp_path: Path) -> None:
    if shutil.which(NEEDED[sample.language]) is None:
        pytest.skip(f"{NEEDED[sample.language]} is not installed")
    (tmp_path / "lighthouse.png").write_bytes(PICTURE if sample.operation == "upload_file" else b"")
    source = sample.source
    for example, real in world.real(sample).items():
        source = source.replace(example, real)
    said = run([*COMMANDS[sample.language], source], world.key, tmp_path)
    check(sample, said, tmp_path)


def run(command: list[str], key: str, folder: Path) -> str:
    environment = {"PATH": os.environ["PATH"], "KEY": key}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check(sample: Sample, said: str, folder: Path) -> None:
    """It gave what the document says it gives."""
    [(media_type, media), *_] = OPERATIONS[sample.summary]["responses"]["200"]["content"].items()
    if media_type == "application/json":
        assert validator(media["schema"]).is_valid(json.loads(said)), said
    elif media_type.startswith("text/"):
        assert "rushes_jobs" in said or "<!doctype html>" in said
    else:
        assert [file.read_bytes() for file in folder.glob("lighthouse.*") if file.stat().st_size] == [PICTURE]


def validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]})


# The page


class Page(HTMLParser):
    """What a page names, links to and loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        self.ids += [str(given["id"])] if "id" in given else []
        self.links |= {str(given["href"])} if "href" in given else set()
        self.loads |= {str(value) for name, value in attrs if name in ("src", "srcset", "data", "action", "style")}


@pytest.fixture(scope="module")
def shown(world: World) -> httpx2.Response:
    return httpx2.get(f"{world.server.url}/docs", trust_env=False)


def test_the_page_shows_every_operation_with_its_samples(shown: httpx2.Response, world: World) -> None:
    page = Page(shown.text)
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert {operation["operationId"] for operation in OPERATIONS.values()} <= set(page.ids)
    assert set(DOCUMENT["components"]["schemas"]) <= set(page.ids)
    assert f"curl &#x27;{world.server.url}/pictoryapis/v1/aistudio/videos&#x27;" in shown.text


def test_every_link_of_the_page_leads_somewhere_and_every_name_is_the_only_one(shown: httpx2.Response) -> None:
    page = Page(shown.text)
    assert page.links - {"/openapi.json"} <= {f"#{name}" for name in page.ids}
    assert len(page.ids) == len(set(page.ids))


def test_the_page_loads_nothing_and_runs_nothing(shown: httpx2.Response) -> None:
    page = Page(shown.text)
    assert not page.loads
    assert not page.tags & {"script", "link", "img", "iframe", "object", "form"}


def test_the_page_allows_a_browser_nothing_but_its_own_style(shown: httpx2.Response) -> None:
    [style] = re.findall(r"<style>(.+?)</style>", shown.text, flags=re.DOTALL)
    policy = dict(part.strip().split(" ", 1) for part in shown.headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert shown.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("address", ["https://studio.example.org", "http://a<b>&'c"])
def test_the_page_and_the_document_give_the_public_address(tmp_path: Path, address: str) -> None:
    with serving(tmp_path / "data", None, "--no-worker", settings={"RUSHES_PUBLIC_URL": address}) as server:
        described = httpx2.get(f"{server.url}/openapi.json", trust_env=False).json()
        page = httpx2.get(f"{server.url}/docs", trust_env=False).text
    assert described["servers"][0]["url"] == address
    assert examples.ORIGIN not in json.dumps(described) + page
    assert "<b>&'c" not in page
