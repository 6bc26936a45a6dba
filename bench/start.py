"""How long ``rushes --help`` and a short ``rushes list`` take, against an interpreter that does nothing.

``python -m bench.start [--rounds R]``
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bench.figure import Figure, table
from bench.programs import PYTHON, WORK, free_port, serving
from bench.seed import seed
from rushes import config
from rushes.studio import Studio

ROUNDS, VIDEOS = 21, 1000
_HELP, _LIST = ("--help",), ("list", "-n", "10")


def run(rounds: int = ROUNDS) -> list[Figure]:
    """Each in turn, so that whatever slows the machine for a while slows all alike."""
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        data = Path(folder) / "data"
        key = asyncio.run(_fill(data))
        port = free_port()
        command = [PYTHON, "-m", "rushes", "serve", "--no-worker", "--data", str(data), "--port", str(port)]
        client = {"RUSHES_URL": f"http://127.0.0.1:{port}", "RUSHES_KEY": key}
        with serving(command, f"http://127.0.0.1:{port}/healthz", "start-serve"):
            took = [
                (_seconds("-c", "pass"), _seconds("-m", "rushes", *_HELP), _seconds("-m", "rushes", *_LIST, **client))
                for _ in range(rounds)
            ]
    nothing, shown, listed = (statistics.median(some) for some in zip(*took, strict=True))
    return [
        _figure("rushes --help", shown, nothing, "at most 150 ms", rounds),
        _figure("rushes list of 10", listed, nothing, "at most 250 ms", rounds),
    ]


def _figure(name: str, ours: float, nothing: float, target: str, rounds: int) -> Figure:
    floor = f"{nothing * 1000:.0f} ms (python -c pass)"
    return Figure(name, f"{ours * 1000:.0f} ms", floor, nothing / ours, target, f"whole processes; median of {rounds}")


async def _fill(data: Path) -> str:
    async with Studio.open(config.load(data=data)) as studio:
        await seed(studio, "default", VIDEOS)
        return await studio.create_key("default", "bench")


def _seconds(*arguments: str, **settings: str) -> float:
    environment: Mapping[str, str] = {"PATH": "", **settings}
    start = time.perf_counter()
    subprocess.run([PYTHON, *arguments], env=environment, cwd=WORK, capture_output=True, check=True)
    return time.perf_counter() - start


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.start", description="How long a command takes to start.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    print(table(run(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
