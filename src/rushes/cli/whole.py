"""Whether a file is there to its end, by its own form: what was copied in part, or broke off, is not."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

_PNG_END = b"IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"


def is_whole(path: Path) -> bool:
    """Whether there is a whole MP4, PNG or JPEG at ``path``, as its name says."""
    try:
        with path.open("rb") as file:
            return _CHECKS[path.suffix](file)
    except OSError:  # none, a folder, or one that cannot be read
        return False


def _ends(signature: bytes) -> Callable[[IO[bytes]], bool]:
    def check(file: IO[bytes]) -> bool:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - len(signature), 0))
        return file.read() == signature

    return check


def _is_whole_mp4(file: IO[bytes]) -> bool:
    """Its boxes, one behind the other, end where the file does, and the index is among them."""
    size, at, kinds = file.seek(0, os.SEEK_END), 0, set()
    while at < size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:16])
        elif length == 0:
            length = size - at
        if length < 8:
            return False
        kinds.add(head[4:8])
        at += length
    return at == size and b"moov" in kinds


_CHECKS: Mapping[str, Callable[[IO[bytes]], bool]] = {
    ".mp4": _is_whole_mp4,
    ".png": _ends(_PNG_END),
    ".jpg": _ends(_JPEG_END),
}
