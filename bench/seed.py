"""Fill a library: rows as a real entry writes them, and one small real video under all of their names.

``python -m bench.seed --data DIR --videos N [--account default] [--no-files] [--seed 1]``; on PostgreSQL when
``RUSHES_DATABASE_URL`` says so. The videos are dated up to now, one every minute and a half on average. Give the
account a key with ``rushes keys create``.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import random
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from rushes import config, ids, media, wire
from rushes.catalogue import VIDEO_MODELS
from rushes.model import Account, Job, JobState, Video, VideoRequest
from rushes.store import accounts
from rushes.store.library import VIDEOS
from rushes.studio import Studio

BATCH = 5000

Size = tuple[int, int, int]
"""A clip's width, height and seconds."""

SMALL: Size = (320, 180, 1)
MEGABYTE: Size = (1280, 720, 4)
"""About one."""

_MEAN_GAP_MS = 90_000
_SAME_TIME = 0.03


async def seed(
    studio: Studio, name: str, count: int, *, files: bool = False, number: int = 1, clip_of: Size = SMALL
) -> None:
    """Enter ``count`` videos into the account of that name, oldest first, the last of them about now."""
    async with studio.store.write() as tx:
        account = await accounts.named(tx, name)
    # The revision is in it so that an account can be seeded again: the same names could not enter twice.
    chance = random.Random(f"{name} {number} {account.revision}")
    with tempfile.TemporaryDirectory(dir=studio.config.data) as folder:
        clip = await _clip(Path(folder), studio.config.data / "media", clip_of) if files else None
        made = _videos(account, count, await studio.now(), clip, chance)
        while batch := list(islice(made, BATCH)):
            if clip:
                await asyncio.to_thread(_link_all, clip, batch)
            await _enter(studio, account, batch)


async def _enter(studio: Studio, account: Account, batch: list[Video]) -> None:
    async with studio.store.write() as tx:
        for video in batch:
            await VIDEOS.add(tx, video)


@dataclass
class _Clip:
    """One video's files, to be linked under the names of many."""

    media: Path
    sources: tuple[Path, ...]
    """The MP4 and its stills, in the order of ``VideoFiles.all``."""
    width: int
    height: int
    seconds: float

    def link(self, video: Video) -> None:
        for source, name in zip(self.sources, video.files.all, strict=False):
            target = self.media / name
            try:
                target.hardlink_to(source)
            except OSError as error:
                if error.errno != errno.EMLINK:
                    raise
                # A file has only so many names (65,000 on ext4): go on with a copy.
                shutil.copyfile(source, target)
                source.unlink()
                source.hardlink_to(target)


async def _clip(folder: Path, kept: Path, size: Size) -> _Clip:
    from rushes.providers.sandbox import film
    from rushes.providers.sandbox.ticket import Ticket

    movie = folder / "video.mp4"
    await asyncio.to_thread(film.draw, Ticket("pixverse5.5", "ocean waves", *size, 0.0), movie)
    facts = await media.stills(movie, folder)
    stills = (folder / name for name in ("preview.jpg", "thumbnail.jpg", "last_frame.png"))
    return _Clip(kept, (movie, *stills), facts.width, facts.height, facts.seconds)


def _link_all(clip: _Clip, batch: list[Video]) -> None:
    for name in (batch[0].files.video, batch[0].files.sidecar):
        (clip.media / name).parent.mkdir(parents=True, exist_ok=True)
    for video in batch:
        clip.link(video)
        (clip.media / video.files.sidecar).write_text(wire.sidecar(video, _job(video)))


def _videos(account: Account, count: int, now: int, clip: _Clip | None, chance: random.Random) -> Iterator[Video]:
    created = now - count * _MEAN_GAP_MS
    for _ in range(count):
        # Some are finished in the same millisecond: only their ids tell them apart.
        if chance.random() > _SAME_TIME:
            created = min(now, created + int(chance.expovariate(1 / _MEAN_GAP_MS)))
        request = _request(chance)
        size = VIDEO_MODELS[request.model].sizes[request.aspect_ratio]
        width, height, seconds = (clip.width, clip.height, clip.seconds) if clip else (*size, request.seconds)
        yield Video(
            id=f"{ids.item_id(created - chance.randrange(20_000, 180_000))[:17]}{chance.getrandbits(64):016x}",
            account_id=account.id,
            file_id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            job_id=None,
            request=request,
            created=created,
            width=width,
            height=height,
            seconds=seconds,
        )


def _request(chance: random.Random) -> VideoRequest:
    model = chance.choice(_MODELS)
    return VideoRequest(
        prompt=_prompt(chance),
        model=model.name,
        aspect_ratio=chance.choice(model.aspect_ratios),
        seconds=chance.choice(model.durations),
    )


def _prompt(chance: random.Random) -> str:
    pieces = (" ".join(chance.choice(words) for words in _WORDS) for _ in range(chance.randint(4, 7)))
    return f"{', '.join(pieces)}."


def _job(video: Video) -> Job:
    """A job as it may have been: the sidecar tells of it, and no row does, as after a pull from elsewhere."""
    return Job(
        id=video.file_id,
        account_id=video.account_id,
        item_id=video.id,
        request=video.request,
        credits=VIDEO_MODELS[video.request.model].credits(video.request.seconds),
        state=JobState.COMPLETED,
        created=video.created,
        origin="",
    )


_MODELS = tuple(VIDEO_MODELS.values())
_WORDS = (
    ("a slow", "a close", "one long", "an aerial", "a handheld", "a steady", "a wide"),
    ("shot of", "look at", "glide past", "push towards", "circle around", "view over"),
    ("a red fox", "two sailors", "the old harbour", "a glass city", "wet asphalt", "paper boats", "夜の東京", "a café"),
    ("at dawn", "in heavy rain", "under neon", "by candlelight", "in deep fog", "at golden hour", "after the storm"),
)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.seed", description="Fill a library with videos.")
    parser.add_argument("--data", type=Path, required=True, help="the folder for the database and the files")
    parser.add_argument("--videos", type=int, required=True, help="how many")
    parser.add_argument("--account", default="default", help="made if it is new")
    parser.add_argument("--no-files", action="store_true", help="rows alone")
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same prompts and names")
    told = parser.parse_args()
    start = time.perf_counter()
    asyncio.run(_fill(told))
    took = time.perf_counter() - start
    what = "rows" if told.no_files else "videos"
    print(f"entered {told.videos:,} {what} into the account {told.account} in {took:.1f} s")


async def _fill(told: argparse.Namespace) -> None:
    async with Studio.open(config.load(data=told.data)) as studio:
        await seed(studio, told.account, told.videos, files=not told.no_files, number=told.seed)


if __name__ == "__main__":
    main()
