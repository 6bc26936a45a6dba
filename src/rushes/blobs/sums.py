"""What is noted of files before they are put, so that it can be proven later that they are still the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path


def sums(files: Mapping[str, Path]) -> dict[str, dict[str, int] | dict[str, str]]:
    """The ``bytes`` and the ``sha256`` of local files, each by their names in ``files``. It reads them all: not on the
    event loop.
    """
    sizes = {name: path.stat().st_size for name, path in files.items()}
    return {"bytes": sizes, "sha256": {name: digest(path) for name, path in files.items()}}


def digest(path: Path) -> str:
    """The SHA-256 of a local file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
