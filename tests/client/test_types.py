"""A user's program is checked as strictly as ours, and knows what it gets."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
from pathlib import Path

from rushes import AsyncClient, Client
from rushes.client import Progress
from rushes.errors import JobFailed, TooMany


def told(progress: Progress) -> None:
    print(progress.state, progress.progress)


with Client("http://127.0.0.1:8700", "key", timeout=5) as client:
    for video in client.videos.list(model="veo3.1", q="fox", page_size=10):
        reveal_type(video)  # Video
        reveal_type(client.videos.download(video, Path("."), on_bytes=lambda have, of: print(have)))  # Path
    for image in client.images.list():
        reveal_type(image)  # Image
    try:
        reveal_type(client.videos.generate("a fox", duration="8s", on_progress=told))  # Video
    except JobFailed as failed:
        reveal_type(failed.job_id)  # str | None
    except TooMany as many:
        reveal_type(many.retry_after)  # float
    reveal_type(client.videos.generate("a fox", wait=True, timeout=3))  # Video
    reveal_type(client.videos.generate("a fox", wait=False, first_frame=image))  # Job
    reveal_type(client.images.generate("a fox", style="cartoon"))  # Image
    reveal_type(client.images.generate("a fox", wait=False))  # Job
    flag = bool(video.duration)
    reveal_type(client.videos.generate("a fox", wait=flag, model="veo3.1"))  # Video | Job
    reveal_type(client.images.generate("a fox", wait=flag))  # Image | Job
    reveal_type(client.jobs.wait("j", timeout=1))  # Job
    reveal_type(client.jobs.show("j").progress)  # float | None
    reveal_type(client.quota().limit)  # float
    reveal_type(client.models()[0].aspect_ratios)  # tuple[str, ...]
    for stretch in client.changes():
        reveal_type(stretch.changes[0].item)  # Video | Image | None


async def main() -> None:
    async with AsyncClient("http://127.0.0.1:8700", "key") as client:
        async for video in client.videos.list():
            reveal_type(video)  # Video
        async for image in client.images.list():
            reveal_type(image)  # Image
        reveal_type(await client.videos.generate("a fox", extend=video))  # Video
        reveal_type(await client.videos.generate("a fox", wait=False))  # Job
        reveal_type(await client.images.generate("a fox", reference=Path("a.png")))  # Image
        reveal_type(await client.images.generate("a fox", wait=False))  # Job
        reveal_type(await client.videos.generate("a fox", wait=bool(video.duration)))  # Video | Job
        reveal_type(await client.images.generate("a fox", wait=bool(video.duration)))  # Image | Job
"""

WRONG = """
from rushes import Client

with Client("http://127.0.0.1:8700", "key") as client:
    client.videos.list(colour="red")  # wrong
    client.videos.generate("a fox", style="cartoon")  # wrong
    client.videos.generate("a fox", wait=False, timeout=3)  # wrong
    client.images.generate("a fox", duration="8s")  # wrong
    for image in client.images.list():
        client.videos.download(image, "here")  # wrong
"""


def checked(program: str, folder: Path) -> tuple[int, list[str]]:
    """mypy's exit status, and what it says."""
    path = folder / "program.py"
    path.write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(folder / "cache")]
    # From elsewhere, so that it finds the package as it is installed.
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, cwd=folder, check=False)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout.splitlines()


def wanted(program: str, mark: str) -> dict[int, str]:
    lines = enumerate(program.splitlines(), 1)
    return {number: line.partition("  # ")[2] for number, line in lines if mark in line}


def test_a_program_is_right_and_knows_its_types(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="it is installed with the extra check")
    status, said = checked(PROGRAM, tmp_path)
    pattern = re.compile(r'program\.py:(\d+): note: Revealed type is "(.*)"')
    found = [match.groups() for match in map(pattern.match, said) if match]
    bare = {int(line): re.sub(r"\b(?:\w+\.)+", "", told.replace("builtins.", "")) for line, told in found}
    assert (status, bare) == (0, wanted(PROGRAM, "reveal_type")), "\n".join(said)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="it is installed with the extra check")
    status, said = checked(WRONG, tmp_path)
    lines = {int(match[1]) for match in (re.match(r"program\.py:(\d+): error:", line) for line in said) if match}
    assert (status, lines) == (1, set(wanted(WRONG, "# wrong"))), "\n".join(said)
