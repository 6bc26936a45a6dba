"""A command on a terminal of so many columns: what somebody sees who looks at it, and keys pressed on the way."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

RUSHES = (sys.executable, "-m", "rushes")

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """Runs one command on a pseudo terminal."""

    def __init__(
        self, *arguments: str, cwd: Path, columns: int = 80, program: Sequence[str] = RUSHES, **settings: str
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RUSHES_", "COLUMNS"))}
        self.process = subprocess.Popen(
            [*program, *arguments],
            env={**kept, "TERM": "xterm", **settings},
            cwd=cwd,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that ^C is a signal
        )
        os.close(theirs)
        self.raw = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    @property
    def seen(self) -> str:
        """All text so far, also what has been wiped away."""
        return _ESCAPES.sub("", self.raw)

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Until ``text`` is to be seen."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert self._read(end), f"{text!r} did not come:\n{self.seen}"

    def end(self, seconds: float = 60) -> int:
        """Until the command has ended; its exit status."""
        end = time.monotonic() + seconds
        while self._read(end):
            pass
        return self.process.wait(max(end - time.monotonic(), 1))

    def _read(self, end: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(end - time.monotonic(), 0))
        try:
            read = os.read(self._ours, 65536) if ready else b""
        except OSError:  # the last of the other side is gone
            read = b""
        self.raw += read.decode(errors="replace").replace("\r\n", "\n")
        return bool(read)


def shown(*arguments: str, cwd: Path, columns: int = 80, **settings: str) -> list[str]:
    """The lines that a command leaves on a terminal, without their colours."""
    with Terminal(*arguments, cwd=cwd, columns=columns, **settings) as terminal:
        assert terminal.end() == 0, terminal.seen
        return _COLOURS.sub("", terminal.raw).splitlines()
