"""A full disk loses nothing: the job waits and tries again, the library is still listed, ``/readyz`` says so."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.conftest import Server, serving, wait_until

MEBIBYTE = 2**20
PROMPT = "a small boat in the rain"
REQUEST = {"prompt": PROMPT, "duration": "5s"}


@contextlib.contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[None]:
    """A disk of its own at ``folder``."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)]
    made = subprocess.run(mount, capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Not a byte is left on that disk."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (MEBIBYTE, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass
    yield
    filler.unlink()


def readiness(server: Server) -> httpx2.Response:
    return httpx2.get(f"{server.url}/readyz", trust_env=False)


def test_a_job_waits_for_room_while_the_library_is_listed(tmp_path: Path) -> None:
    media = tmp_path / "data" / "media"
    with small_disk(media, 48), serving(tmp_path / "data") as server, server.rushes() as client:
        assert readiness(server).json() == {"status": "ok", "database": "ok", "storage": "ok"}
        with filled(media):
            job = client.videos.generate(PROMPT, duration=5, wait=False).id
            log = tmp_path / f"serve-{server.url.rpartition(':')[2]}.log"
            wait_until(lambda: f"job {job} waits: " in log.read_text(), what="the worker's meeting the full disk")
            assert client.jobs.get(job).status == "in-progress"
            assert list(client.videos.list()) == []
            answer = readiness(server)
            assert (answer.status_code, answer.json()["database"]) == (503, "ok")
            assert "disk" in answer.json()["storage"]
            assert int(answer.headers["retry-after"]) > 0
        assert client.jobs.wait(job, timeout=60).status == "completed"
        assert len(list(client.videos.list())) == 1
        assert readiness(server).status_code == 200
        assert list((media / ".work").iterdir()) == []


def test_a_database_on_the_full_disk_still_lists_and_asks_to_come_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with small_disk(data, 64), serving(data) as server, server.client() as api:
        with filled(data):
            answer = api.post("/aistudio/videos", json=REQUEST)
            while answer.status_code == 200:  # what room the database's log still had
                answer = api.post("/aistudio/videos", json=REQUEST)
            assert (answer.status_code, answer.text) == (503, '{"message":"Service Unavailable"}')
            assert int(answer.headers["retry-after"]) > 0
            assert api.get("/aistudio/videos").json() == {"items": []}
            assert readiness(server).status_code == 503
        job = api.post("/aistudio/videos", json=REQUEST).json()["data"]["jobId"]
        wait_until(lambda: api.get(f"/jobs/{job}").json()["data"]["status"] == "completed", 90, "the video")
    assert list(data.iterdir()) == []
