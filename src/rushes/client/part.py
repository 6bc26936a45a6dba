"""A download on its way: a file beside its final name, checked, and renamed when it is whole."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from rushes.errors import NotSaved, NotWhole

_SIGNATURES: Mapping[str, tuple[int, bytes]] = {
    ".mp4": (4, b"ftyp"),
    ".png": (0, b"\x89PNG\r\n\x1a\n"),
    ".jpg": (0, b"\xff\xd8\xff"),
}
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class Part:
    """Takes what comes of a file until it is whole; goes away with the block when it never is."""

    def __init__(self, to: Path, suffix: str) -> None:
        # What a link leads to is meant, not the link. A device or a pipe cannot be replaced by a file, and must not be.
        self.to = to.resolve() if to.is_symlink() else to
        if self.to.exists() and not self.to.is_file():
            raise NotSaved(f"{to} is there and is no file; name another place.")
        self._suffix = suffix.lower()
        self.size = 0
        """Bytes that have come."""
        self.total: int | None = None
        """Bytes of the whole file, once its server has told."""
        self.etag: str | None = None
        self.began = False
        """Whether its server has answered with any of it."""
        self._path = self.to.with_name(f".{self.to.name}.{secrets.token_hex(4)}.part")
        try:
            self._file = self._path.open("wb")
        except OSError as error:
            raise NotSaved(f"{to} cannot be written: {error.strerror}.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # on a full disk, what is left in the buffer cannot be written now either
            self._file.close()
        self._path.unlink(missing_ok=True)

    @property
    def headers(self) -> dict[str, str]:
        """What asks for the rest; for all, where nothing has come, or its server could not tell that it is the same."""
        # Packed on its way it would have another length, and another place for each byte.
        plain = {"Accept-Encoding": "identity"}
        if not self.size or self.etag is None:
            return plain
        return {**plain, "Range": f"bytes={self.size}-", "If-Range": self.etag}

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """An answer begins: with the rest (206), or with the whole file again.

        Raises:
            NotWhole: it is another part than was asked for, or its end could not be told from a broken connection.
        """
        self.began = True
        if status == 206:
            self._continue(headers)
        else:
            self._start(headers)

    def _continue(self, headers: Mapping[str, str]) -> None:
        told = _RANGE.fullmatch(headers.get("content-range", ""))
        first, last, total = (int(each) for each in told.groups()) if told else (-1, -1, -1)
        # Without this size nothing was asked for but the whole.
        asked = self.size > 0 and self.etag is not None and first == self.size and last + 1 == total
        same = headers.get("etag", self.etag) == self.etag and self.total in (None, total)
        if not asked or not same or "content-encoding" in headers:
            raise NotWhole(f"The server sent another part of {self.to.name} than it was asked for; download it again.")
        self.total = total

    def _start(self, headers: Mapping[str, str]) -> None:
        self._file.seek(0)
        self._file.truncate()
        self.size = 0
        etag, length, packed = headers.get("etag", ""), headers.get("content-length", ""), "content-encoding" in headers
        self.etag = etag if etag.startswith('"') and not packed else None
        self.total = int(length) if length.isdecimal() and not packed else None
        if not length and "chunked" not in headers.get("transfer-encoding", "").lower():
            raise NotWhole(f"The server does not tell where {self.to.name} ends, so that nobody can say it is whole.")

    def start_over(self) -> None:
        """Ask for all of it again."""
        self.etag = None

    def write(self, chunk: bytes) -> None:
        """More of it."""
        with self._saving():
            self._file.write(chunk)
        self.size += len(chunk)

    def finish(self) -> Path:
        """Give it its name, on the disk.

        Raises:
            NotWhole: it is shorter or longer than it should be, or something else altogether; NotSaved: no room for it.
        """
        if not self.size or (self.total is not None and self.size != self.total):
            of = "" if self.total is None else f"of {self.total} "
            raise NotWhole(f"{self.size} {of}bytes of {self.to.name} came; download it again.")
        with self._saving():
            self._file.flush()
            self._check()
            os.fsync(self._file.fileno())
            self._path.replace(self.to)
        return self.to

    @contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise NotSaved(f"{self.to} cannot be written: {error.strerror}.") from error

    def _check(self) -> None:
        start, signature = _SIGNATURES.get(self._suffix, (0, b""))
        with self._path.open("rb") as file:
            begins = file.read(start + len(signature))
        if begins[start:] != signature:
            raise NotWhole(f"What came as {self.to.name} is no {self._suffix[1:].upper()} file.")
