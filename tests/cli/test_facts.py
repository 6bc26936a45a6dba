"""``rushes models`` and ``quota``; and both, and prices, where the server is the vendor's."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli.desk import Desk
from tests.cli.running import rushes
from tests.cli.test_completion import completed
from tests.conftest import Server
from tests.servers import vendor as servers

ITEM = {
    "url": "https://example.com/fox.mp4",
    "id": "20261105184210123a1b2c3d4e5f60718",
    "prompt": "a red fox",
    "aspectRatio": "16:9",
    "createdDate": "2026-11-05T18:42:33.100Z",
    "model": "veo3.1",
    "width": 1920,
    "height": 1080,
    "duration": "8s",
    "previewImageUrl": "https://example.com/fox_preview.jpg",
    "thumbnailImageUrl": "https://example.com/fox_thumbnail.jpg",
    "lastFrameImageUrl": "https://example.com/fox_last_frame.png",
}
JOB = "5e0f6c1a-93b4-4d5e-8a43-0c8d7a1f2b96"
DONE = {"status": "completed", "url": ITEM["url"], "aiCreditsUsed": 160}


@pytest.fixture
def desk(sqlite_server: Server, tmp_path: Path) -> Desk:
    return Desk.at(sqlite_server, tmp_path)


def test_models_are_told_as_the_server_has_them(desk: Desk) -> None:
    models = {told["model"]: told for told in desk.told("models")}
    assert models["pixverse5.5"]["creditsPerSecond"] == 1.6
    assert models["flux-schnell"]["inputs"] == []
    heading, *rows = desk.shown("models")
    assert heading.split() == ["MODEL", "MAKES", "BY", "LENGTHS", "CREDITS", "RATIOS"]
    assert rows[0].split(maxsplit=2) == ["pixverse5.5", "video", "sandbox  5s 8s 10s  1.6/s    16:9 9:16 1:1 3:4 4:3"]
    assert len(rows) == len(models)


def test_quota(desk: Desk) -> None:
    desk.made("a calm sea")
    assert desk.said("quota") == "8 of 1,000,000 credits used this month, 999,992 left\n"
    assert desk.told("quota")[0]["aiCredits"] == {"used": 8, "limit": 1_000_000}


# The vendor's: it knows no more than its own API, and passes over what it does not know


class Vendor(BaseHTTPRequestHandler):
    answers = {
        "/quota": {"aiCredits": {"used": 690, "limit": 22000}},
        "/aistudio/videos": {"items": [ITEM]},
        "/jobs": {"items": [{"success": True, "data": {"jobId": JOB, **DONE}}], "nextPageKey": None},
        f"/jobs/{JOB}": {"job_id": JOB, "success": True, "data": DONE},
    }

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/pictoryapis/v1")
        self._answer(200 if path in self.answers else 403, self.answers.get(path, {"message": "Forbidden"}))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, {"success": True, "data": {"jobId": JOB}})

    def _answer(self, status: int, told: object) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def vendor(tmp_path: Path) -> Iterator[Desk]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Vendor) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Desk(f"http://127.0.0.1:{server.server_port}", "k", tmp_path)
        server.shutdown()


def test_the_vendors_models_and_prices_are_those_of_its_reference(vendor: Desk) -> None:
    told = {model["model"]: model for model in vendor.told("models")}
    assert told["veo3.1"]["creditsPerSecond"] == 20
    assert {model["provider"] for model in told.values()} == {"pictory"}
    run = vendor.run("generate", "a red fox", "--model", "veo3.1", "--duration", "8", "--json")
    assert json.loads(run.stdout) == ITEM
    assert run.stderr == "veo3.1, 8s: about 160 credits\n160 credits used\n"


def test_what_the_vendor_does_not_list_yet_is_waited_for_and_else_told_with_its_file(tmp_path: Path) -> None:
    with servers.Vendor() as late:
        desk = Desk(late.url, servers.KEY, tmp_path)
        nothing = servers.instead(servers.told({"items": []}))
        late.next("GET", "/aistudio/videos", nothing, nothing)
        assert desk.made("a late fox")["prompt"] == "a late fox"
        late.always("GET", "/aistudio/videos", nothing)
        assert re.search(r"Job \S+ is completed, its file is at http\S+mp4;", desk.run("generate", "a lost fox").stderr)


def test_what_a_server_says_cannot_reach_the_terminal(tmp_path: Path) -> None:
    with servers.Vendor() as rude:
        rude.always("GET", "/quota", servers.instead(servers.told({"message": "no\nway \x1b]0;x\x07\x9b2J."}, 400)))
        assert Desk(rude.url, servers.KEY, tmp_path).refused("quota")[:-1].isprintable()


def test_a_link_that_is_a_file_here_is_not_opened(tmp_path: Path) -> None:
    with servers.Vendor() as rude:
        rude.add_video(url="file:///etc/passwd")
        assert "as a link, which is none" in Desk(rude.url, servers.KEY, tmp_path).refused("open", "last")


def test_an_encoding_without_the_prompts_letters_ends_no_list(tmp_path: Path) -> None:
    with servers.Vendor() as far:
        far.add_video(prompt="狐 \ud800")
        settings = {"RUSHES_URL": far.url, "RUSHES_KEY": servers.KEY, "PYTHONIOENCODING": "latin-1"}
        run = rushes("list", cwd=tmp_path, **settings)
        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout.endswith("\\u72d0 \\ud800\n")


def test_the_vendors_items_and_jobs_are_found_in_its_lists(vendor: Desk) -> None:
    assert vendor.told("list") == vendor.told("show", str(ITEM["id"])) == vendor.told("show", "last") == [ITEM]
    assert "There is no video x" in vendor.refused("show", "x")
    assert vendor.said("jobs", "list") == f"{JOB}\tcompleted\t160\n"
    assert vendor.told("jobs", "show", "last")[0]["job_id"] == JOB
    assert f"  job      {JOB}\n" in vendor.said("jobs", "show", JOB)
    assert vendor.said("quota") == "690 of 22,000 credits used this month, 21,310 left\n"


def test_a_filter_that_would_be_passed_over_is_refused(vendor: Desk) -> None:
    assert "only a Rushes" in vendor.refused("list", "--model", "veo3.1")
    assert "only a Rushes" in vendor.refused("jobs", "list", "--state", "failed")


def test_what_the_vendor_does_not_do_is_refused(vendor: Desk) -> None:
    assert "only a Rushes" in vendor.refused("delete", str(ITEM["id"]), "--yes")
    assert "only a Rushes" in vendor.refused("jobs", "cancel", JOB)


# Completion asks nobody


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("rushes generate --model veo", ["veo3.1", "veo3.1_fast"]),
        ("rushes generate --image --model f", ["flux-schnell"]),
        ("rushes list --images --model nano", ["nanobanana", "nanobanana-pro"]),
        ("rushes generate --aspect-ratio 9", ["9:16"]),
        ("rushes generate --style v", ["vintage"]),
        ("rushes jobs list --state co", ["collecting", "completed"]),
        ("rushes jobs s", ["settle", "show"]),
    ],
)
def test_what_was_begun_is_ended(tmp_path: Path, words: str, told: list[str]) -> None:
    assert completed(words, tmp_path) == [f"plain,{word}" for word in told]
