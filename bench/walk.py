"""A whole library through the client: 100,000 items, page by page, against reading the same pages with bare hands.

``python -m bench.walk [--videos N]``
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.figure import Figure, table
from bench.programs import HERE, PYTHON, WORK, free_port, serving
from bench.seed import seed
from rushes import config
from rushes.studio import Studio

VIDEOS, ROUNDS = 100_000, 3
_EARLY = 10_000
_PAGE_SIZE = 100


def run(videos: int = VIDEOS, rounds: int = ROUNDS) -> list[Figure]:
    """Walk it in turn with the client and without, each time in a process of its own."""
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        data = Path(folder) / "data"
        key = asyncio.run(_fill(data, videos))
        port = free_port()
        command = [PYTHON, "-m", "rushes", "serve", "--no-worker", "--data", str(data), "--port", str(port)]
        with serving(command, f"http://127.0.0.1:{port}/healthz", "walk-serve"):
            pairs = [(_walked("client", port, key), _walked("bare", port, key)) for _ in range(rounds)]
    client, bare = (sorted(side, key=lambda walk: walk["seconds"])[rounds // 2] for side in zip(*pairs, strict=True))
    grown = statistics.median(pair[0]["grown"] for pair in pairs)
    return [
        Figure(
            f"a walk of {client['items']:,} items through the client",
            f"{client['seconds']:.2f} s, {client['memory']:.0f} MB",
            f"{bare['seconds']:.2f} s (http.client and json.loads)",
            bare["seconds"] / client["seconds"],
            "at most 4 s, constant memory",
            f"typed items; {grown:+.1f} MB from the {_EARLY:,}th item to the last; median of {rounds}",
        )
    ]


async def _fill(data: Path, videos: int) -> str:
    async with Studio.open(config.load(data=data)) as studio:
        await seed(studio, "default", videos)
        return await studio.create_key("default", "bench")


def _walked(how: str, port: int, key: str) -> dict[str, float]:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.walk", f"--{how}", str(port), key],
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, float] = json.loads(ran.stdout)
    return told


def _client(port: int, key: str) -> dict[str, float]:
    from time import perf_counter

    from rushes.client import Client

    items, early, start = 0, 0.0, perf_counter()
    with Client(f"http://127.0.0.1:{port}", key) as client:
        for _ in client.videos.list():
            items += 1
            if items == _EARLY:
                early = _memory()
    return {"items": items, "seconds": perf_counter() - start, "memory": _memory(), "grown": _memory() - early}


def _bare(port: int, key: str) -> dict[str, float]:
    from time import perf_counter

    items, token, start = 0, "", perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    while True:
        path = f"/pictoryapis/v1/aistudio/videos?nextPageKey={token}"
        connection.request("GET", path, headers={"Authorization": key})
        page = json.loads(connection.getresponse().read())
        items += len(page["items"])
        token = page.get("nextPageKey", "")
        if not token:
            return {"items": items, "seconds": perf_counter() - start, "memory": _memory(), "grown": 0.0}


def _memory() -> float:
    """Megabytes of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.walk", description="A whole library through the client.")
    parser.add_argument("--videos", type=int, default=VIDEOS)
    parser.add_argument("--client", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--bare", nargs=2, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.client or told.bare:
        walk, (port, key) = (_client, told.client) if told.client else (_bare, told.bare)
        print(json.dumps(walk(int(port), key)))
    else:
        print(table(run(told.videos)))


if __name__ == "__main__":
    main()
