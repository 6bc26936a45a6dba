"""Bytes: files under names, put once, whole or not at all.

A name is a relative path of plain words (``videos/user/<account>/<file>.mp4``). What is put is complete and on the
disk before ``put`` returns; what is half-written has no name.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from rushes.blobs.local import Folder
from rushes.errors import StorageUnavailable

CHUNK_BYTES = 512 * 1024

# A folder takes no longer part of a name.
_LONGEST_NAME = 255
_NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9_-]*/)*[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[a-z0-9]+)?")


@dataclass(frozen=True, slots=True)
class Blob:
    """What is known of a stored file without reading it."""

    size: int
    """Bytes."""
    modified: float
    """Seconds since the epoch."""
    etag: str
    """Changes whenever the bytes do; without quotes."""


class Blobs:
    """The store of files that everyone holds. Every method runs off the event loop.

    Raises:
        StorageFull: there is no room; StorageUnavailable: the folder cannot be used now.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Folder(folder)

    async def open(self) -> None:
        """Make the folder, and delete what earlier processes left half-written.

        Raises:
            StartError: it cannot be written.
        """
        await anyio.to_thread.run_sync(self._folder.open)

    async def tidy(self) -> None:
        """Delete what earlier processes left half-written a day ago or longer."""
        await anyio.to_thread.run_sync(self._folder.tidy)

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """An empty folder for files on their way, on the same disk; it goes with the block."""
        with self._folder.workspace() as path:
            yield path

    async def put(self, name: str, source: Path) -> None:
        """Keep a finished file of a workspace under ``name``; the source is moved, not copied."""
        await anyio.to_thread.run_sync(self._folder.put, _checked(name), source)

    async def copy(self, name: str, to: Path) -> None:
        """Write the bytes of ``name`` to a local file. Raises FileNotFoundError when there is none."""
        await anyio.to_thread.run_sync(self._folder.copy, _checked(name), to)

    async def stat(self, name: str) -> Blob | None:
        """What is known of ``name``; ``None`` for a name that is not there or cannot be one."""
        if not _is_name(name):
            return None
        found = await anyio.to_thread.run_sync(self._folder.stat, name)
        return (
            None if found is None else Blob(found.st_size, found.st_mtime, f"{found.st_mtime_ns:x}-{found.st_size:x}")
        )

    async def read(self, name: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """``length`` bytes from ``start``, in chunks. Raises FileNotFoundError when the file has gone."""
        file = await anyio.to_thread.run_sync(self._folder.reader, _checked(name))
        try:
            while length > 0:
                chunk = await anyio.to_thread.run_sync(self._folder.pread, file, min(CHUNK_BYTES, length), start)
                if not chunk:
                    raise StorageUnavailable(f"{name} is shorter than it was when its reading began.")
                yield chunk
                start, length = start + len(chunk), length - len(chunk)
        finally:
            await anyio.to_thread.run_sync(file.close)

    async def delete(self, name: str) -> None:
        """Remove ``name``; nothing happens when it is not there."""
        await anyio.to_thread.run_sync(self._folder.delete, _checked(name))

    async def names(self, prefix: str) -> list[str]:
        """Every name under the folder ``prefix``: for checks and repairs, never on a hot path."""
        if prefix:
            _checked(prefix)
        return await anyio.to_thread.run_sync(self._folder.names, prefix)

    async def check(self) -> None:
        """Prove that a video's worth of bytes can be written now."""
        await anyio.to_thread.run_sync(self._folder.check)


def _is_name(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) is not None


def _checked(name: str) -> str:
    if not _is_name(name):
        raise ValueError(f"{name!r} cannot be the name of a file")
    return name
