"""Another server's library, mirrored into this one: items with their facts as they are, and every file of theirs.

    pages ─→ what is not here ─→ its files, several items at once ─→ examined ─→ the row

A file is put under its final name as soon as it has come, noted as a draft before: whatever dies when, the next run
finds what is whole and fetches only the rest. An item enters when all of it is there, in one transaction, once.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import anyio.to_thread

from rushes import ids, media, wire
from rushes.blobs.sums import sums
from rushes.catalogue import nearest_ratio
from rushes.client import AsyncClient
from rushes.errors import (
    InputBlocked,
    InputTooLarge,
    InputUnreachable,
    LeaseLost,
    NotFound,
    RushesError,
    Unreadable,
)
from rushes.fetch import Fetcher
from rushes.model import Files, Image, ImageRequest, Item, Kind, Video, VideoFiles, VideoRequest
from rushes.store import accounts
from rushes.store.library import LIBRARIES
from rushes.studio import Studio
from rushes.transfer import sidecar
from rushes.transfer.sidecar import Told

AT_ONCE = 16
"""Items on their way at a time."""

_TRIES = 6
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_BYTES_A_SECOND = 2**20
# The link is dead: asking again gives the same answer.
_DEAD = frozenset({400, 401, 403, 404, 410, 451})
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MADE = ("preview.jpg", "thumbnail.jpg", "last_frame.png")  # what media.stills calls them, in the order of Files.all
_STILL_LINKS = ("previewImageUrl", "thumbnailImageUrl", "lastFrameImageUrl")

Json = Mapping[str, Any]


class Outcome(StrEnum):
    """What became of one item of the source."""

    NEW = "new"
    HERE = "here"
    """It had been pulled before."""
    DELETED = "deleted"
    """It was deleted here, and stays so."""
    LOST = "lost"
    """Its file is not at the source any more."""
    DAMAGED = "damaged"
    """Its file is there, and is not what it should be."""
    REFUSED = "refused"
    """Its file may not be fetched here: it is too large, or its link leads to a private address."""
    FAILED = "failed"
    """It could not be fetched now; another run may."""


class Pulled(NamedTuple):
    """What became of one item; a sentence where it did not enter."""

    kind: Kind
    id: str
    outcome: Outcome
    size: int = 0
    """Bytes that were fetched for it."""
    sentence: str = ""


@dataclass
class Report:
    """What a pull came to."""

    counts: Counter[Outcome] = field(default_factory=Counter)
    size: int = 0
    """Bytes."""

    def add(self, pulled: Pulled) -> None:
        """Count one more."""
        self.counts[pulled.outcome] += 1
        self.size += pulled.size


async def pull(
    studio: Studio,
    account: str,
    client: AsyncClient,
    source: str,
    on_done: Callable[[Pulled], object],
    *,
    at_once: int = AT_ONCE,
) -> Report:
    """Bring what is in the library at ``source`` (its address; ``client`` is the way in) and not in this account's.
    ``on_done`` is told of each item as it is done with; none stops the others.

    Raises:
        RushesError: the list cannot be read, or the database or the disk not be used; another run goes on from here.
    """
    async with studio.store.write() as tx:
        account_id = (await accounts.named(tx, account)).id
    private = studio.config.allow_private_hosts | {urlsplit(source).hostname or ""}
    fetcher = Fetcher(private, keep_connections=True)
    mirror = _Mirror(studio, account_id, account, client, source, fetcher, asyncio.Queue(at_once), on_done)
    try:
        await mirror.run(at_once)
    finally:
        await fetcher.close()
    return mirror.report


@dataclass
class _Mirror:
    """One run."""

    studio: Studio
    account_id: str
    account: str
    client: AsyncClient
    source: str
    fetcher: Fetcher
    queue: asyncio.Queue[tuple[Kind, Json] | None]
    on_done: Callable[[Pulled], object]
    report: Report = field(default_factory=Report)
    examiner: media.Examiner = field(default_factory=media.Examiner)
    turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    """By the uuid of the files: two items may name the same, and one after the other takes them or finds others."""

    async def run(self, at_once: int) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(self._work())
                await self._walk()
                for _ in range(at_once):
                    await self.queue.put(None)
        except* RushesError as stopped:
            raise stopped.exceptions[0] from None

    async def _walk(self) -> None:
        """Every page of both lists. All of them, each time: what came in late, or was left by a run that died, may
        stand anywhere.
        """
        async for page in self.client.videos.pages():
            await self._sort(Kind.VIDEO, page.items)
        async for page in self.client.images.pages():
            await self._sort(Kind.IMAGE, page.items)

    async def _sort(self, kind: Kind, listed: list[Json]) -> None:
        names = [str(told.get("id")) for told in listed if isinstance(told, dict)]
        here, deleted = await LIBRARIES[kind].known(self.studio.store, self.account_id, names)
        for name, told in zip(names, listed, strict=False):
            if name in here:
                self._done(Pulled(kind, name, Outcome.HERE))
            elif name in deleted:
                self._done(Pulled(kind, name, Outcome.DELETED))
            else:
                await self.queue.put((kind, told))

    def _done(self, pulled: Pulled) -> None:
        self.report.add(pulled)
        self.on_done(pulled)

    async def _work(self) -> None:
        while (next_one := await self.queue.get()) is not None:
            self._done(await self._bring(*next_one))

    async def _bring(self, kind: Kind, listed: Json) -> Pulled:
        name = str(listed.get("id"))
        try:
            arrival = _Arrival(self, kind, listed, sidecar.of_item(listed, kind))
            entered = await arrival.bring()
            return Pulled(kind, name, Outcome.NEW if entered else Outcome.HERE, arrival.size)
        except NotFound as error:
            sentence = error.sentence.replace(" Check the link and send it again.", "")
            return Pulled(kind, name, Outcome.LOST, sentence=sentence)
        except Unreadable as error:
            return Pulled(kind, name, Outcome.DAMAGED, sentence=error.sentence)
        except (InputTooLarge, InputBlocked) as error:
            return Pulled(kind, name, Outcome.REFUSED, sentence=error.sentence)
        except (InputUnreachable, LeaseLost) as error:
            sentence = error.sentence.replace("Check the link and send it again.", "Another run may fetch it.")
            return Pulled(kind, name, Outcome.FAILED, sentence=sentence)


@dataclass
class _Arrival:
    """One item on its way."""

    mirror: _Mirror
    kind: Kind
    listed: Json
    told: Told
    size: int = 0
    resumed: bool = True
    """Whether a run before may have left files of it."""
    sums: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    async def bring(self) -> bool:
        """Fetch, examine, keep, enter; ``False``: somebody else has entered it meanwhile."""
        if self.told.item_id is None or self.told.created is None:
            raise Unreadable("What the source lists is no item: its id or its date cannot be.")
        async with self.mirror.turns.setdefault(self._file_id(), asyncio.Lock()):
            return await self._bring()

    def _file_id(self) -> str:
        if self.kind is Kind.IMAGE:
            return str(self.told.item_id)
        found = _UUID.match(PurePosixPath(urlsplit(str(self.listed.get("url"))).path).name)
        return found[0] if found else self._derived_id()

    def _derived_id(self) -> str:
        return ids.derived_uuid(f"{self.mirror.source}\n{self.told.item_id}")

    async def _bring(self) -> bool:
        files = await self._expected()
        if files is None:
            return False
        try:
            with self.mirror.studio.blobs.workspace() as folder:
                item = await self._collect(files, folder)
                await self._keep(item, folder)
        except (NotFound, Unreadable, InputTooLarge, InputBlocked):
            await self.mirror.studio.drop_files(files)
            raise
        if await self.mirror.studio.bring_in(item, self._parents()):
            return True
        await self.mirror.studio.drop_files(files)
        return False

    async def _expected(self) -> Files | None:
        """Names for its files: with the uuid they have at the source, so that what was made from them says so here."""
        studio, account_id = self.mirror.studio, self.mirror.account_id
        files = await studio.expect_files(account_id, self.kind, self._file_id())
        if files or self.kind is Kind.IMAGE:
            return files
        return await studio.expect_files(account_id, self.kind, self._derived_id())

    async def _collect(self, files: Files, folder: Path) -> Item:
        config = self.mirror.studio.config
        if isinstance(files, VideoFiles):
            video = folder / "video.mp4"
            await self._arrive("url", files.video, video, config.input_video_bytes)
            return await self._video(files, folder, video)
        await self._arrive("url", files.image, folder / "image", config.input_image_bytes)
        facts = await media.picture(folder / "image", folder / "image.png")
        return self._image(facts.width, facts.height)

    async def _video(self, files: VideoFiles, folder: Path, video: Path) -> Video:
        stills = [folder / name for name in _MADE]
        for link, name, still in zip(_STILL_LINKS, files.all[1:], stills, strict=False):
            # What is not to be had is made again from the video.
            with suppress(NotFound, InputUnreachable, InputTooLarge, InputBlocked):
                await self._arrive(link, name, still, self.mirror.studio.config.input_image_bytes)
        arrived = media.Arrival(video, tuple(stills), _seconds(self.listed.get("duration")))
        facts, whole = await self.mirror.examiner.examine(arrived)
        if len(whole) < len(stills):
            facts = await self._make_missing(files, folder, video, {still.name for still in whole})
        return self._video_item(files.file_id, facts.width, facts.height, facts.seconds)

    async def _make_missing(self, files: VideoFiles, folder: Path, video: Path, whole: set[str]) -> media.Facts:
        made = folder / "made"
        made.mkdir()
        facts = await media.stills(video, made)
        for link, name, still in zip(_STILL_LINKS, files.all[1:], _MADE, strict=False):
            if still not in whole:
                self.sizes[link], self.sums[link] = await _measured(made / still)
                await self.mirror.studio.blobs.put(name, made / still)
        return facts

    async def _arrive(self, link: str, name: str, to: Path, max_bytes: int) -> None:
        """The file behind a link, kept under its final name at once, and in the folder to be looked at."""
        blobs, url = self.mirror.studio.blobs, self.listed.get(link)
        was_here = self.resumed and await blobs.stat(name) is not None
        if was_here:  # it came whole in a run before
            await blobs.copy(name, to)
            self.sizes[link], self.sums[link] = await _measured(to)
        else:
            # It comes first: where it is not, nothing else of the item is.
            self.resumed = self.resumed and link != "url"
            if not isinstance(url, str):
                raise NotFound(f"The source tells no {link} of it.")
            await self._fetch(url, to, max_bytes)
            second = to.with_name(f"{to.name}.kept")
            size, self.sums[link] = await _measured(to, second)
            self.size += size
            self.sizes[link] = size
            await blobs.put(name, second)

    async def _fetch(self, url: str, to: Path, max_bytes: int, tries: int = _TRIES) -> None:
        seconds = self.mirror.studio.config.input_seconds + max_bytes / _BYTES_A_SECOND
        for pause in (min(_FIRST_PAUSE * 2**number, _LONGEST_PAUSE) for number in range(tries)):
            try:
                return await self.mirror.fetcher.fetch(url, to, max_bytes=max_bytes, seconds=seconds)
            except InputUnreachable as error:
                if error.status in _DEAD:
                    raise NotFound(error.sentence) from error
                last = error
                # Spread out, so that all that met the same fault do not come back as one.
                wait = min(error.retry_after or 0, _LONGEST_PAUSE) + pause * random.uniform(0.5, 1)  # noqa: S311
                await asyncio.sleep(wait)
        raise last

    async def _keep(self, item: Item, folder: Path) -> None:
        known: dict[str, Any] = {"bytes": self.sizes, "sha256": dict(self.sums)}
        if isinstance(item, Image):
            # The source may have kept another kind of picture under this name; a library of ours holds PNGs.
            known |= await anyio.to_thread.run_sync(sums, {"url": folder / "image.png"})
            await self.mirror.studio.blobs.put(item.files.image, folder / "image.png")
        source = {
            "from": self.mirror.source,
            "item": self.listed,
            "sha256": self.sums,
            "inputs": await self._inputs(item.files, folder),
        }
        beside = folder / "sidecar.json"
        # Half a surrogate pair, which JSON can hold and UTF-8 cannot, stays the escape that it was.
        known |= {"account": self.mirror.account, "parents": sorted(self._parents())}
        text = wire.sidecar(item, source=source, **known).encode(errors="backslashreplace")
        await anyio.to_thread.run_sync(beside.write_bytes, text)
        await self.mirror.studio.blobs.put(item.files.sidecar, beside)

    async def _inputs(self, files: Files, folder: Path) -> list[Json]:
        """Copies of what it was made from, where that still answers, and is no item of the source's own."""
        kept: list[Json] = []
        urls = [url for url in self.told.input_urls if not self._is_item(url)]
        for name, url in zip(files.inputs, urls, strict=False):
            to = folder / PurePosixPath(name).name
            kept.append({"url": url, **await self._input(url, name, to)})
        return kept

    async def _input(self, url: str, name: str, to: Path) -> Json:
        try:
            await self._fetch(url, to, self.mirror.studio.config.input_image_bytes, tries=2)
        except (NotFound, InputUnreachable, InputTooLarge, InputBlocked) as error:
            return {"lost": error.sentence}
        size, digest = await _measured(to)
        await self.mirror.studio.blobs.put(name, to)
        return {"file": name, "bytes": size, "sha256": digest}

    def _is_item(self, url: str) -> bool:
        """Whether a link leads to a file of an item in the same library, which is pulled as that."""
        start = str(self.listed.get("url")).rpartition("/")[0]
        return url.rpartition("/")[0] == start

    def _parents(self) -> frozenset[str]:
        files = (PurePosixPath(urlsplit(url).path).name for url in self.told.input_urls)
        return frozenset(found[0] for file in files if (found := _UUID.match(file)))

    def _video_item(self, file_id: str, width: int, height: int, seconds: float) -> Video:
        told = self.told
        request = VideoRequest(
            prompt=told.prompt or "",
            model=told.model or "",
            aspect_ratio=told.aspect_ratio or nearest_ratio(width, height),
            seconds=max(1, round(seconds)),
            first_frame_image_url=told.first_frame,
            extend_video_url=told.extends,
            reference_image_urls=told.references or (),
        )
        return Video(
            id=str(told.item_id),
            account_id=self.mirror.account_id,
            file_id=file_id,
            job_id=None,
            request=request,
            created=told.created or 0,
            width=width,
            height=height,
            seconds=seconds,
        )

    def _image(self, width: int, height: int) -> Image:
        told = self.told
        request = ImageRequest(
            prompt=told.prompt or "",
            model=told.model or "",
            aspect_ratio=told.aspect_ratio or nearest_ratio(width, height),
            style=told.style,
            reference_image_url=told.references[0] if told.references else None,
        )
        return Image(
            file_id=str(told.item_id),
            account_id=self.mirror.account_id,
            job_id=None,
            request=request,
            created=told.created or 0,
            width=width,
            height=height,
        )


def _seconds(duration: object) -> float:
    try:
        return float(str(duration).removesuffix("s"))
    except ValueError:
        return -1.0


async def _measured(path: Path, second: Path | None = None) -> tuple[int, str]:
    """Bytes and SHA-256 of a file, which gets a ``second`` name on the way."""

    def measure() -> tuple[int, str]:
        if second:
            os.link(path, second)
        with path.open("rb") as file:
            return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()

    return await anyio.to_thread.run_sync(measure)
