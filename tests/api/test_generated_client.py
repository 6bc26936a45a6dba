"""A client that a public generator makes of ``/openapi.json`` is usable as it comes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.api.takes import completed, submit
from tests.conftest import Server

# A generator takes bytes only under this name.
CONFIG = {
    "content_type_overrides": dict.fromkeys(
        ("image/png", "image/jpeg", "image/webp", "video/mp4", "video/quicktime"), "application/octet-stream"
    ),
    "post_hooks": [],
}

PROGRAM = """
import sys, time

from rushes_client import AuthenticatedClient
from rushes_client.api.files import get_video_file
from rushes_client.api.jobs import get_job
from rushes_client.api.videos import list_videos, make_video
from rushes_client.models import InvalidRequest, JobFinishedVideo, JobInProgress, VideoPage, VideoRequest

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])

page = list_videos.sync(client=client, limit=5)
assert isinstance(page, VideoPage)
print(*(video.id for video in page.items))

made = make_video.sync(client=client, body=VideoRequest(prompt="made by a generated client"))
job = get_job.sync(made.data.job_id, client=client)
while isinstance(job, JobInProgress):
    time.sleep(0.1)
    job = get_job.sync(made.data.job_id, client=client)
assert isinstance(job, JobFinishedVideo), job
print(job.data.url)

refused = make_video.sync(client=client, body=VideoRequest(prompt="no"))
assert isinstance(refused, InvalidRequest)
print(*(field.name for field in refused.fields))

*_, account, name = job.data.url.split("/")
print(len(get_video_file.sync(account, name, client=client).payload.getvalue()))
"""


@pytest.fixture(scope="module")
def generated(sqlite_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the client's package."""
    folder = tmp_path_factory.mktemp("generated")
    config = folder / "config.json"
    config.write_text(json.dumps(CONFIG))
    (folder / "openapi.json").write_bytes(httpx2.get(f"{sqlite_server.url}/openapi.json", trust_env=False).content)
    told = "generate --path openapi.json --config config.json --meta none --output-path rushes_client --fail-on-warning"
    run([sys.executable, "-m", "openapi_python_client", *told.split()], folder)
    return folder


def run(command: list[str], folder: Path) -> str:
    """What a command says."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_lists_makes_waits_fetches_and_tells_errors(sqlite_server: Server, generated: Path) -> None:
    key = sqlite_server.key()
    with sqlite_server.client(key) as api:
        item = completed(api, submit(api))
        listed, made, wrong, size = run([sys.executable, "-c", PROGRAM, sqlite_server.url, key], generated).splitlines()
        assert listed == item["id"]
        assert made == api.get("/aistudio/videos").json()["items"][0]["url"]
        assert wrong == "prompt"
        assert int(size) == int(httpx2.head(made, trust_env=False).headers["content-length"])


def test_every_operation_is_a_function_of_its_name(generated: Path) -> None:
    described = json.loads((generated / "openapi.json").read_text())
    named = {operation["operationId"] for methods in described["paths"].values() for operation in methods.values()}
    files = {file.stem for file in (generated / "rushes_client" / "api").glob("*/*.py")} - {"__init__"}
    assert files == named
