"""An item: its row, its files, its sidecar, and whether they tell the same.

    row ─→ sidecar ─→ each file: there, as long, the same bytes ─→ the file's own facts ─→ the row's text

What looks wrong is looked at once more, from its row on: it may have been deleted meanwhile.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from rushes import media, wire
from rushes.blobs.sums import digest
from rushes.errors import Unreadable
from rushes.model import FILES, Files, Image, ImageRequest, Item, Job, JobState, Kind, Request, Video, VideoRequest
from rushes.store import verify
from rushes.store.verify import ItemRow
from rushes.studio import Studio
from rushes.transfer.verify.faults import DAMAGED, FACTS, HASH, JOB, MISSING, REPAIR, SIDECAR, SIZE, Fault

LOCAL = {
    "url": "video.mp4",
    "previewImageUrl": "preview.jpg",
    "thumbnailImageUrl": "thumbnail.jpg",
    "lastFrameImageUrl": "last_frame.png",
}
"""What an item's files are called while they are looked at, as :func:`rushes.media.stills` calls them."""
_LONGEST_SIDECAR = 2**20
_SAME_SECONDS = 0.35
"""What a header, and a length told to the second, may be off."""


class Facts(NamedTuple):
    """What a file says of itself."""

    width: int
    height: int
    seconds: float


@dataclass
class Look:
    """What was seen of one item."""

    kind: Kind
    row: ItemRow
    told: dict[str, Any] | None = None
    """Its sidecar, if it can be read."""
    job: Job | None = None
    right: Item | None = None
    """The item as its row must tell it; ``None`` where nobody knows."""
    faults: list[Fault] = field(default_factory=list)
    size: int = 0

    @property
    def files(self) -> Files:
        """The names of its files."""
        return FILES[self.kind](self.row.account_id, self.row.file_id)

    def add(self, kind: str, what: str, remedy: str, link: str = "", found: str = "", expected: str = "") -> None:
        """Note a fault."""
        fault = Fault(kind, self.row.account_id, self.row.id, what, remedy, False, link, found, expected)
        self.faults.append(fault)

    def known(self, what: str) -> Mapping[str, Any]:
        """The ``bytes`` or ``sha256`` in the sidecar, by link."""
        told = self.told or {}
        source = told.get("source")
        found = told.get(what, source.get(what) if isinstance(source, dict) else None)
        return found if isinstance(found, dict) else {}

    @property
    def is_mp4_sound(self) -> bool:
        """Whether its one file that cannot be made again is as it should be."""
        return not any(fault.link == "url" for fault in self.faults)


@dataclass(frozen=True, slots=True)
class Looker:
    """Looks at items; ``quick``: without reading their files."""

    studio: Studio
    quick: bool
    examiner: media.Examiner = field(default_factory=media.Examiner)

    async def look(self, kind: Kind, row: ItemRow, folder: Path, sizes: Mapping[str, int] | None = None) -> Look:
        """All that is wrong with one item; its files, as far as they were read, are in ``folder`` then. ``sizes``: of
        its files as they were listed.
        """
        look = Look(kind, row)
        look.told = await self.sidecar(look)
        look.job = await verify.job(self.studio.store, row.job_id) if row.job_id else None
        if look.job and look.job.state is not JobState.COMPLETED:
            what = f"the item is there, and its job is {look.job.state}"
            look.add(JOB, what, "restore a backup of the database, or delete the item")
        for link, name in look.files.links.items():
            await self._file(look, link, name, folder, sizes or {})
        await self._facts(look, folder)
        self._beside(look)
        return look

    async def sidecar(self, look: Look) -> dict[str, Any] | None:
        """What lies beside it; ``None``: nothing that can be read."""
        try:
            told = json.loads(await read(self.studio, look.files.sidecar))
        except (FileNotFoundError, ValueError, RecursionError):
            return None
        return told if isinstance(told, dict) and isinstance(told.get("item"), dict) else None

    async def _file(self, look: Look, link: str, name: str, folder: Path, sizes: Mapping[str, int]) -> None:
        remedy = f"restore {name} from a backup, or delete the item" if link == "url" else REPAIR
        size = sizes.get(name)
        if size is None:
            blob = await self.studio.blobs.stat(name)
            size = blob.size if blob else None
        if size is None:
            return look.add(MISSING, f"{name} is missing", remedy, link)
        look.size += size
        told = look.known("bytes").get(link)
        if not size or told not in (None, size):
            expected = f"{told:,}" if isinstance(told, int) else "more"
            look.add(SIZE, f"{name} has {size:,} bytes instead of {expected}", remedy, link)
        return None if self.quick else await self._bytes(look, link, name, folder / LOCAL[link], remedy)

    async def _bytes(self, look: Look, link: str, name: str, to: Path, remedy: str) -> None:
        try:
            await self.studio.blobs.copy(name, to)
        except FileNotFoundError:
            return look.add(MISSING, f"{name} is missing", remedy, link)
        expected, found = look.known("sha256").get(link), await asyncio.to_thread(digest, to)
        if expected not in (None, found):
            # Of another length it is told of already.
            shorter = look.faults.pop() if look.faults and look.faults[-1].link == link else None
            kind, what = (shorter.fault, shorter.what) if shorter else (HASH, f"{name} is not the file that entered")
            look.add(kind, what, remedy, link, found, str(expected))
        return None

    async def _facts(self, look: Look, folder: Path) -> None:
        """Whether the row's text is what the job, the file and the row itself say."""
        told, text = (look.told or {}), _parsed(look.row.item)
        stated = _stated(look, text) or _stated(look, told.get("item"))
        if stated is None:
            return look.add(FACTS, "the row's text cannot be read, nor its sidecar", "restore a backup of the database")
        facts, (said, request) = None, stated
        if not self.quick and look.is_mp4_sound:
            facts = await self._examined(look, said, folder)
        if facts and self._is_another(look, facts):
            name = look.files.links["url"]
            what = f"{name} is another file than the item's: {facts.width} x {facts.height}, {facts.seconds:g} s"
            return look.add(HASH, what, f"restore {name} from a backup, or delete the item", "url")
        look.right = _item(look, request, facts or said)
        if wire.item(look.right) != look.row.item:
            look.add(FACTS, f"the row's text is wrong in {_differing(text, _parsed(wire.item(look.right)))}", REPAIR)
        return None

    async def _examined(self, look: Look, stated: Facts, folder: Path) -> Facts | None:
        name, path = look.files.links["url"], folder / LOCAL["url"]
        try:
            if look.kind is Kind.IMAGE:
                image = await media.image(path)
                return Facts(image.width, image.height, 0)
            return await self._video(look, stated, folder)
        except Unreadable as error:
            remedy = f"restore {name} from a backup, or delete the item"
            look.add(DAMAGED, f"{name} cannot be read: {error.sentence}", remedy, "url")
            return None

    async def _video(self, look: Look, stated: Facts, folder: Path) -> Facts:
        links = [link for link in look.files.links if link != "url"]
        bad = {fault.link for fault in look.faults}
        stills = {link: folder / LOCAL[link] for link in links if link not in bad}
        # Where nobody kept its length, it is read to its end.
        seconds = stated.seconds if "seconds" in (look.told or {}) else -1.0
        found = await self.examiner.examine(media.Arrival(folder / LOCAL["url"], tuple(stills.values()), seconds))
        for link, path in stills.items():
            if path not in found.whole:
                look.add(DAMAGED, f"{look.files.links[link]} is no whole picture", REPAIR, link)
        exact, is_kept = found.facts.seconds, seconds >= 0 or wire.duration(found.facts.seconds) != _length(look)
        if is_kept and abs(exact - stated.seconds) <= _SAME_SECONDS:
            exact = stated.seconds
        return Facts(found.facts.width, found.facts.height, exact)

    def _is_another(self, look: Look, facts: Facts) -> bool:
        """Without a sum: row and sidecar agree, and the file is what neither tells of."""
        told = (look.told or {}).get("item") or {}
        text = _parsed(look.row.item) or {}
        if "url" in look.known("sha256") or not told:
            return False
        agree = all(told.get(name) == text.get(name) for name in ("width", "height", "duration"))
        length = wire.duration(facts.seconds) if look.kind is Kind.VIDEO else None
        same = (told.get("width"), told.get("height"), told.get("duration")) == (facts.width, facts.height, length)
        return agree and not same

    def _beside(self, look: Look) -> None:
        """Whether the sidecar tells what the row does."""
        name = look.files.sidecar
        if look.told is None:
            return look.add(SIDECAR, f"{name} is missing or cannot be read", REPAIR)
        if look.right is None:
            return None
        right = json.loads(wire.sidecar(look.right, look.job))
        wrong = [key for key in ("kind", "accountId", "fileId") if look.told.get(key) != right[key]]
        wrong += _different(look.told["item"], right["item"])
        wrong += ["jobId"] if _job_id(look.told) != _job_id(right) else []
        if wrong:
            look.add(SIDECAR, f"{name} tells otherwise than the row: {', '.join(wrong)}", REPAIR)
        return None


async def read(studio: Studio, name: str) -> bytes:
    """A small file, as far as it is no longer than a sidecar may be. Raises FileNotFoundError."""
    blob = await studio.blobs.stat(name)
    if blob is None:
        raise FileNotFoundError(name)
    async with aclosing(studio.blobs.read(name, 0, min(blob.size, _LONGEST_SIDECAR))) as chunks:
        return b"".join([chunk async for chunk in chunks])


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(wire.resolve(text, ""))
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _stated(look: Look, item: Mapping[str, Any] | None) -> tuple[Facts, Request] | None:
    """What an item's text tells, with what was asked for: the job knows that better."""
    try:
        told = item or {}
        facts = Facts(int(told["width"]), int(told["height"]), _seconds(look.told or {}, told))
        return facts, look.job.request if look.job else _request(look.kind, look.row, told)
    except (KeyError, TypeError, ValueError):
        return None


def _seconds(told: Mapping[str, Any], item: Mapping[str, Any]) -> float:
    """The length that was read when it entered; else as it is told, rounded."""
    kept = told.get("seconds")
    return float(kept) if isinstance(kept, int | float) else float(str(item.get("duration", "0s")).removesuffix("s"))


def _length(look: Look) -> object:
    return (_parsed(look.row.item) or {}).get("duration")


def _request(kind: Kind, row: ItemRow, item: Mapping[str, Any]) -> Request:
    prompt, model, ratio = str(item["prompt"]), row.model, row.aspect_ratio
    if kind is Kind.IMAGE:
        return ImageRequest(prompt, model, ratio, item.get("style"), item.get("referenceImageUrl"))
    links = item.get("firstFrameImageUrl"), item.get("extendVideoUrl"), tuple(item.get("referenceImageUrls") or ())
    return VideoRequest(prompt, model, ratio, 0, *links)


def _item(look: Look, request: Request, facts: Facts) -> Item:
    row = look.row
    if isinstance(request, ImageRequest):
        return Image(row.file_id, row.account_id, row.job_id, request, row.created, facts.width, facts.height)
    return Video(row.id, row.account_id, row.file_id, row.job_id, request, row.created, *facts)


def _job_id(told: Mapping[str, Any]) -> object:
    job = told.get("job")
    return job.get("jobId") if isinstance(job, dict) else None


def _differing(text: Mapping[str, Any] | None, right: Mapping[str, Any] | None) -> str:
    return ", ".join(_different(text or {}, right or {})) or "the order of its keys"


def _different(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return [key for key in {**other, **one} if one.get(key) != other.get(key)]
