"""Files in a local folder: written beside, synced, renamed."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from rushes.errors import StartError, StorageFull, StorageUnavailable

_WORK = ".work"
_STALE_SECONDS = 24 * 3600
# About a video of the longest length, so that "ready" means that the next result finds room.
_ROOM_BYTES = 16 * 2**20
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Folder:
    """One folder that holds every file under its name."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._work = root / _WORK

    def open(self) -> None:
        """Make the folder, and tidy it."""
        try:
            self._work.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._work):
                pass
        except OSError as error:
            raise StartError(
                f"The folder {self._root} cannot be written ({error.strerror}); give it to this user or name another."
            ) from error
        self.tidy()

    def tidy(self) -> None:
        """Delete the workspaces that nobody has touched for a day."""
        for left in self._work.iterdir():
            with suppress(FileNotFoundError):  # another process may be done with it at this moment
                if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                    shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A folder of its own on this disk."""
        with _translated():
            path = Path(tempfile.mkdtemp(dir=self._work))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def put(self, name: str, source: Path) -> None:
        """Sync the file, give it its name, sync the folder that now names it."""
        target = self._root / name
        with _translated():
            _sync(source)
            self._make_folder(target.parent)
            source.rename(target)
            _sync(target.parent)

    def _make_folder(self, folder: Path) -> None:
        # A new folder is only there after a crash when its own parent has been synced.
        if not folder.is_dir():
            self._make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
            _sync(folder.parent)

    def copy(self, name: str, to: Path) -> None:
        """Copy a file out."""
        with _translated(FileNotFoundError):
            shutil.copyfile(self._root / name, to)

    def stat(self, name: str) -> os.stat_result | None:
        """The file's facts, or ``None``."""
        try:
            found = (self._root / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found if stat.S_ISREG(found.st_mode) else None

    def reader(self, name: str) -> BinaryIO:
        """The file, open: it can be read to its end even when it is deleted meanwhile."""
        with _translated(FileNotFoundError):
            return (self._root / name).open("rb", buffering=0)

    def pread(self, file: BinaryIO, size: int, start: int) -> bytes:
        """Up to ``size`` bytes from ``start``."""
        with _translated():
            return os.pread(file.fileno(), size, start)

    def delete(self, name: str) -> None:
        """Remove the file if it is there."""
        with _translated():
            (self._root / name).unlink(missing_ok=True)

    def names(self, prefix: str) -> list[str]:
        """Every file under ``prefix``."""
        found = (path for path in (self._root / prefix).rglob("*") if path.is_file() and self._work not in path.parents)
        return sorted(path.relative_to(self._root).as_posix() for path in found)

    def check(self) -> None:
        """Reserve room for a result, and give it back."""
        with _translated(), tempfile.TemporaryFile(dir=self._work) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, _ROOM_BYTES)
            elif shutil.disk_usage(self._root).free < _ROOM_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated(*passed: type[OSError]) -> Iterator[None]:
    try:
        yield
    except passed:
        raise
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull("The disk that holds the videos is full; make room, and waiting jobs go on.") from error
        raise StorageUnavailable(f"The folder that holds the videos cannot be used ({error.strerror}).") from error
