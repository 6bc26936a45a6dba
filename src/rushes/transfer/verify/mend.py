"""Setting an item right: stills from its MP4, the row's text from the file, the sidecar from the row.

Nothing here touches an MP4 or an image, and no row goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rushes import media, wire
from rushes.blobs.sums import sums
from rushes.model import Kind
from rushes.store import accounts, library, verify
from rushes.studio import Studio
from rushes.transfer.verify.faults import FACTS, SIDECAR
from rushes.transfer.verify.items import LOCAL, Look


async def mend(studio: Studio, look: Look, folder: Path) -> None:
    """Mend what can be mended of an item whose files are in ``folder``, all that there are.

    Raises:
        Unreadable: its MP4 is no video; Unavailable: the database or the storage cannot be used.
    """
    kinds = {fault.fault for fault in look.faults}
    made = await _stills(studio, look, folder)
    if FACTS in kinds and look.right and not await _text(studio, look):
        return
    if made or SIDECAR in kinds:
        await _sidecar(studio, look, folder, made)
    # It may have been deleted before the last of these were put.
    if await verify.item(studio.store, look.kind, look.row.account_id, look.row.file_id) is None:
        for name in look.files.all:
            await studio.blobs.delete(name)


async def _stills(studio: Studio, look: Look, folder: Path) -> list[str]:
    """The links of those that were made anew: they are read from the MP4, which must be sound."""
    bad = [fault.link for fault in look.faults if fault.link not in ("", "url")]
    if not bad or not look.is_mp4_sound or look.kind is Kind.IMAGE:
        return []
    made = folder / "made"
    made.mkdir()
    await media.stills(folder / LOCAL["url"], made)
    for link in dict.fromkeys(bad):
        (made / LOCAL[link]).replace(folder / LOCAL[link])
    return bad


async def _text(studio: Studio, look: Look) -> bool:
    """Correct the row's text; ``False``: the item has gone."""
    assert look.right is not None  # noqa: S101  (for the type checker)
    async with studio.store.write() as tx:
        if await verify.item(tx, look.kind, look.row.account_id, look.row.file_id) is None:
            return False
        return await verify.correct(tx, look.kind, look.row, wire.item(look.right))


async def _sidecar(studio: Studio, look: Look, folder: Path, made: list[str]) -> None:
    """Write it anew from the row, with what is known of the files; then put the stills that it tells of."""
    if look.right is None:
        return
    source = (look.told or {}).get("source")
    written = folder / "sidecar.json"
    text = wire.sidecar(
        look.right, look.job, source if isinstance(source, dict) else None, **await _known(studio, look, folder, made)
    )
    await asyncio.to_thread(written.write_bytes, text.encode(errors="backslashreplace"))
    for link in dict.fromkeys(made):
        await studio.blobs.put(look.files.links[link], folder / LOCAL[link])
    await studio.blobs.put(look.files.sidecar, written)


async def _known(studio: Studio, look: Look, folder: Path, made: list[str]) -> dict[str, Any]:
    """What a sidecar knows beside the item: of a file that is wrong, what it was, never what it has become."""
    wrong = {fault.link for fault in look.faults} - set(made)
    there = {link: folder / LOCAL[link] for link in look.files.links if (folder / LOCAL[link]).exists()}
    now = await asyncio.to_thread(sums, {link: path for link, path in there.items() if link not in wrong})
    row = look.row
    return {
        "account": await accounts.name_of(studio.store, row.account_id),
        "parents": sorted(await library.parents_of(studio.store, row.account_id, row.id)),
        **{what: {**_kept(look, what, wrong), **found} for what, found in now.items()},
    }


def _kept(look: Look, what: str, wrong: set[str]) -> Mapping[str, Any]:
    return {link: value for link, value in look.known(what).items() if link in wrong}
