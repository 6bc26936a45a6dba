"""Where workers and a model's process meet: a folder an order.

    <folder>/<model>/process              locked by the model's process as long as it lives
    <folder>/<model>/<job>/order          the ticket
                          /asked          touched whenever a worker asks for it; who is not asked for is not made
                          /starts         a byte for every time that making it was begun
                          /progress       0 to 1
                          /cancelled      it is there: stop
                          /outcome        how it ended, as JSON; beside it, where it went well,
                          /result         the MP4 or PNG
    <folder>/turn-<device>                locked by whoever uses the device

Any worker of this machine can ask, cancel and fetch, whichever started the process. Nothing here has to last: what is
lost is made again from the ticket.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rushes import errors
from rushes.errors import ModelUnavailable, RushesError
from rushes.providers.diffusers.ticket import Ticket, from_text

_FORGOTTEN = 900.0
"""Seconds after which an order that nobody asks for any more is not begun."""
_KEPT = 6 * 3600.0
"""Seconds after which it is deleted, result and all."""


def root(told: Path | None) -> Path:
    """The folder of everything, made if need be: the one told, or one of this user's own below the temporary one.

    Raises:
        ModelUnavailable: it cannot be made, or is somebody else's.
    """
    folder = told or Path(tempfile.gettempdir()) / f"rushes-diffusers-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=told is not None, exist_ok=True)
        is_ours = folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
    except OSError as error:
        raise ModelUnavailable(f"The folder for diffusers cannot be made: {error.strerror}. Set another.") from error
    if told is None and not is_ours:
        raise ModelUnavailable("The temporary folder for diffusers is another user's; set a folder.")
    return folder


class Entry:
    """One order's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.result = folder / "result"

    @property
    def ticket(self) -> Ticket:
        """The order."""
        return from_text((self._folder / "order").read_text())

    def ask(self, text: str) -> None:
        """Put the order in, if it is not there, and say that somebody wants it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._folder / "asked").touch()
        if not (self._folder / "order").exists():
            _write(self._folder / "order", text)

    @property
    def age(self) -> float:
        """Seconds since somebody asked for it."""
        return time.time() - (_changed(self._folder / "asked") or _changed(self._folder) or 0)

    @property
    def entered(self) -> float | None:
        """When it came in, in seconds since 1970; ``None`` while it is still on its way."""
        return _changed(self._folder / "order")

    @property
    def is_open(self) -> bool:
        """Whether it is still to be made, and wanted."""
        return self.entered is not None and not self.has_ended and not self.is_cancelled and self.age < _FORGOTTEN

    # --- what its maker notes ---

    @property
    def starts(self) -> int:
        """How often making it was begun and not brought to an end."""
        with suppress(FileNotFoundError):
            return (self._folder / "starts").stat().st_size
        return 0

    def start(self) -> None:
        """Note that making it begins, from the beginning."""
        (self._folder / "progress").unlink(missing_ok=True)
        with (self._folder / "starts").open("ab") as starts:
            starts.write(b".")

    def forgive(self) -> None:
        """The last start came to no end through nobody's fault."""
        with suppress(OSError):
            os.truncate(self._folder / "starts", max(0, self.starts - 1))

    @property
    def progress(self) -> float | None:
        """From 0 to 1, once it has begun."""
        with suppress(OSError, ValueError):
            return float((self._folder / "progress").read_text())
        return None

    def reach(self, share: float) -> None:
        """Note how far it has come, from 0 to 1."""
        _write(self._folder / "progress", f"{share:.4f}")

    # --- how it ends ---

    @property
    def is_cancelled(self) -> bool:
        """Whether it is to stop."""
        return (self._folder / "cancelled").exists()

    def cancel(self) -> None:
        """Have it stop, or never begin."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._folder / "cancelled").touch()

    @property
    def has_ended(self) -> bool:
        """Whether there is an outcome."""
        return (self._folder / "outcome").exists()

    def end(self, error: RushesError | None = None) -> None:
        """Note how it ended: well, with its result there, or with an error."""
        told = {} if error is None else {"error": type(error).__name__, "sentence": error.sentence}
        _write(self._folder / "outcome", json.dumps(told))

    @property
    def error(self) -> RushesError | None:
        """What it ended with, where it did not go well."""
        told = json.loads((self._folder / "outcome").read_text())
        kind = getattr(errors, told["error"]) if told else None
        return kind(told["sentence"]) if kind else None

    def remove(self) -> None:
        """Forget it."""
        shutil.rmtree(self._folder, ignore_errors=True)


class Spool:
    """The orders for one model, and the lock of the process that makes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def entry(self, job_id: str) -> Entry:
        """The order of that job, there or not."""
        return Entry(self._folder / job_id)

    @property
    def open(self) -> list[Entry]:
        """Those still to be made, in the order they came."""
        entries = [(entry.entered or 0, entry) for entry in self._entries() if entry.is_open]
        return [entry for _, entry in sorted(entries, key=lambda each: each[0])]

    def sweep(self) -> None:
        """Delete what nobody has asked for in a long time, of whichever model."""
        for model in self._folder.parent.iterdir():
            for entry in Spool(model)._entries():
                if entry.age > _KEPT:
                    entry.remove()

    def _entries(self) -> list[Entry]:
        return [Entry(each) for each in self._folder.iterdir() if each.is_dir()] if self._folder.is_dir() else []

    @contextmanager
    def served(self) -> Iterator[bool]:
        """Be the one process that makes them; ``False`` where there is one."""
        with locked(self._folder / "process", wait=False) as ours:
            yield ours

    @property
    def is_served(self) -> bool:
        """Whether there is a process that makes them."""
        with self.served() as ours:
            return not ours


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold a lock that ends with this process, however it ends; ``False`` if another holds it and we do not wait."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _changed(path: Path) -> float | None:
    with suppress(OSError):
        return path.stat().st_mtime
    return None


def _write(path: Path, text: str) -> None:
    """Whole or not at all, for whoever reads it meanwhile."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-", delete=False) as part:
        part.write(text)
    Path(part.name).replace(path)
