"""Bytes: files under names, put once, whole or not at all.

A name is a relative path of plain words (``videos/user/<account>/<file>.mp4``). What is put is complete and safe
before ``put`` returns; what is half-written has no name.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from rushes import metrics
from rushes.blobs.local import Folder, Workspaces
from rushes.blobs.place import CACHE_CONTROL, CHUNK_BYTES, MEDIA_TYPES, Blob, Place
from rushes.errors import StartError, Unavailable

__all__ = ["CACHE_CONTROL", "CHUNK_BYTES", "MEDIA_TYPES", "Blob", "Blobs"]

# A folder takes no longer part of a name.
_LONGEST_NAME = 255
_NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9_-]*/)*[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[a-z0-9]+)?")


class Blobs:
    """The store of files that everyone holds: ``folder`` itself, or the bucket at ``url`` with workspaces in the
    folder. Every method runs off the event loop.

    Raises:
        StorageFull: there is no room; StorageUnavailable: the folder or the bucket cannot be used now.
    """

    def __init__(
        self, folder: Path, url: str | None = None, secret: Callable[[str], str | None] = lambda name: None
    ) -> None:
        self._workspaces = Workspaces(folder)
        self._place: Place = Folder(folder) if url is None else _bucket(url, secret)

    async def open(self) -> None:
        """Make the folder, and delete what earlier processes left half-written.

        Raises:
            StartError: it cannot be written to.
        """
        await self._workspaces.open()

    async def prove(self) -> None:
        """Make sure that files can be put, for whoever is going to.

        Raises:
            StartError: they cannot, as it is set.
        """
        await self._place.prove()

    async def tidy(self) -> None:
        """Delete what earlier processes left half-written a day ago or longer."""
        await self._workspaces.tidy()

    def workspace(self) -> AbstractContextManager[Path]:
        """An empty folder for files on their way; it goes with the block."""
        return self._workspaces.workspace()

    async def put(self, name: str, source: Path) -> None:
        """Keep a finished file of a workspace under ``name``; the source is the store's from then on."""
        with _counted():
            await self._place.put(_checked(name), source)

    async def copy(self, name: str, to: Path) -> None:
        """Write the bytes of ``name`` to a local file. Raises FileNotFoundError when there is none."""
        with _counted():
            await self._place.copy(_checked(name), to)

    async def stat(self, name: str) -> Blob | None:
        """What is known of ``name``; ``None`` for a name that is not there or cannot be one."""
        with _counted():
            return await self._place.stat(name) if _is_name(name) else None

    def read(self, name: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """``length`` bytes from ``start``, in chunks. Raises FileNotFoundError when the file has gone."""
        return self._place.read(_checked(name), start, length)

    async def delete(self, name: str) -> None:
        """Remove ``name``; nothing happens when it is not there."""
        with _counted():
            await self._place.delete(_checked(name))

    def listed(self, prefix: str) -> AsyncGenerator[tuple[str, int], None]:
        """Every name under the folder ``prefix`` with its bytes, in the order of the names: for checks and moves, never
        on a hot path.
        """
        return self._place.listed(_checked(prefix) if prefix else "")

    async def names(self, prefix: str) -> list[str]:
        """The names alone, where they are few."""
        return [name async for name, _ in self.listed(prefix)]

    async def check(self) -> None:
        """Prove that a video's worth of bytes can be written now."""
        with _counted():
            await self._workspaces.check()
            await self._place.check()

    async def link(self, name: str, method: str, seconds: float) -> str | None:
        """An address of the store's own at which anybody may ``GET`` or ``HEAD`` it for so many ``seconds``; ``None``
        where the store has none.
        """
        return await self._place.link(_checked(name), method, seconds)


@contextmanager
def _counted() -> Iterator[None]:
    try:
        yield
    except Unavailable:
        metrics.unavailable("storage")
        raise


def _bucket(url: str, secret: Callable[[str], str | None]) -> Place:
    try:
        from rushes.blobs.objects import Bucket
    except ImportError as error:
        raise StartError(f"{url} needs the extra s3: pip install 'rushes[s3]'.") from error
    return Bucket(url, secret)


def _is_name(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) is not None


def _checked(name: str) -> str:
    if not _is_name(name):
        raise ValueError(f"{name!r} cannot be the name of a file")
    return name
