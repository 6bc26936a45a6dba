"""What the isolation tests run in a child: each does one thing that would hurt in our own process."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path

from rushes.errors import RushesError, Unreadable

GIB = 1 << 30


def add(one: int, two: int) -> int:
    return one + two


def hang(mark: Path) -> None:
    """Tell our pid, then never return."""
    part = mark.with_suffix(".part")
    part.write_text(str(os.getpid()))
    part.rename(mark)
    time.sleep(600)


def burn() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (1, 5))
    while True:
        pass


def swell() -> int:
    return len(bytes(GIB))  # asked for, never touched: the machine that tests may be small


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def segfault() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(status: int) -> None:
    os._exit(status)


def complain(error: RushesError) -> None:
    raise error


def blunder() -> None:
    raise ZeroDivisionError("a header said so")


def fill_disk() -> None:
    raise OSError(28, "No space left on device")


def unpicklable() -> object:
    return lambda: None


def large() -> bytes:
    return bytes(3_000_000)


def limits() -> dict[str, int]:
    return {
        "nice": os.nice(0),
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "cpu": resource.getrlimit(resource.RLIMIT_CPU)[0],
        "memory": resource.getrlimit(resource.RLIMIT_AS)[0],
        "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "parent": os.getppid(),
    }


def refuse() -> None:
    raise Unreadable("The file is a poem.")
