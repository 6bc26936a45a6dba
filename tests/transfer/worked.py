"""A library as a worker makes it, with something of everything, copied for each test that spoils it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from rushes import config, ids, store
from rushes.errors import ContentRejected
from rushes.model import ImageRequest, JobState, Kind, VideoFiles
from rushes.store import library, uploads
from rushes.store.uploads import Upload
from rushes.studio import Studio
from rushes.transfer.bring import bring
from rushes.transfer.move import carry_rows
from rushes.transfer.sidecar import Told
from rushes.transfer.verify import Fault, Verification
from tests.contract.samples import submitted
from tests.media.clips import make
from tests.work.conftest import MODEL, SCRIPTED, Set, opened

ORIGIN = "http://a.example"
IMAGES = "seedream3.0"
ROUTES: dict[str, Any] = {
    MODEL: {"provider": SCRIPTED, "dollars": "0.5"},
    IMAGES: {"provider": "sandbox", "sizes": {"1:1": (64, 64)}},
}


@dataclass(frozen=True)
class Made:
    """What is in the library: names by which tests spoil it."""

    data: Path
    account: str
    first: VideoFiles
    """A video made by a job."""
    second: VideoFiles
    """Another, of another length, that goes on from its last frame."""
    upload: str
    database_url: str | None = None

    @property
    def media(self) -> Path:
        """Where its files are."""
        return self.data / "media"

    def path(self, name: str) -> Path:
        """A file of it."""
        return self.media / name

    @property
    def config(self) -> config.Config:
        """What opens it."""
        return config.load(data=self.data, database_url=self.database_url, models=ROUTES)

    @asynccontextmanager
    async def studio(self) -> AsyncIterator[Studio]:
        """It, open."""
        async with Studio.open(self.config) as studio:
            yield studio

    def copy(self, to: Path) -> Made:
        """The same library elsewhere."""
        shutil.copytree(self.data, to)
        return Made(to, self.account, self.first, self.second, self.upload)


async def on_postgres(made: Made, server: str) -> str:
    """Its rows in a PostgreSQL database of that server; the address."""
    url = new_database(server, "template0")
    old, new = await store.open(made.data), await store.open(made.data, url)
    async for _ in carry_rows(old, new):
        pass
    await old.close()
    await new.close()
    return url


def database_like(url: str) -> str:
    """Another database with the same rows."""
    return new_database(url, url.rpartition("?")[0].rpartition("/")[2])


def new_database(server: str, template: str) -> str:
    """A database made from another; its address."""
    name, (before, question, options) = f"t{ids.uuid().replace('-', '')}", server.partition("?")
    with psycopg.connect(f"{before.rpartition('/')[0]}/postgres?{options}", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return f"{before.rpartition('/')[0]}/{name}{question}{options}"


async def faults(studio: Studio, *, repair: bool = False, quick: bool = False) -> list[Fault]:
    """What a check finds."""
    return [fault async for fault in Verification(studio, repair, quick).faults()]


async def film(folder: Path) -> Made:
    """Make it: two videos, an image, one that came from elsewhere, one deleted, one that failed, one under way."""
    clips = [make(folder / f"{n}.mp4", width=64, height=112, frames=n) for n in (8, 14, 19, 24)]
    contents = [clip.read_bytes() for clip in clips]
    async with opened(folder / "data", None, contents[0], models=ROUTES) as shoot:
        studio, owner = shoot.studio, shoot.account_id
        shoot.provider.downloads = list(contents[:3])
        first = await shot(shoot)
        second = await shot(shoot, first_frame_image_url=f"{ORIGIN}/{first.last_frame}")
        third = await shot(shoot)
        assert await studio.delete_item(owner, Kind.VIDEO, await _item_of(studio, third))
        picture = ImageRequest("a red fox", IMAGES, "1:1")
        await shoot.end(await submitted(studio, owner, picture, ORIGIN))
        await bring(studio, "default", [clips[3]], Told(prompt="brought in"), lambda done: None)
        shoot.provider.submits = [ContentRejected("No; ask for something else.")]
        await shoot.end(await shoot.submit())
        await shoot.submit()
        name = await _uploaded(studio, owner)
    return Made(folder / "data", owner, first, second, name)


async def shot(shoot: Set, **asked: str) -> VideoFiles:
    """A video that a job made; its files."""
    job = await shoot.end(await shoot.submit(**asked))
    assert job.state is JobState.COMPLETED, job
    file_id = await library.file_of(shoot.studio.store, shoot.account_id, job.item_id)
    return VideoFiles(shoot.account_id, str(file_id))


async def _item_of(studio: Studio, files: VideoFiles) -> str:
    return str(await library.VIDEOS.id_of(studio.store, files.account_id, files.file_id))


async def _uploaded(studio: Studio, owner: str) -> str:
    names: list[str] = []

    def told(upload: Upload) -> str:
        names.append(upload.id)
        return ""

    await studio.announce_upload(owner, "png", "image/png", told, None)
    [upload_id] = names
    upload = await uploads.get(studio.store, upload_id)
    assert upload
    async with studio.receiving(upload) as (path, take):
        path.write_bytes(b"a picture")
        await take(9)
    return upload.name
