"""The library as a folder that needs nothing of ours: files by day, facts beside them, and a page that shows it all.

    DIR/2026-11-25/<id>.mp4  <id>_preview.jpg  <id>_thumbnail.jpg  <id>_last_frame.png  <id>.json
    DIR/2026-11-25/<id>.png  <id>.json
    DIR/index.jsonl  index.html  rushes-export.json

A file has its name once it is whole, and the JSON comes last: an export that died goes on where it was.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple
from urllib.parse import quote, unquote

import anyio
import anyio.to_thread

from rushes import wire
from rushes.blobs.local import sync
from rushes.errors import Conflict, NotFound, StartError, StorageFull
from rushes.model import FILES, Account, Files, Kind, milliseconds
from rushes.paging import PAGE_SIZE
from rushes.store import accounts, many
from rushes.store.library import LIBRARIES
from rushes.studio import Studio
from rushes.transfer import sidecar
from rushes.transfer.sidecar import ENDINGS
from rushes.transfer.wall import Wall

_MARK = "rushes-export.json"
_DAYS = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_LIBRARIES = (LIBRARIES[Kind.VIDEO], LIBRARIES[Kind.IMAGE])
# Some readers of lines end one at these too, and JSON lets them stand as they are.
_LINE_ENDS = {code: f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


class Outcome(StrEnum):
    """What became of an item."""

    NEW = "new"
    HERE = "here"
    """The folder had it already."""
    MISSING = "missing"
    """One of its files is not in storage; it stands in no index."""
    GONE = "gone"
    """The folder has it and the library has it no more; it stands in no index."""
    DELETED = "deleted"
    """It was gone and has been deleted from the folder too."""


class Exported(NamedTuple):
    """What became of one item; ``path`` is its main file's, a sentence where something is the matter."""

    item_id: str
    outcome: Outcome
    path: Path
    sentence: str


async def export(studio: Studio, account: str, folder: Path, *, delete: bool = False) -> AsyncGenerator[Exported, None]:
    """Bring a folder up to date with an account's library. Each item is told of as it is done with, newest first; then
    those that the folder has and the library no more: they stay unless ``delete`` says otherwise. The indexes are in
    their places when the last item of the library has been told of.

    Raises:
        NotFound: there is no such account.
        Conflict: the folder holds something else, or another export is writing to it.
        StartError: the folder cannot be written; StorageFull: it has no room.
        Unavailable: the database or the storage cannot be used.
    """
    owner = await accounts.find(studio.store, account)
    if owner is None:
        raise NotFound(f"There is no account {account}; `rushes accounts list` shows them.")
    with _translated(folder), _claimed(folder, owner):
        departures = Departures(studio, owner, folder)
        with _replacing(folder / "index.jsonl") as lines, _replacing(folder / "index.html") as page:
            wall = Wall(page, owner.name)
            async for leaving in departures.all():
                done = await departures.write(leaving)
                if done.outcome in (Outcome.NEW, Outcome.HERE):
                    lines.write(wire.dumps(leaving.item).translate(_LINE_ENDS) + "\n")
                    wall.add(leaving.item)
                if done.outcome is not Outcome.GONE:  # deleted while this went on
                    yield done
            wall.end()
        async for done in departures.gone(delete=delete):
            yield done


@dataclass(frozen=True, slots=True)
class Leaving:
    """One item on its way out."""

    kind: Kind
    files: Files
    item: Mapping[str, Any]
    """As the API tells it, but the links to its files lead from the folder's root."""
    stem: str
    """What the paths of its files in the folder begin with."""

    @property
    def names(self) -> Iterator[tuple[str, str, str]]:
        """Each file: the link that names it, its name in storage, its path in the folder."""
        for (link, ending), stored in zip(ENDINGS[self.kind].items(), self.files.all, strict=False):
            yield link, stored, self.stem + ending


def _leaving(kind: Kind, text: bytes, account_id: str) -> Leaving:
    item = json.loads(wire.resolve(text, ""))
    stem = f"{item['createdDate'][:10]}/{quote(item['id'], safe='')}"
    links = {link: quote(stem + ending) for link, ending in ENDINGS[kind].items()}
    files = FILES[kind](account_id, PurePosixPath(item["url"]).stem)
    return Leaving(kind, files, {**item, **links}, stem)


@dataclass(frozen=True, slots=True)
class Departures:
    """Writes one account's items into a folder."""

    studio: Studio
    account: Account
    folder: Path

    async def all(self) -> AsyncIterator[Leaving]:
        """Videos and images, newest first, a page of each in memory."""
        streams = {kind: self._items(kind) for kind in Kind}
        heads = {kind: head for kind in Kind if (head := await anext(streams[kind], None)) is not None}
        while heads:
            kind = max(heads, key=lambda kind: wire.sort_key(heads[kind]))
            yield _leaving(kind, heads.pop(kind), self.account.id)
            if (following := await anext(streams[kind], None)) is not None:
                heads[kind] = following

    async def _items(self, kind: Kind) -> AsyncIterator[bytes]:
        library, last = LIBRARIES[kind], None
        while True:
            items, last = await library.page(self.studio.store, self.account.id, last, PAGE_SIZE)
            for item in items:
                yield item
            if last is None:
                return

    async def write(self, leaving: Leaving) -> Exported:
        """Copy what the folder has not yet of an item; ``GONE``: it has just been deleted."""
        item_id, path = leaving.item["id"], self.folder / f"{leaving.stem}{ENDINGS[leaving.kind]['url']}"
        try:
            is_new = await self._write(leaving)
        except NotFound as error:
            if await LIBRARIES[leaving.kind].get(self.studio.store, self.account.id, item_id) is None:
                await anyio.to_thread.run_sync(self._forget, leaving)
                return Exported(item_id, Outcome.GONE, path, "")
            return Exported(item_id, Outcome.MISSING, path, error.sentence)
        return Exported(item_id, Outcome.NEW if is_new else Outcome.HERE, path, "")

    async def _write(self, leaving: Leaving) -> bool:
        sizes = {stored: await self._size(stored) for _, stored, _ in leaving.names}
        lacking = await anyio.to_thread.run_sync(self._lacking, leaving, sizes)
        told = self.folder / f"{leaving.stem}.json"
        if not lacking and await anyio.to_thread.run_sync(told.is_file):
            return False
        for _, stored, name in leaving.names:
            if stored in lacking:
                await self._copy(stored, sizes[stored], self.folder / name, milliseconds(leaving.item["createdDate"]))
        kept = await self._kept(leaving.files.sidecar)
        await anyio.to_thread.run_sync(self._tell, leaving, kept, told)
        return True

    def _forget(self, leaving: Leaving) -> None:
        """What was copied of an item before it was deleted: without its JSON no later export would find it."""
        if (self.folder / f"{leaving.stem}.json").is_file():
            return
        for _, _, name in leaving.names:
            for file in (self.folder / name, self.folder / f"{name}.part"):
                file.unlink(missing_ok=True)
        with suppress(OSError):  # the day has others
            (self.folder / leaving.stem).parent.rmdir()

    async def _size(self, stored: str) -> int:
        blob = await self.studio.blobs.stat(stored)
        if blob is None:
            raise _missing(stored)
        return blob.size

    def _lacking(self, leaving: Leaving, sizes: Mapping[str, int]) -> set[str]:
        (self.folder / leaving.stem).parent.mkdir(exist_ok=True)
        return {stored for _, stored, name in leaving.names if _size(self.folder / name) != sizes[stored]}

    async def _copy(self, stored: str, size: int, to: Path, created: int) -> None:
        """Whole or not at all; the copy is as old as the item."""
        part = to.with_name(f"{to.name}.part")
        async with await anyio.open_file(part, "wb") as file, aclosing(self._bytes(stored, size)) as chunks:
            async for chunk in chunks:
                await file.write(chunk)
        os.utime(part, (created / 1000, created / 1000))
        await anyio.to_thread.run_sync(_placed, part, to)

    async def _bytes(self, stored: str, size: int) -> AsyncGenerator[bytes, None]:
        async with aclosing(self.studio.blobs.read(stored, 0, size)) as chunks:
            try:
                async for chunk in chunks:
                    yield chunk
            except FileNotFoundError:
                raise _missing(stored) from None

    async def _kept(self, stored: str) -> bytes:
        """The sidecar in storage; nothing where there is none: the item itself tells most of it."""
        try:
            return b"".join([chunk async for chunk in self._bytes(stored, await self._size(stored))])
        except NotFound:
            return b""

    def _tell(self, leaving: Leaving, kept: bytes, to: Path) -> None:
        sums = {link: _sha256(self.folder / name) for link, _, name in leaving.names}
        part = to.with_name(f"{to.name}.part")
        part.write_text(sidecar.outgoing(kept, leaving.item, leaving.files, leaving.kind, sums), encoding="utf-8")
        _placed(part, to)

    async def gone(self, *, delete: bool) -> AsyncIterator[Exported]:
        """What the folder has and the library has no more."""
        for day in await anyio.to_thread.run_sync(self._days):
            for told in many.batches(await anyio.to_thread.run_sync(_exported, day)):
                stems = {unquote(path.stem): path for path in told}
                here = [await library.known(self.studio.store, self.account.id, list(stems)) for library in _LIBRARIES]
                for item_id in sorted(stems.keys() - here[0][0] - here[1][0], reverse=True):
                    if done := await anyio.to_thread.run_sync(_gone, item_id, stems[item_id], delete):
                        yield done

    def _days(self) -> list[Path]:
        return sorted(self.folder.glob(_DAYS), reverse=True)


def _exported(day: Path) -> list[Path]:
    return sorted(day.glob("*.json"), reverse=True)


def _gone(item_id: str, told: Path, delete: bool) -> Exported | None:
    """Delete an item's files, the JSON last so that a repeat finds what is left; ``None``: no export wrote this."""
    kind = _kind(item_id, told)
    if kind is None:
        return None
    files = [told.with_name(told.stem + ending) for ending in ENDINGS[kind].values()]
    if not delete:
        return Exported(item_id, Outcome.GONE, files[0], "")
    for file in (*files, told):
        file.unlink(missing_ok=True)
    with suppress(OSError):  # the day has others
        told.parent.rmdir()
    return Exported(item_id, Outcome.DELETED, files[0], "")


def _kind(item_id: str, told: Path) -> Kind | None:
    try:
        said = json.loads(told.read_bytes())
        return Kind(said["kind"]) if said["item"]["id"] == item_id else None
    except (ValueError, LookupError, TypeError):
        return None


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _placed(part: Path, to: Path) -> None:
    """On the disk first: after a power cut a later run goes by names and sizes. A name that is lost is written anew."""
    sync(part)
    part.replace(to)


def _missing(stored: str) -> NotFound:
    return NotFound(f"Its file {stored} is not in storage any more.")


@contextmanager
def _replacing(path: Path) -> Iterator[IO[str]]:
    """A text file that takes its place once it is whole."""
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        yield file
    _placed(part, path)


@contextmanager
def _claimed(folder: Path, owner: Account) -> Iterator[None]:
    """The folder, for this account and for nobody else at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    mark, ours = folder / _MARK, wire.dumps({"version": 1, "account": owner.name, "id": owner.id}) + "\n"
    if not mark.exists() and any(folder.iterdir()):
        raise Conflict(f"{folder} holds other things; name a folder that is new or empty, or one exported to before.")
    with mark.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"Another export is writing to {folder}; let it end, or name another folder.") from None
        file.seek(0)
        if (said := file.read()) not in ("", ours):
            raise Conflict(f"{folder} holds the export of another library or account; name another folder.")
        file.write("" if said else ours)
        file.flush()
        yield


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    # Storage tells of its own troubles: what is left is the folder's.
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull(f"There is no room for more in {folder}; make some and export again.") from error
        raise StartError(f"{folder} cannot be written ({error.strerror}); name a folder that can.") from error
