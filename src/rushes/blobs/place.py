"""What a place for files can do: a folder or a bucket, the same few verbs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path

CHUNK_BYTES = 512 * 1024
MEDIA_TYPES: Mapping[str, str] = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "json": "application/json",
}
"""By what a name ends with, which our own code chose by the file's content."""
CACHE_CONTROL = "public, max-age=31536000, immutable"
"""What is under a name never changes."""


@dataclass(frozen=True, slots=True)
class Blob:
    """What is known of a stored file without reading it."""

    size: int
    """Bytes."""
    modified: float
    """Seconds since the epoch."""
    etag: str
    """Changes whenever the bytes do; without quotes."""


class Place(ABC):
    """Where files are. Names have been checked; every method runs off the event loop.

    Raises:
        StorageFull: there is no room; StorageUnavailable: it cannot be used now.
    """

    @abstractmethod
    async def prove(self) -> None:
        """Make sure that it can be written to. Raises :class:`~rushes.errors.StartError`: not as it is set."""

    @abstractmethod
    async def put(self, name: str, source: Path) -> None:
        """Keep a finished file: complete and safe when this returns. The source may be gone then."""

    @abstractmethod
    async def copy(self, name: str, to: Path) -> None:
        """Write the bytes to a local file. Raises FileNotFoundError when there are none."""

    @abstractmethod
    async def stat(self, name: str) -> Blob | None:
        """What is known of it; ``None`` when it is not there."""

    @abstractmethod
    def read(self, name: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """``length`` bytes from ``start``, in chunks. Raises FileNotFoundError when the file has gone."""

    @abstractmethod
    async def delete(self, name: str) -> None:
        """Remove it; nothing happens when it is not there."""

    @abstractmethod
    def listed(self, prefix: str) -> AsyncGenerator[tuple[str, int], None]:
        """Every name under ``prefix`` with its bytes, in the order of the names."""

    @abstractmethod
    async def check(self) -> None:
        """Prove that it can be written to now."""

    async def link(self, name: str, method: str, seconds: float) -> str | None:
        """An address at which anybody may ``GET`` or ``HEAD`` it for so long; ``None`` where there can be none."""
        return None
