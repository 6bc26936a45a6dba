"""A lost database is made anew from the files: each MP4 and image with its sidecar comes back as the item it was.

    sidecars ⋈ MP4s, images ─→ read ─→ jobs, items, charges, lineage ─→ revisions, balances, index

Files are listed in order and read a few hundred at a time. All of it is one transaction: broken off, nothing has
happened.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from rushes import ids
from rushes.blobs import MEDIA_TYPES, Blobs
from rushes.errors import StartError
from rushes.model import (
    FILES,
    Image,
    ImageRequest,
    Item,
    Job,
    JobState,
    Kind,
    Request,
    Video,
    VideoRequest,
    milliseconds,
)
from rushes.store import Store, Transaction, rebuild, tables
from rushes.store.rebuild import Restored
from rushes.transfer.pairs import Group, Key, folder_of, groups, paired

RESTORED, MISSING, UNREADABLE, ALONE, TWICE = "restored", "missing", "unreadable", "alone", "twice"
_AT_ONCE = 256
_READERS = 16
_LONGEST_SIDECAR = 2**20
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


class Outcome(NamedTuple):
    """What became of one item, by the name of the file that tells of it."""

    outcome: str
    item_id: str | None
    name: str
    sentence: str = ""


async def refuse_used(store: Store) -> None:
    """Make sure that nobody's library is in the database.

    Raises:
        StartError: there is one.
    """
    if not await tables.is_empty(store):
        raise StartError(
            "There is a library in the database; a rebuild makes one from nothing. `rushes verify` checks this one."
        )


async def restore(store: Store, blobs: Blobs, on_done: Callable[[Outcome], object]) -> Counts:
    """Make every row that the files tell of, all or none, in an empty database; each item is told of as it is entered.

    Raises:
        StartError: there is a library in the database.
        Unavailable: the database or the storage cannot be used; nothing was written.
    """
    await refuse_used(store)
    async with store.write() as tx:
        await tx.lock_schema()
        run = _Rebuild(tx, blobs, on_done)
        async for some in _batches(_pairs(blobs)):
            await run.enter(some)
        await run.uploads()
        await rebuild.finish(tx)
        return Counts(run.items, run.upload_count, tuple(sorted(run.accounts.values())))


class Counts(NamedTuple):
    """What came back."""

    items: int
    uploads: int
    accounts: tuple[str, ...]
    """Their names."""


Pair = tuple[Group | None, "Main | None"]


class Main(NamedTuple):
    """An MP4 or an image that is there."""

    key: Key
    kind: Kind
    name: str


def _pairs(blobs: Blobs) -> AsyncIterator[Pair]:
    return paired(groups(blobs, "sidecars"), _mains(blobs), lambda group: group.key, lambda main: main.key)


async def _mains(blobs: Blobs) -> AsyncIterator[Main]:
    """Both kinds in one order."""
    videos, images = (_mains_of(blobs, kind) for kind in Kind)
    async for video, image in paired(videos, images, lambda main: main.key, lambda main: main.key):
        for main in (video, image):
            if main:
                yield main


async def _mains_of(blobs: Blobs, kind: Kind) -> AsyncIterator[Main]:
    async with aclosing(groups(blobs, folder_of(kind))) as found:
        async for group in found:
            name = FILES[kind](*group.key).links["url"]
            if name in group.sizes:
                yield Main(group.key, kind, name)


async def _batches(pairs: AsyncIterator[Pair]) -> AsyncIterator[list[Pair]]:
    some: list[Pair] = []
    async for pair in pairs:
        some.append(pair)
        if len(some) == _AT_ONCE:
            yield some
            some = []
    if some:
        yield some


@dataclass
class _Rebuild:
    """One run."""

    tx: Transaction
    blobs: Blobs
    on_done: Callable[[Outcome], object]
    accounts: dict[str, str] = field(default_factory=dict)
    """Names by id."""
    items: int = 0
    upload_count: int = 0

    async def enter(self, some: list[Pair]) -> None:
        """Bring back what can be."""
        limit = asyncio.Semaphore(_READERS)

        async def read(pair: Pair) -> tuple[Restored, str] | Outcome:
            async with limit:
                return await self._read(*pair)

        found = await asyncio.gather(*(read(pair) for pair in some))
        told = [each for each in found if isinstance(each, Outcome)]
        restored = await self._new([each for each in found if not isinstance(each, Outcome)], told)
        await rebuild.add(self.tx, restored, self.items)
        self.items += len(restored)
        for each in restored:
            self.on_done(Outcome(RESTORED, each.item.id, each.item.files.sidecar))
        for outcome in told:
            self.on_done(outcome)

    async def _read(self, beside: Group | None, main: Main | None) -> tuple[Restored, str] | Outcome:
        """The item with its account's name, or why not."""
        if beside is None:
            name = main.name if main else ""
            return Outcome(ALONE, None, name, "It has no sidecar; `rushes import` takes it as any other file.")
        [(name, size)] = list(beside.sizes.items())[:1]
        try:
            chunks = [chunk async for chunk in self.blobs.read(name, 0, min(size, _LONGEST_SIDECAR))]
            told = json.loads(b"".join(chunks))
            restored = _restored(told, beside.key)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidOperation, FileNotFoundError):
            return Outcome(UNREADABLE, None, name, "It is no sidecar that can be read; its file was left as it is.")
        if main is None or main.name != restored.item.files.links["url"]:
            return Outcome(MISSING, restored.item.id, name, "Its MP4 or image is not there; restore it, then rebuild.")
        account = told.get("account")
        return restored, account if isinstance(account, str) else ""

    async def _new(self, found: list[tuple[Restored, str]], told: list[Outcome]) -> list[Restored]:
        """Those that are told of for the first time: an attempt that lost its job may have left all of its files."""
        new: list[Restored] = []
        seen: set[tuple[str, str]] = set()
        for restored, account in found:
            item = restored.item
            names = {(item.account_id, item.id), *([("job", item.job_id)] if item.job_id else [])}
            if item.account_id not in self.accounts:
                self.accounts[item.account_id] = await rebuild.add_account(self.tx, item.account_id, account)
            if names & seen or await rebuild.is_there(self.tx, item):
                sentence = "Another file tells of the same item; this one was left as it is."
                told.append(Outcome(TWICE, item.id, item.files.sidecar, sentence))
            else:
                seen |= names
                new.append(restored)
        return new

    async def uploads(self) -> None:
        """Bring back what was uploaded, so that links to it are answered."""
        some: list[rebuild.Upload] = []
        async with aclosing(groups(self.blobs, "uploads/user")) as found:
            async for group in found:
                account_id, upload_id = group.key
                if account_id:
                    some += [_upload(account_id, upload_id, *each) for each in list(group.sizes.items())[:1]]
                if len(some) == _AT_ONCE:
                    await self._add_uploads(some)
                    some = []
        await self._add_uploads(some)

    async def _add_uploads(self, some: list[rebuild.Upload]) -> None:
        for account_id in {each.account_id for each in some} - self.accounts.keys():
            self.accounts[account_id] = await rebuild.add_account(self.tx, account_id, "")
        await rebuild.add_uploads(self.tx, some)
        self.upload_count += len(some)


def _upload(account_id: str, upload_id: str, name: str, size: int) -> rebuild.Upload:
    kind = MEDIA_TYPES.get(PurePosixPath(name).suffix.removeprefix("."), "application/octet-stream")
    return rebuild.Upload(upload_id, account_id, name, kind, size)


def _restored(told: Mapping[str, Any], key: Key) -> Restored:
    """What a sidecar tells. Raises ValueError and its like: it does not tell it, or of another file."""
    kind, item = Kind(told["kind"]), told["item"]
    if (told["accountId"], told["fileId"]) != key or not isinstance(item["prompt"], str):
        raise ValueError(key)
    job = told.get("job")
    request = _request(kind, told, item, job or {})
    made = _item(kind, key, item, request, told, _text(job["jobId"]) if job else None)
    parents = told.get("parents")
    if not isinstance(parents, list):
        parents = [match[1] for url in request.input_urls if (match := _own(key[0]).match(url))]
    return Restored(made, _job(made, job) if job else None, [parent for parent in parents if ids.is_uuid(parent)])


def _request(kind: Kind, told: Mapping[str, Any], item: Mapping[str, Any], job: Mapping[str, Any]) -> Request:
    asked = item["prompt"], _text(item["model"]), _text(item["aspectRatio"])
    if kind is Kind.IMAGE:
        return ImageRequest(*asked, item.get("style"), item.get("referenceImageUrl"), job.get("webhook"))
    seconds = str(job.get("durationAsked", f"{round(told['seconds'])}s")).removesuffix("s")
    links = item.get("firstFrameImageUrl"), item.get("extendVideoUrl"), tuple(item.get("referenceImageUrls") or ())
    return VideoRequest(*asked, int(seconds), *links, job.get("webhook"))


def _item(
    kind: Kind, key: Key, item: Mapping[str, Any], request: Request, told: Mapping[str, Any], job_id: str | None
) -> Item:
    (account_id, file_id), created = key, milliseconds(item["createdDate"])
    size = int(item["width"]), int(item["height"])
    if isinstance(request, ImageRequest):
        return Image(file_id, account_id, job_id, request, created, *size)
    return Video(_text(item["id"]), account_id, file_id, job_id, request, created, *size, float(told["seconds"]))


def _job(item: Item, told: Mapping[str, Any]) -> Job:
    cost, estimate = told.get("cost"), told.get("estimate")
    return Job(
        id=_text(told["jobId"]),
        account_id=item.account_id,
        item_id=item.id,
        request=item.request,
        credits=Decimal(told["aiCreditsUsed"]),
        state=JobState.COMPLETED,
        created=milliseconds(told["createdDate"]),
        origin=_text(told["origin"]),
        cost=None if cost is None else Decimal(cost),
        provider=str(told.get("provider") or ""),
        estimate=None if estimate is None else Decimal(estimate),
        cost_source=told.get("costSource"),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _own(account_id: str) -> re.Pattern[str]:
    return re.compile(rf"https?://[^/]+/(?:videos|images|uploads)/user/{re.escape(account_id)}/({_UUID})[_.]")
