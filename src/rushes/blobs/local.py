"""Files in a local folder: written beside, synced, renamed."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import stat
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from anyio.to_thread import run_sync

from rushes.blobs.place import CHUNK_BYTES, Blob, Place
from rushes.errors import StartError, StorageFull, StorageUnavailable

_WORK = ".work"
_LISTED = 1000
_STALE_SECONDS = 24 * 3600
# About a video of the longest length, so that "ready" means that the next result finds room.
_ROOM_BYTES = 16 * 2**20
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Workspaces:
    """Room on the local disk for files on their way, below the folder ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._work = root / _WORK

    async def open(self) -> None:
        """Make the room, and tidy it. Raises StartError: it cannot be written to."""
        await run_sync(self._open)

    def _open(self) -> None:
        try:
            self._root.parent.mkdir(0o700, parents=True, exist_ok=True)  # its database holds secrets
            self._work.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._work):
                pass
        except OSError as error:
            raise StartError(
                f"The folder {self._root} cannot be written ({error.strerror}); give it to this user or name another."
            ) from error
        self._tidy()

    async def tidy(self) -> None:
        """Delete the workspaces that nobody has touched for a day."""
        await run_sync(self._tidy)

    def _tidy(self) -> None:
        for left in self._work.iterdir():
            with suppress(FileNotFoundError):  # another process may be done with it at this moment
                if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                    shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()

    async def check(self) -> None:
        """Reserve room for a result, and give it back."""
        await run_sync(self._check)

    def _check(self) -> None:
        with translated(), tempfile.TemporaryFile(dir=self._work) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, _ROOM_BYTES)
            elif shutil.disk_usage(self._root).free < _ROOM_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A folder of its own on this disk."""
        with translated():
            path = Path(tempfile.mkdtemp(dir=self._work))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


class Folder(Place):
    """One folder that holds every file under its name."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def prove(self) -> None:
        """Nothing more: the workspaces have made it."""

    async def put(self, name: str, source: Path) -> None:
        """Sync the file, give it its name, sync the folder that now names it."""
        await run_sync(self._put, name, source)

    def _put(self, name: str, source: Path) -> None:
        target = self._root / name
        with translated():
            sync(source)
            self._make_folder(target.parent)
            source.rename(target)
            sync(target.parent)

    def _make_folder(self, folder: Path) -> None:
        # A new folder is only there after a crash when its own parent has been synced.
        if not folder.is_dir():
            self._make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
            sync(folder.parent)

    async def copy(self, name: str, to: Path) -> None:
        """Copy a file out."""
        with translated(FileNotFoundError):
            await run_sync(shutil.copyfile, self._root / name, to)

    async def stat(self, name: str) -> Blob | None:
        """The file's facts, or ``None``."""
        return await run_sync(self._stat, name)

    def _stat(self, name: str) -> Blob | None:
        try:
            found = (self._root / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return Blob(found.st_size, found.st_mtime, f"{found.st_mtime_ns:x}-{found.st_size:x}")

    async def read(self, name: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """Of the file as it is now: it is read to its end even when it is deleted meanwhile."""
        file = await self._opened(name)
        try:
            while length > 0:
                chunk = await run_sync(_pread, file, min(CHUNK_BYTES, length), start)
                if not chunk:
                    raise StorageUnavailable(f"{name} is shorter than it was when its reading began.")
                yield chunk
                start, length = start + len(chunk), length - len(chunk)
        finally:
            file.close()  # here, not in a thread: one who is cancelled at this moment would never get there

    async def _opened(self, name: str) -> BinaryIO:
        opening = asyncio.ensure_future(run_sync(self._reader, name))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:  # nobody is going to read it, and the thread opens it all the same
            opening.add_done_callback(_close)
            raise

    def _reader(self, name: str) -> BinaryIO:
        with translated(FileNotFoundError):
            return (self._root / name).open("rb", buffering=0)

    async def delete(self, name: str) -> None:
        """Remove the file if it is there."""
        with translated():
            await run_sync(lambda: (self._root / name).unlink(missing_ok=True))

    async def listed(self, prefix: str) -> AsyncGenerator[tuple[str, int], None]:
        """One folder after the other."""
        found = self._listed(prefix)
        while some := await run_sync(lambda: list(islice(found, _LISTED))):
            for each in some:
                yield each

    def _listed(self, folder: str) -> Iterator[tuple[str, int]]:
        try:
            with os.scandir(self._root / folder) as entries:
                # A folder's files come where the whole name with its stroke stands among its neighbours.
                inside = sorted((f"{entry.name}/" if entry.is_dir() else entry.name, entry.path) for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            return
        for name, path in inside:
            whole = f"{folder}/{name}" if folder else name
            if name.endswith("/"):
                yield from () if name == f"{_WORK}/" else self._listed(whole[:-1])
            else:
                with suppress(FileNotFoundError):  # deleted at this moment
                    yield whole, Path(path).stat().st_size

    async def check(self) -> None:
        """Nothing more: the workspaces are on the same disk."""


def _close(opening: asyncio.Future[BinaryIO]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _pread(file: BinaryIO, size: int, start: int) -> bytes:
    with translated():
        return os.pread(file.fileno(), size, start)


def sync(path: Path) -> None:
    """Let a file, or the names in a folder, be on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def translated(*passed: type[OSError]) -> Iterator[None]:
    """What a disk says, in our words; some of it passed on as it is."""
    try:
        yield
    except passed:
        raise
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull("The disk that holds the videos is full; make room, and waiting jobs go on.") from error
        raise StorageUnavailable(f"The folder that holds the videos cannot be used ({error.strerror}).") from error
