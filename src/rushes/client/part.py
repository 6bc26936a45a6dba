"""A download on its way: a file beside its final name, checked, and renamed when it is whole."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from rushes.errors import NotWhole

_SIGNATURES: Mapping[str, tuple[int, bytes]] = {
    ".mp4": (4, b"ftyp"),
    ".png": (0, b"\x89PNG\r\n\x1a\n"),
    ".jpg": (0, b"\xff\xd8\xff"),
}


class Part:
    """Takes what comes of a file until it is whole; goes away with the block when it never is."""

    def __init__(self, to: Path) -> None:
        self.to = to
        self.size = 0
        """Bytes that have come."""
        self.total: int | None = None
        """Bytes of the whole file, once its server has told."""
        self.etag: str | None = None
        self._path = to.with_name(f".{to.name}.{secrets.token_hex(4)}.part")
        self._file = self._path.open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    @property
    def headers(self) -> dict[str, str]:
        """What asks for the rest; nothing where all is to come, or its server cannot tell that it is the same file."""
        if not self.size or self.etag is None:
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": self.etag}

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """An answer begins: with the rest (206), or with the whole file again.

        Raises:
            NotWhole: it is another part than was asked for.
        """
        length = headers.get("content-length", "")
        if status == 206 and not headers.get("content-range", "").startswith(f"bytes {self.size}-"):
            raise NotWhole(f"The server sent another part of {self.to.name} than it was asked for; download it again.")
        if status != 206:
            self._file.seek(0)
            self._file.truncate()
            self.size = 0
            etag = headers.get("etag", "")
            self.etag = etag if etag.startswith('"') else None
            # What is packed on its way has another length there.
            self.total = int(length) if length.isdecimal() and "content-encoding" not in headers else None

    def write(self, chunk: bytes) -> None:
        """More of it."""
        self._file.write(chunk)
        self.size += len(chunk)

    def finish(self) -> Path:
        """Give it its name, on the disk.

        Raises:
            NotWhole: it is shorter or longer than it should be, or something else altogether.
        """
        if not self.size or (self.total is not None and self.size != self.total):
            raise NotWhole(f"{self.size} of {self.total or 'some'} bytes of {self.to.name} came; download it again.")
        self._file.flush()
        self._check()
        os.fsync(self._file.fileno())
        self._path.replace(self.to)
        return self.to

    def _check(self) -> None:
        start, signature = _SIGNATURES.get(self.to.suffix.lower(), (0, b""))
        with self._path.open("rb") as file:
            begins = file.read(start + len(signature))
        if begins[start:] != signature:
            raise NotWhole(f"What came as {self.to.name} is no {self.to.suffix[1:].upper()} file.")
