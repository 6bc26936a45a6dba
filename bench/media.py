"""Downloads of one large file, whole and in ranges, against nginx with the same file.

``python -m bench.media [--seconds S] [--rounds R]``, and a part of ``make bench``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figure import Figure, table
from bench.peers import nginx
from bench.programs import PYTHON, WORK, Missing, free_port, get, need, serving
from bench.wrk import CONNECTIONS, Target, load
from rushes import config, ids
from rushes.model import VideoFiles
from rushes.studio import Studio

BYTES = 20_000_000
SECONDS, ROUNDS = 4, 5
PROCESSES = 2
_MIB = 2**20
_RANGE = ("Range", f"bytes={8 * _MIB}-{9 * _MIB - 1}")


def run(seconds: int = SECONDS, rounds: int = ROUNDS) -> list[Figure]:
    """Measure, each in turn, several times over; the figures are medians."""
    need("nginx", "wrk")
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as name, _served(Path(name)) as targets:
        found: dict[str, list[float]] = {each: [] for each in targets}
        for number in range(rounds):
            # Up and down: whatever slows the machine for a while slows neighbours alike.
            for each in list(targets)[:: -1 if number % 2 else 1]:
                found[each].append(load(targets[each], seconds).rate)
    rates = {each: statistics.median(rates) for each, rates in found.items()}
    return [
        _figure(f"download of {BYTES // 10**6} MB", rates["whole"], rates["nginx whole"], BYTES, "≥ 0.7"),
        _figure("ranges of 1 MiB in it", rates["range"], rates["nginx range"], _MIB, "—"),
    ]


def _figure(name: str, ours: float, peer: float, size: int, target: str) -> Figure:
    def told(rate: float) -> str:
        return f"{rate * size / 10**6:,.0f} MB/s"

    note = f"wrk, {CONNECTIONS} connections, {PROCESSES} processes each; the file is in memory; nginx with sendfile"
    return Figure(name, told(ours), f"nginx: {told(peer)}", ours / peer, target, note)


@contextmanager
def _served(folder: Path) -> Iterator[dict[str, Target]]:
    file = asyncio.run(_kept(folder / "data", folder / "film"))
    root = folder / "data" / "media"
    paths = folder / "paths"
    paths.write_text(f"/{file}\n")
    ports = free_port(), free_port()
    ours, peer = (f"http://127.0.0.1:{port}" for port in ports)
    command = [PYTHON, "-m", "rushes", "serve", "--data", str(folder / "data"), "--port", str(ports[0])]
    command += ["--processes", str(PROCESSES), "--no-worker"]
    with (
        serving(command, f"{ours}/healthz", "rushes"),
        serving(nginx.command(root, ports[1], PROCESSES), f"{peer}/{file}", "nginx"),
    ):
        assert get(f"{ours}/{file}") == get(f"{peer}/{file}")
        yield {
            "whole": Target(ours, paths),
            "nginx whole": Target(peer, paths),
            "range": Target(ours, paths, [_RANGE]),
            "nginx range": Target(peer, paths, [_RANGE]),
        }


async def _kept(data: Path, film: Path) -> str:
    film.write_bytes(os.urandom(BYTES))
    name = VideoFiles(ids.uuid(), ids.uuid()).video
    async with Studio.open(config.load(data=data)) as studio:
        await studio.blobs.put(name, film)
    return name


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=int, default=SECONDS)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    told = arguments.parse_args()
    try:
        print(table(run(told.seconds, told.rounds)))
    except Missing as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
