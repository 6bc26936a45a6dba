"""A server under steady traffic of every kind, looked at from outside: memory and open files must stay as they are.

``python -m tests.acceptance.soak [--minutes 30] [--database-url URL]``; a short one is part of the suite.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from tests.api.takes import VIDEOS, completed, submit
from tests.conftest import Server, serving

PERIOD = 1.0
"""Seconds between two looks."""
_MIB = 2**20
_KEPT = 30
"""Videos that stay; older ones are deleted."""
_ROUTES = '[models."pixverse5.5"]\nprovider = "sandbox"\nsizes = { "9:16" = [72, 128] }\n'


@dataclass
class Seen:
    """What one process held, over time."""

    memory: list[int] = field(default_factory=list)
    """Bytes."""
    files: list[int] = field(default_factory=list)

    def growth(self) -> tuple[float, float]:
        """MiB and open files by which the last third lies above the middle one, by their medians: the first third is
        left to caches that fill and to what is loaded on first use.
        """
        third = len(self.memory) // 3
        return (
            (_median(self.memory[-third:]) - _median(self.memory[third:-third])) / _MIB,
            _median(self.files[-third:]) - _median(self.files[third:-third]),
        )


def _median(values: Sequence[int]) -> float:
    return statistics.median(values)


def soak(folder: Path, seconds: float, database_url: str | None = None) -> tuple[Mapping[str, Seen], int]:
    """What each process held meanwhile, by what it is; and how many videos were made."""
    (folder / "rushes.toml").write_text(_ROUTES)
    settings = {"RUSHES_CONFIG": str(folder / "rushes.toml"), "RUSHES_SWEEP_SECONDS": "5"}
    with (
        serving(folder / "data", database_url, "--processes", "2", settings=settings) as server,
        _traffic(server) as made,
    ):
        return _watch(server, seconds), len(made)


def _watch(server: Server, seconds: float) -> Mapping[str, Seen]:
    seen: defaultdict[str, Seen] = defaultdict(Seen)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for pid, name in _processes(server):
            memory, files = _held(pid)
            seen[name].memory.append(memory)
            seen[name].files.append(files)
        time.sleep(PERIOD)
    return seen


def _processes(server: Server) -> list[tuple[int, str]]:
    """The parent, its API processes and its worker, in the order in which they were started. What the worker starts for
    a moment, to look into a file, is not among them.
    """
    process = server.program.process
    assert process
    assert process.poll() is None
    children = sorted(_children(process.pid))
    named = zip(children, ["resources", "api 1", "api 2", "worker"], strict=False)
    return [(process.pid, "parent"), *((pid, name) for pid, name in named if name != "resources")]


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _held(pid: int) -> tuple[int, int]:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096, len(list(Path(f"/proc/{pid}/fd").iterdir()))


@contextmanager
def _traffic(server: Server) -> Iterator[list[str]]:
    """Clients that make, look, fetch, search, delete and make mistakes, until the block ends; what was made."""
    stop, made, failures = threading.Event(), list[str](), list[BaseException]()
    key = server.key("default")
    clients = [threading.Thread(target=_client, args=(server, key, n, stop, made, failures)) for n in range(3)]
    for client in clients:
        client.start()
    try:
        yield made
    finally:
        stop.set()
        for client in clients:
            client.join()
    if failures:
        raise failures[0]


def _client(
    server: Server, key: str, number: int, stop: threading.Event, made: list[str], failures: list[BaseException]
) -> None:
    dice = random.Random(number)
    try:
        with server.client(key) as api:
            while not stop.wait(dice.uniform(0, 0.1)):
                _round(api, dice, made)
    except BaseException as error:  # noqa: BLE001  (a thread's failure is the soak's)
        failures.append(error)


def _round(api: httpx2.Client, dice: random.Random, made: list[str]) -> None:
    item = completed(api, submit(api, f"a red fox, take {len(made)}", duration="5s"))
    made.append(item["id"])
    film = api.get(item["url"], headers={"Range": "bytes=0-999"} if dice.random() < 0.5 else {})
    assert film.status_code in (200, 206)
    for path in (VIDEOS, f"{VIDEOS}?q=fox", f"{VIDEOS}?limit=5", "/aistudio/changes", "/quota", "/jobs"):
        assert api.get(path).status_code == 200
    assert api.get(VIDEOS, headers={"If-None-Match": api.get(VIDEOS).headers["etag"]}).status_code in (200, 304)
    assert api.post(VIDEOS, json={"prompt": 1}).status_code == 400
    assert api.get("/nothing").status_code == 404
    with suppress(httpx2.TimeoutException):  # somebody who hangs up
        api.get(item["url"], timeout=0.001)
    if len(made) > _KEPT:
        api.delete(f"{VIDEOS}/{made[dice.randrange(len(made) - _KEPT)]}")


def main() -> None:
    """Soak, and say what was held."""
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.soak")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--database-url")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        seen, made = soak(Path(name), told.minutes * 60, told.database_url)
    print(f"{made:,} videos in {told.minutes:g} minutes", file=sys.stderr)
    for process, held in seen.items():
        memory, files = held.growth()
        most, last = max(held.memory) / _MIB, held.memory[-1] / _MIB
        print(
            f"{process:8} {last:6.1f} MiB (most {most:.1f}, {memory:+.1f} in the last third), "
            f"{held.files[-1]} files ({files:+g})"
        )


if __name__ == "__main__":
    main()
