"""One's own files enter the library: copied, examined, kept, and entered with the facts they came with.

    found ─→ told by options, sidecar, tags, defaults ─→ its id ─→ stills ─→ blobs ─→ the row

A file that was half brought in when this died is found again by the next run, and what it left is swept.
"""

from __future__ import annotations

import asyncio
import errno
import filecmp
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import NamedTuple
from weakref import WeakValueDictionary

import anyio.to_thread
import uuid_utils

from rushes import ids, media, wire
from rushes.blobs.sums import sums
from rushes.catalogue import nearest_ratio
from rushes.errors import InvalidRequest, LeaseLost, RushesError, StorageFull, Unavailable, Unreadable
from rushes.media.tags import image_tags, video_tags
from rushes.model import Image, ImageRequest, Item, Kind, Video, VideoFiles, VideoRequest, timestamp
from rushes.store import accounts
from rushes.store.library import LIBRARIES, file_of, was_deleted
from rushes.studio import Studio
from rushes.transfer import sidecar
from rushes.transfer.sidecar import DAY_MS, ENDINGS, LONGEST_MODEL, LONGEST_PROMPT, Told

KINDS: Mapping[str, Kind] = {
    **dict.fromkeys((".mp4", ".m4v", ".mov"), Kind.VIDEO),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".webp"), Kind.IMAGE),
}
"""What is taken, by how its name ends."""

MODEL = "imported"

_VIDEO_FILES = tuple(ending for ending, kind in KINDS.items() if kind is Kind.VIDEO)
_STILLS = tuple(ENDINGS[Kind.VIDEO].values())[1:]
_MADE = ("preview.jpg", "thumbnail.jpg", "last_frame.png")  # what media.stills calls the same
_SOURCE, _PICTURE = "source", "image.png"
_CHUNK_BYTES = 2**20
_LONGEST_NAME = 255
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_EARLIEST_TAG = 631_152_000_000  # 1990: clocks that were never set tell of 1904 or 1970
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_QUICKTIME_BRANDS = {"", "qt"}
_QUICKTIME = (
    "It is a QuickTime film and no MP4, which is what the library keeps; "
    "`ffmpeg -i in.mov -c copy out.mp4` makes one of it without loss."
)


class Outcome(StrEnum):
    """What became of a file."""

    NEW = "new"
    HERE = "here"
    """It is in the library already."""
    DAMAGED = "damaged"
    REFUSED = "refused"


class Brought(NamedTuple):
    """What became of one file; a sentence where it did not enter."""

    path: Path
    outcome: Outcome
    item_id: str | None
    sentence: str


def found(paths: Iterable[Path]) -> Iterator[Path]:
    """The files meant by these files and folders, each once, in an order that stays. Of a folder: the videos and
    images below it. Stills that were exported with a video come with it and are none of their own.
    """
    meant = (file for path in paths for file in (_below(path) if path.is_dir() else [path]))
    return (file for file in dict.fromkeys(meant) if not _is_still(file))


def _below(folder: Path) -> Iterator[Path]:
    closed: list[OSError] = []
    for at, folders, names in os.walk(folder, onerror=closed.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = (Path(at, name) for name in sorted(names) if not name.startswith("."))
        yield from (file for file in here if file.suffix.lower() in KINDS)
    yield from (Path(os.fsdecode(error.filename)) for error in closed)  # to be told of, as files that cannot be read


def _is_still(file: Path) -> bool:
    stems = (file.name.removesuffix(ending) for ending in _STILLS if file.name.endswith(ending))
    return any(file.with_name(stem + ending).is_file() for stem in stems for ending in _VIDEO_FILES)


async def bring(
    studio: Studio,
    account: str,
    files: Iterable[Path],
    given: Told,
    on_done: Callable[[Brought], None],
) -> None:
    """Enter files into an account's library (made if it is new), as many at once as there are processors. ``given``
    wins over whatever is said elsewhere. Each file is told of as it is done with; none stops the others.

    Raises:
        Unavailable: the database or the disk cannot be used; another run goes on from here.
    """
    async with studio.store.write() as tx:
        account_id = (await accounts.named(tx, account)).id
    arrivals, left = Arrivals(studio, account_id, account, given, await studio.now()), iter(files)

    async def work() -> None:
        for file in left:
            on_done(await arrivals.bring(file))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(os.cpu_count() or 1):
                group.create_task(work())
    except* (RushesError, OSError) as stopped:  # ours, or that of whoever is told
        raise stopped.exceptions[0] from None


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Brings files into one account's library."""

    studio: Studio
    account_id: str
    account: str
    given: Told
    now: int
    """Milliseconds since the epoch: no file is from after tomorrow."""
    _turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def bring(self, path: Path) -> Brought:
        """Enter one file.

        Raises:
            Unavailable: the database or the disk cannot be used.
        """
        try:
            item_id, is_new = await self._bring(path)
            return Brought(path, Outcome.NEW if is_new else Outcome.HERE, item_id, "")
        except Unreadable as error:
            return Brought(path, Outcome.DAMAGED, None, error.sentence)
        except (InvalidRequest, LeaseLost) as error:
            return Brought(path, Outcome.REFUSED, None, error.sentence)
        except OSError as error:
            return Brought(path, Outcome.REFUSED, None, f"It cannot be read ({error.strerror}).")

    async def _bring(self, path: Path) -> tuple[str, bool]:
        """Its item's id, and whether it is new."""
        kind, told = await anyio.to_thread.run_sync(self._told, path)
        if told.item_id and told.item_id in (await self._known(kind, told.item_id))[0]:
            await self._refuse_another(path, kind, told.item_id)
            return told.item_id, False
        self._refuse_future(told)
        with self.studio.blobs.workspace() as folder:
            digest = await anyio.to_thread.run_sync(_copied, path, folder / _SOURCE)
            if told.sha256 not in (None, digest) and path.suffix in ENDINGS[kind].values():
                raise Unreadable("It is not the file that its sidecar tells of; take that away to import it as it is.")
            told = (await self._tagged(kind, told, folder / _SOURCE)).over(_defaults(path, self.now))
            return await self._take(Arrival(path, kind, folder, told, digest, self.account))

    async def _refuse_another(self, path: Path, kind: Kind, item_id: str) -> None:
        """A video of another size than the item of its id is another video. (Images may have been kept as PNGs.)"""
        file_id = await file_of(self.studio.store, self.account_id, item_id)
        if kind is Kind.IMAGE or file_id is None:
            return
        kept = await self.studio.blobs.stat(VideoFiles(self.account_id, file_id).video)
        size = (await anyio.to_thread.run_sync(path.stat)).st_size
        if kept is not None and kept.size != size:
            sentence = f"The library has another video under the id in its sidecar, {item_id}"
            raise InvalidRequest(f"{sentence}; take the sidecar away to import it as it is.")

    def _refuse_future(self, told: Told) -> None:
        if told.created is not None and told.created > self.now + DAY_MS:
            date = timestamp(told.created)
            raise InvalidRequest(f"Its date, {date}, is more than a day ahead; mend it beside the file, or say --date.")

    def _told(self, path: Path) -> tuple[Kind, Told]:
        if not path.is_file():
            raise InvalidRequest("It is no file that can be read.")
        kind = KINDS.get(path.suffix.lower())
        if kind is None:
            raise InvalidRequest(f"It is none of what is taken: {', '.join(KINDS)}.")
        return kind, self.given.over(sidecar.read(path, kind))

    async def _known(self, kind: Kind, item_id: str) -> tuple[set[str], set[str]]:
        return await LIBRARIES[kind].known(self.studio.store, self.account_id, [item_id])

    async def _tagged(self, kind: Kind, told: Told, copy: Path) -> Told:
        """What is told, and what the file says of itself."""
        tags = await (video_tags if kind is Kind.VIDEO else image_tags)(copy)
        if kind is Kind.VIDEO and tags.brand in _QUICKTIME_BRANDS:
            raise InvalidRequest(_QUICKTIME)
        created = sidecar.moment(tags.created)
        if created is not None and not _EARLIEST_TAG <= created <= self.now + DAY_MS:
            created = None
        prompt, model = sidecar.text(tags.prompt, LONGEST_PROMPT), sidecar.text(tags.model, LONGEST_MODEL)
        return told.over(Told(prompt=prompt, created=created, model=model))

    async def _take(self, arrival: Arrival) -> tuple[str, bool]:
        item_id, is_held, file_id = await self._place(arrival)
        if is_held:
            return item_id, False
        async with self._turns.setdefault(file_id, asyncio.Lock()):  # two copies of a sidecar name the same files
            item = await self._item(arrival, item_id, file_id)
            if item is not None and await self._enter(arrival, item):
                return item_id, True
        held = await LIBRARIES[arrival.kind].id_of(self.studio.store, self.account_id, file_id)
        return held or item_id, False  # a copy of another age came first

    async def _place(self, arrival: Arrival) -> tuple[str, bool, str]:
        """The id of its item, whether the library holds that, and the uuid for its files.

        What was deleted here and is asked for again is another item: the world has been told that the first is gone.
        """
        for number in count():
            own = number == 0 and arrival.told.item_id
            item_id, file_id = own or arrival.derived_id(number), arrival.file_id(number)
            if not own and (held := await LIBRARIES[arrival.kind].id_of(self.studio.store, self.account_id, file_id)):
                return held, True, file_id  # the same bytes, under whatever name and date
            here, buried = await self._known(arrival.kind, item_id)
            if item_id not in buried and not await was_deleted(self.studio.store, self.account_id, file_id):
                return item_id, item_id in here, file_id
        raise AssertionError

    async def _item(self, arrival: Arrival, item_id: str, file_id: str) -> Item | None:
        """The item as it will be, its files made in the arrival's folder and announced; ``None``: it is here."""
        width, height, seconds = await arrival.examine()
        files = await self.studio.expect_files(self.account_id, arrival.kind, file_id)
        if files is None and arrival.kind is Kind.VIDEO and arrival.told.item_id:
            # Another item has them: a sidecar was copied.
            files = await self.studio.expect_files(self.account_id, arrival.kind, ids.uuid())
        return None if files is None else arrival.item(item_id, files.file_id, self.account_id, width, height, seconds)

    async def _enter(self, arrival: Arrival, item: Item) -> bool:
        """Whether it is new: it may come in by another way at this moment."""
        is_new = False
        try:
            sources = await anyio.to_thread.run_sync(arrival.keep, item)
            for name, source in zip(item.files.all, sources, strict=True):
                await self.studio.blobs.put(name, source)
            is_new = await self.studio.bring_in(item, arrival.parents)
        finally:  # also when this is being stopped; what cannot be deleted now is left to the sweep
            if not is_new:
                with suppress(Unavailable):
                    await asyncio.shield(self.studio.drop_files(item.files))
        return is_new


@dataclass(frozen=True, slots=True)
class Arrival:
    """One file on its way in: where it came from, its copy in a workspace, all that is told of it."""

    path: Path
    kind: Kind
    folder: Path
    told: Told
    digest: str
    """The SHA-256 of its bytes."""
    account: str
    """What the account is called that it comes to."""

    @property
    def parents(self) -> frozenset[str]:
        """The uuids in the names of the files of its own library that it was made from."""
        own = rf"https?://[^/]+/(?:videos|images)/user/{self.told.account_id}/({_UUID})[_.]"
        links = (self.told.first_frame, self.told.extends, *(self.told.references or ()))
        return frozenset(match[1] for link in links if link and (match := re.match(own, link)))

    def file_id(self, number: int) -> str:
        """The uuid for its files: the one that is told with its id, else always the same of these bytes, in a row."""
        if number == 0 and self.told.item_id:
            return self.told.item_id if self.kind is Kind.IMAGE else self.told.file_id or ids.uuid()
        if self.kind is Kind.IMAGE:
            return self.derived_id(number)
        return ids.derived_uuid(f"sha256:{self.digest}/{number}")

    def derived_id(self, number: int) -> str:
        """The id of an item that has none: of these bytes (a video: of that time) always the same, in a row."""
        digest = hashlib.sha256(f"{self.digest}/{number}".encode()).hexdigest() if number else self.digest
        if self.kind is Kind.IMAGE:
            return str(uuid_utils.uuid5(uuid_utils.NAMESPACE_URL, f"sha256:{digest}"))
        return ids.item_id(self.told.created or 0)[:17] + digest[:16]

    async def examine(self) -> tuple[int, int, float]:
        """Make its files in the folder; width, height and seconds (none for an image).

        Raises:
            Unreadable: it is not whole, or not what its name says.
        """
        if self.kind is Kind.IMAGE:
            image = await media.picture(self.folder / _SOURCE, self.folder / _PICTURE)
            return image.width, image.height, 0
        facts = await media.stills(self.folder / _SOURCE, self.folder)
        for made, ending in zip(_MADE, _STILLS, strict=True):
            await self._prefer(self.path.with_name(self.path.stem + ending), self.folder / made)
        return facts.width, facts.height, facts.seconds

    async def _prefer(self, beside: Path, made: Path) -> None:
        """A still that was exported with the video stays as it is, whatever makes stills today."""
        ours = self.folder / "beside"
        if not await anyio.to_thread.run_sync(_differs, beside, made, ours):
            return
        with suppress(Unreadable):
            if await media.image(ours) == await media.image(made):
                await anyio.to_thread.run_sync(ours.replace, made)

    def item(self, item_id: str, file_id: str, account_id: str, width: int, height: int, seconds: float) -> Item:
        """The item as it enters."""
        told, ratio = self.told, self.told.aspect_ratio or nearest_ratio(width, height)
        prompt, model, created = told.prompt or "", told.model or MODEL, told.created or 0
        references = told.references or ()
        if self.kind is Kind.IMAGE:
            image = ImageRequest(prompt, model, ratio, told.style, next(iter(references), None))
            return Image(file_id, account_id, None, image, created, width, height)
        video = VideoRequest(prompt, model, ratio, round(seconds), told.first_frame, told.extends, references)
        return Video(item_id, account_id, file_id, None, video, created, width, height, seconds)

    def keep(self, item: Item) -> list[Path]:
        """Its files in the order of ``Files.all``, the sidecar written last."""
        made = [self.folder / name for name in ((_PICTURE,) if self.kind is Kind.IMAGE else (_SOURCE, *_MADE))]
        known = sums(dict(zip(ENDINGS[self.kind], made, strict=True)))
        source: dict[str, object] = {"imported": sidecar.text(self.path.name, _LONGEST_NAME)}
        source |= {"sha256": known.pop("sha256")}
        written = self.folder / "sidecar.json"
        source |= {"job": self.told.job} if self.told.job else {}
        told = wire.sidecar(item, None, source, account=self.account, parents=sorted(self.parents), **known)
        written.write_text(told, encoding="utf-8")
        return [*made, written]


def _defaults(path: Path, now: int) -> Told:
    """What is said of a file of which nobody says anything."""
    changed = min(max(0, round(path.stat().st_mtime * 1000)), now)
    return Told(prompt=sidecar.text(path.stem, LONGEST_PROMPT) or MODEL, created=changed, model=MODEL)


def _copied(source: Path, to: Path) -> str:
    """The SHA-256 of what was copied.

    Raises:
        OSError: the source cannot be read; StorageFull: there is no room for it.
    """
    digest = hashlib.sha256()
    try:
        with source.open("rb") as read, to.open("wb") as written:
            while chunk := read.read(_CHUNK_BYTES):
                digest.update(chunk)
                written.write(chunk)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull("The disk that holds the videos is full; make room and import again.") from error
        raise
    return digest.hexdigest()


def _differs(beside: Path, made: Path, copy: Path) -> bool:
    """Whether there is another still ``beside`` than the one made; a copy of it then, which cannot change any more."""
    try:
        if not beside.is_file() or filecmp.cmp(beside, made, shallow=False):
            return False
        shutil.copyfile(beside, copy)
    except OSError:
        return False
    return True
