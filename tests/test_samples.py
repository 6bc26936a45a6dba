"""The samples of the cookbook and of the client's page, run as they stand, in their order, by whoever copies them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Server

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
VENDOR = "https://api.pictory.ai"
SECONDS = 120


class Sample(NamedTuple):
    """One block of a page."""

    language: str
    text: str


def samples(page: str) -> Iterator[Sample]:
    """The blocks of a page that can be run."""
    return (Sample(*block) for block in BLOCK.findall((DOCS / page).read_text()))


@pytest.mark.timeout(SECONDS * 6)
@pytest.mark.parametrize("page", ["cookbook.md", "client.md"])
def test_every_sample_of_a_page_runs(sqlite_server: Server, tmp_path: Path, page: str) -> None:
    key = sqlite_server.key()
    # Another account's key: what it has is the vendor's library here.
    settings = {"RUSHES_URL": sqlite_server.url, "RUSHES_KEY": key, "PICTORY_KEY": key}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUSHES_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for sample in samples(page):
        text = sample.text.replace(VENDOR, sqlite_server.url)
        if "keys create" in text:  # the tests have both already
            continue
        command = ["bash", "-euc", text] if sample.language == "sh" else [sys.executable, "-c", text]
        ran = subprocess.run(
            command,
            cwd=tmp_path,
            env={**kept, **settings, "PATH": path},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert ran.returncode == 0, f"{text}\n{ran.stdout}{ran.stderr}"
        settings |= {
            name: value.replace("$PICTORY_KEY", key) for name, value in re.findall(r"export (\w+)=(\S+)", text)
        }
    if page == "cookbook.md":
        assert (tmp_path / "story.mp4").stat().st_size > 100_000
        assert len(list((tmp_path / "album").glob("*/*.mp4"))) >= 9


def test_the_pages_hold_samples() -> None:
    assert len(list(samples("cookbook.md"))) >= 9
    assert len(list(samples("client.md"))) == 1
