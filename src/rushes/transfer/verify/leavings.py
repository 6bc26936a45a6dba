"""Files that belong to nothing, and what is referred to and has no file: along the names in storage.

An attempt under way has its note (a draft), a deleted item too (the trash), and what is young may be about to be told
of: none of these is a fault.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import PurePosixPath

from rushes.errors import Duplicate
from rushes.model import FILES, Kind
from rushes.store import drafts, verify
from rushes.store.drafts import Draft
from rushes.studio import Studio
from rushes.transfer.pairs import Group, groups
from rushes.transfer.verify.faults import MISSING, ORPHAN, REPAIR, SIZE, UNLISTED, Fault, Report
from rushes.transfer.verify.items import read


@dataclass(frozen=True, slots=True)
class Leavings:
    """Looks at files without rows."""

    studio: Studio
    repair: bool
    report: Report

    async def group(self, kind: Kind, group: Group) -> Fault | None:
        """Files of one uuid that no row of that kind names."""
        account_id, file_id = group.key
        if not account_id:
            return await self._stranger(file_id)
        files = FILES[kind](account_id, file_id)
        names = set(group.sizes)
        if await self._is_accounted_for(account_id, file_id, names):
            return None
        main = files.links["url"]
        if main in names and await self._is_an_item(account_id, file_id, files.sidecar):
            what = f"{main} and its sidecar are there, and no row: the database is older than the files"
            remedy = (
                f"take it out as x{PurePosixPath(main).suffix} with {files.sidecar} as x.json, and `rushes import` it"
            )
            return Fault(UNLISTED, account_id, file_id, what, remedy)
        fault = Fault(ORPHAN, account_id, file_id, f"{', '.join(sorted(names))} belong to nothing", REPAIR)
        return fault._replace(mended=await self._drop(kind, account_id, file_id)) if self.repair else fault

    async def strangers(self, names: Iterable[str]) -> AsyncIterator[Fault]:
        """Files beside an item's own that only look like them."""
        for name in names:
            if fault := await self._stranger(name):
                yield fault

    async def _stranger(self, name: str) -> Fault | None:
        if not await self._is_old([name]):
            return None
        return Fault(ORPHAN, "", name, f"{name} is no file of Rushes", "look what it is, and take it away")

    async def _is_accounted_for(self, account_id: str, file_id: str, names: Iterable[str]) -> bool:
        for _ in range(2):  # it may enter between the look at its age and the one at its row
            standing = await verify.standing(self.studio.store, account_id, file_id)
            if standing & {"item", "draft", "trash"} or not await self._is_old(names):
                return True
        return False

    async def _is_old(self, names: Iterable[str]) -> bool:
        """Whether any of them is still there, and none is younger than a broken attempt must be to be swept."""
        blobs = [await self.studio.blobs.stat(name) for name in names]
        ages = [time.time() - blob.modified for blob in blobs if blob]
        return bool(ages) and min(ages) > self.studio.config.sweep_seconds

    async def _is_an_item(self, account_id: str, file_id: str, sidecar: str) -> bool:
        """Whether it was one that nobody deleted: then it is never to be thrown away."""
        if "deleted" in await verify.standing(self.studio.store, account_id, file_id):
            return False
        try:
            return b'"item"' in await read(self.studio, sidecar)
        except FileNotFoundError:
            return False

    async def _drop(self, kind: Kind, account_id: str, file_id: str) -> bool:
        """Delete them as a broken attempt's are: condemned first, so that nothing can enter with them."""
        draft = Draft(file_id, account_id, kind)
        try:
            async with self.studio.store.write() as tx:
                if await verify.standing(tx, account_id, file_id) & {"item", "draft", "trash"}:
                    return False
                if "account" in await verify.standing(tx, account_id, file_id):
                    await drafts.expect(tx, draft)
                    await drafts.condemn(tx, draft.files)
        except Duplicate:  # somebody else announced them at this moment
            return False
        for name in (*draft.files.all, *draft.files.inputs):
            await self.studio.blobs.delete(name)
        async with self.studio.store.write() as tx:
            await drafts.remove(tx, draft.files)
        return True

    async def beside(self, prefix: str) -> AsyncIterator[Fault]:
        """Sidecars and inputs whose item is not there."""
        async with aclosing(groups(self.studio.blobs, prefix)) as found:
            async for group in found:
                self._count(group)
                account_id, file_id = group.key
                if not account_id:
                    if fault := await self._stranger(file_id):
                        yield fault
                elif not await self._has_main(account_id, file_id) and not await self._is_accounted_for(
                    account_id, file_id, group.sizes
                ):
                    yield await self._beside(account_id, file_id, group)

    async def _beside(self, account_id: str, file_id: str, group: Group) -> Fault:
        fault = Fault(ORPHAN, account_id, file_id, f"{', '.join(group.sizes)} belong to nothing", REPAIR)
        return fault._replace(mended=await self._drop(Kind.VIDEO, account_id, file_id)) if self.repair else fault

    async def _has_main(self, account_id: str, file_id: str) -> bool:
        """Whether what it lies beside is there, which is told of by itself."""
        if "item" in await verify.standing(self.studio.store, account_id, file_id):
            return True
        mains = [FILES[kind](account_id, file_id).links["url"] for kind in Kind]
        return any([await self.studio.blobs.stat(name) for name in mains])

    async def uploads(self) -> AsyncIterator[Fault]:
        """Uploads without their file, and files without their upload."""
        async for account_id, name, size in verify.uploads(self.studio.store):
            blob = await self.studio.blobs.stat(name)
            if blob is None:
                yield Fault(
                    MISSING, account_id, name, f"{name} is missing", "restore it from a backup, or send it again"
                )
            elif blob.size != size:
                what = f"{name} has {blob.size:,} bytes instead of {size:,}"
                yield Fault(SIZE, account_id, name, what, "restore it from a backup, or send it again")
        async with aclosing(groups(self.studio.blobs, "uploads/user")) as found:
            async for group in found:
                self._count(group)
                if fault := await self._upload(group):
                    yield fault

    async def _upload(self, group: Group) -> Fault | None:
        account_id, upload_id = group.key
        if not account_id:
            return await self._stranger(upload_id)
        if await self._is_upload(account_id, upload_id) or not await self._is_old(group.sizes):
            return None
        fault = Fault(ORPHAN, account_id, upload_id, f"{', '.join(group.sizes)} belong to nothing", REPAIR)
        if not self.repair or await self._is_upload(account_id, upload_id):
            return fault
        for name in group.sizes:
            await self.studio.blobs.delete(name)
        return fault._replace(mended=True)

    async def _is_upload(self, account_id: str, upload_id: str) -> bool:
        sql = self.studio.store
        return await verify.has_upload(sql, upload_id) or await verify.is_parent(sql, account_id, upload_id)

    def _count(self, group: Group) -> None:
        self.report.files += len(group.sizes)
        self.report.size += sum(group.sizes.values())
