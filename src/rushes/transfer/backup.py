"""The database is copied while it is in use: written beside, checked, synced, renamed, and only then a backup."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from rushes import store
from rushes.blobs.local import sync
from rushes.errors import StorageFull, StoreUnavailable

_STALE_SECONDS = 24 * 3600
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def backup(data: Path, folder: Path, keep: int | None, on_pages: Callable[[int, int], object]) -> tuple[Path, int]:
    """Copy the SQLite database of the folder ``data`` into a new file in ``folder``, and delete all backups there but
    the newest ``keep``; the file, and how many were deleted.

    Raises:
        StoreUnavailable, StorageFull: it cannot be written; nothing of that name is there.
        DamagedCopy: the database is damaged; likewise.
    """
    name = f"rushes-{datetime.fromtimestamp(time.time(), UTC):%Y%m%dT%H%M%S%fZ}.db"
    part, final = folder / f".{name}.part", folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _tidy(folder)
        part.touch(0o600)
        store.copy(data, part, on_pages)
        sync(part)
        part.rename(final)
        sync(folder)
        return final, _forget(folder, keep)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull("The disk of the backup is full; make room, or name another folder.") from error
        sentence = f"{folder} cannot be written ({error.strerror}); give it to this user, or name another folder."
        raise StoreUnavailable(sentence) from error
    finally:
        for left in folder.glob(f"{part.name}*"):
            with suppress(OSError):
                left.unlink()


def _tidy(folder: Path) -> None:
    """Delete what backups that were killed have left, once they are surely dead."""
    for left in folder.glob(".rushes-*.db.part*"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                left.unlink()


def _forget(folder: Path, keep: int | None) -> int:
    backups = sorted(folder.glob("rushes-????????T????????????Z.db"))
    old = backups[:-keep] if keep else []
    for each in old:
        each.unlink(missing_ok=True)
    return len(old)
