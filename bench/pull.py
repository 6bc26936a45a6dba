"""``rushes pull`` of 1,000 videos of 1 MB from a second Rushes on this machine, against ``cp -r`` and hashing them.

``python -m bench.pull [--videos N]``
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figure import Figure, table
from bench.programs import PYTHON, WORK, free_port, serving
from bench.seed import MEGABYTE, seed
from rushes import config
from rushes.studio import Studio

VIDEOS = 1000


def run(videos: int = VIDEOS) -> list[Figure]:
    """Once each: what is copied is far larger than what is left to chance."""
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        source, target = Path(folder) / "source", Path(folder) / "target"
        key = asyncio.run(_fill(source, videos))
        port = free_port()
        command = [PYTHON, "-m", "rushes", "serve", "--no-worker", "--data", str(source), "--port", str(port)]
        with serving(command, f"http://127.0.0.1:{port}/healthz", "pull-serve"):
            copied = _copy(source / "media", Path(folder) / "copy")
            pulled = _pull(target, port, key)
            again = _pull(target, port, key)
        size = sum(path.stat().st_size for path in _files(target / "media"))
    return [
        Figure(
            f"pull of {videos:,} videos, {size / 2**20:,.0f} MB with their stills",
            f"{pulled:.1f} s",
            f"{copied:.1f} s (cp -r, sync and sha256)",
            copied / pulled,
            "—",
            f"from a second Rushes on the same 2 cores: {5 * videos:,} files, each probed or checked, hashed, synced "
            f"and entered; a second pull finds nothing new in {again:.1f} s",
        )
    ]


async def _fill(data: Path, videos: int) -> str:
    async with Studio.open(config.load(data=data)) as studio:
        await seed(studio, "default", videos, files=True, clip_of=MEGABYTE)
        return await studio.create_key("default", "bench")


def _copy(source: Path, to: Path) -> float:
    start = time.perf_counter()
    subprocess.run(["cp", "-r", str(source), str(to)], check=True)
    for path in _files(to):
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")
    os.sync()
    took = time.perf_counter() - start
    shutil.rmtree(to)
    return took


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _pull(target: Path, port: int, key: str) -> float:
    start = time.perf_counter()
    command = [PYTHON, "-m", "rushes", "pull", "--from", f"http://127.0.0.1:{port}", "--key", key]
    subprocess.run([*command, "--data", str(target)], check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.pull", description="A library pulled, against cp -r.")
    parser.add_argument("--videos", type=int, default=VIDEOS)
    print(table(run(parser.parse_args().videos)))


if __name__ == "__main__":
    main()
