"""Writes the blocking client from the asynchronous one, word by word: ``make client``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import unasync

ROOT = Path(__file__).parents[1]
SOURCE, TARGET = "src/rushes/client/asynchronous/", "src/rushes/client/synchronous/"
WORDS = {
    "AsyncClient": "Client",
    "AsyncVideos": "Videos",
    "AsyncImages": "Images",
    "AsyncJobs": "Jobs",
    "aclose": "close",
    "aiter_bytes": "iter_bytes",
    "anyio": "time",
    "asynchronous": "synchronous",
}
SENTENCES = {
    "The client for asyncio and trio. The blocking one is written from this folder by ``make client``.": (
        "The client that blocks. Written from ``asynchronous`` by ``make client``: change it there."
    ),
    "One client serves many tasks at once.": "One client serves many threads at once.",
}


def write(root: Path) -> None:
    """Write the blocking client below ``root`` from the asynchronous one there."""
    sources = sorted((root / SOURCE).glob("*.py"))
    rule = unasync.Rule(f"{root}/{SOURCE}", f"{root}/{TARGET}", WORDS)
    unasync.unasync_files([str(source) for source in sources], [rule])
    for source in sources:
        _polish(root / TARGET / source.name)


def _polish(target: Path) -> None:
    text = target.read_text()
    for before, after in SENTENCES.items():
        text = text.replace(before, after)
    target.write_text(text)
    ruff = [sys.executable, "-m", "ruff"]
    config = ["--config", str(ROOT / "pyproject.toml")]
    subprocess.run([*ruff, "check", *config, "--quiet", "--select", "I", "--fix", str(target)], check=True)
    subprocess.run([*ruff, "format", *config, "--quiet", str(target)], check=True)


if __name__ == "__main__":
    write(ROOT)
