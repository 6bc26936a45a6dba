"""What the contract's tests run as processes of their own, to start many at once and to kill them.

``python -m tests.contract.programs VERB …`` says ``ready`` on stdout and waits for a line on stdin before it begins.
"""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import IO, Any

from rushes import config, store
from rushes.blobs import Blobs
from rushes.errors import StorageFull
from rushes.store import accounts
from rushes.store.migrations import migrate

HALF = 1024 * 1024


def put_name(number: int) -> str:
    """What ``put`` calls its files."""
    return f"some/of/{number % 7}/{number:07d}.bin"


def start(verb: str, *arguments: str) -> subprocess.Popen[str]:
    """Start one, up to its ``ready``."""
    command = [sys.executable, "-m", "tests.contract.programs", verb, *arguments]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert said(process) == "ready"
    return process


def pipe(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdin is not None
    return process.stdin


def go(process: subprocess.Popen[str]) -> None:
    """Let it begin."""
    pipe(process).write("go\n")
    pipe(process).flush()


def said(process: subprocess.Popen[str]) -> str:
    """The next line it prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    """Kill it (-9) if it still runs, and clean up."""
    process.kill()
    with process:
        process.wait()


async def _open_and_migrate(data: str, url: str) -> None:
    opened = await store.connect(Path(data), url or None)
    applied = await migrate(opened)
    secret = await store.secret(opened, "page tokens")
    await opened.close()
    _say(json.dumps({"applied": applied, "secret": secret.hex()}))


async def _half_a_change(data: str, url: str) -> None:
    """Change rows, say so, and wait for death before the end of the change."""
    opened = await store.open(Path(data), url or None)
    async with opened.write() as tx:
        account = await accounts.named(tx, "half")
        await accounts.changed(tx, account.id)
        _say("changed")
        time.sleep(600)


async def _put_for_ever(folder: str) -> None:
    blobs = Blobs(Path(folder))
    await blobs.open()
    with blobs.workspace() as work:
        for number in range(1_000_000):
            source = work / "file"
            with source.open("wb") as file:
                file.write(b"a" * HALF)
                file.write(b"z" * HALF)
            await blobs.put(put_name(number), source)


async def _fill(folder: str) -> None:
    """Reach a limit on file sizes, which is one way for a disk to be full."""
    blobs = Blobs(Path(folder))
    await blobs.open()
    resource.setrlimit(resource.RLIMIT_FSIZE, (HALF, HALF))
    try:
        await blobs.check()
    except StorageFull as error:
        _say(error.sentence)


async def _carry(folder: str, url: str, mib: str) -> None:
    """A long file into a bucket and back, and how much memory that took."""
    blobs, size = Blobs(Path(folder) / "media", url, config.secret), int(mib) * HALF
    await blobs.open()
    with blobs.workspace() as work:
        source, back = work / "file", work / "back"
        with source.open("wb") as file:
            for number in range(int(mib)):
                file.write(number.to_bytes(4, "big") * (HALF // 4))
        await blobs.put("small", Path(shutil.copyfile(__file__, work / "small")))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await blobs.put("carried/file.bin", source)
        await blobs.copy("carried/file.bin", back)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        whole = back.stat().st_size == size and back.read_bytes()[-4:] == (int(mib) - 1).to_bytes(4, "big")
        _say(json.dumps({"grown_mib": grown, "whole": whole}))


async def _fetch(folder: str, url: str) -> None:
    """Fetch a file for which this disk has no room."""
    blobs = Blobs(Path(folder) / "media", url, config.secret)
    await blobs.open()
    with blobs.workspace() as work:
        (work / "file").write_bytes(b"a" * 2 * HALF)
        await blobs.put("a", work / "file")
        resource.setrlimit(resource.RLIMIT_FSIZE, (HALF, HALF))
        try:
            await blobs.copy("a", work / "back")
        except StorageFull as error:
            _say(error.sentence)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


VERBS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "open": _open_and_migrate,
    "half": _half_a_change,
    "put": _put_for_ever,
    "fill": _fill,
    "carry": _carry,
    "fetch": _fetch,
}


if __name__ == "__main__":
    verb, *arguments = sys.argv[1:]
    _say("ready")
    sys.stdin.readline()
    asyncio.run(VERBS[verb](*arguments))
