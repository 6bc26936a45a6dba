"""Libraries that files enter and leave, and files to do it with."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av

from rushes import wire
from rushes.model import Item, Kind
from rushes.store import accounts
from rushes.store.library import LIBRARIES
from rushes.studio import Studio
from rushes.transfer.bring import Brought, bring, found
from rushes.transfer.export import Exported, export
from rushes.transfer.sidecar import Told
from tests.media.clips import make

MAY = 1_777_636_800_000
"""2026-05-01T12:00:00Z."""


def clip(path: Path, shade: int = 0, **told: Any) -> Path:
    """A short clip, another for each shade, of May 2026."""
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path, frames=6 + shade, **told)
    os.utime(path, (MAY / 1000 + shade, MAY / 1000 + shade))
    return path


def tagged(path: Path, source: Path, **tags: str) -> Path:
    """The same clip with metadata."""
    with av.open(str(source)) as old, av.open(str(path), "w", format="mp4") as new:
        [stream] = old.streams.video
        copied = new.add_stream_from_template(stream)
        new.metadata.update(tags)
        for packet in old.demux(stream):
            if packet.dts is not None:
                packet.stream = copied
                new.mux(packet)
    return path


async def account_id(studio: Studio, name: str = "default") -> str:
    """The account of that name."""
    async with studio.store.write() as tx:
        return (await accounts.named(tx, name)).id


async def brought(studio: Studio, *paths: Path, account: str = "default", **told: Any) -> list[Brought]:
    """Import them; what became of each, by path."""
    done: list[Brought] = []
    await bring(studio, account, found(paths), Told(**told), done.append)
    return sorted(done)


async def exported(studio: Studio, folder: Path, account: str = "default", *, delete: bool = False) -> list[Exported]:
    """Export it; what became of each item, in the order told."""
    return [done async for done in export(studio, account, folder, delete=delete)]


async def texts(studio: Studio, kind: Kind, account: str = "default") -> list[str]:
    """A whole list as the API tells it, but for the host and the account."""
    owner = await account_id(studio, account)
    page = await LIBRARIES[kind].page(studio.store, owner, None, 1000)
    return [wire.resolve(item, "").decode().replace(owner, "ACCOUNT") for item in page.items]


async def items(studio: Studio, account: str = "default") -> list[dict[str, Any]]:
    """Videos, then images, each newest first."""
    return [json.loads(text) for kind in Kind for text in await texts(studio, kind, account)]


async def entered(studio: Studio, *made: Item, files: Sequence[bytes] = (b"video", b"jpg", b"jpeg", b"png")) -> None:
    """Enter items, with files that nobody looks into."""
    for item in made:
        assert await studio.expect_files(item.account_id, item.request.kind, item.files.file_id)
        contents = [*files[: len(item.files.all) - 1], wire.sidecar(item).encode()]
        with studio.blobs.workspace() as folder:
            for name, content in zip(item.files.all, contents, strict=True):
                (folder / "file").write_bytes(content)
                await studio.blobs.put(name, folder / "file")
        assert await studio.bring_in(item)


async def left(studio: Studio) -> tuple[int, list[str]]:
    """Drafts, and the names in storage that belong to no item."""
    [(drafts,)] = await studio.store.rows("SELECT count(*) FROM drafts")
    rows = await studio.store.rows("SELECT file_id FROM videos UNION ALL SELECT file_id FROM images")
    known = {file_id for (file_id,) in rows}
    names = [name for prefix in ("videos", "images", "sidecars") for name in await studio.blobs.names(prefix)]
    return int(drafts), [name for name in names if not any(file_id in name for file_id in known)]
