"""The whole library is proven: every row has its files, every file its row, and all of it agrees.

    rows ⋈ files ─→ each item ─→ files alone ─→ jobs, ledger, counters ─→ feed, lineage, index

Rows and names come in order, a page at a time, so that memory does not grow with the library; a server may go on
meanwhile, because whatever looks wrong is looked at again before it is told.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rushes.errors import Unreadable
from rushes.model import FILES, Kind
from rushes.store import verify
from rushes.store.verify import ItemRow
from rushes.studio import Studio
from rushes.transfer.pairs import Group, folder_of, groups, paired
from rushes.transfer.verify.accounts import Books
from rushes.transfer.verify.faults import SWAPPED, Fault, Report
from rushes.transfer.verify.items import Look, Looker
from rushes.transfer.verify.leavings import Leavings
from rushes.transfer.verify.mend import mend

__all__ = ["Fault", "Report", "Verification"]

_MOST_COMPARED = 10_000
"""Files that are other ones, kept to the end to see which were exchanged."""


@dataclass(frozen=True, slots=True)
class Verification:
    """One run; ``quick``: files are not read, only there and as long as they were."""

    studio: Studio
    repair: bool = False
    quick: bool = False
    report: Report = field(default_factory=Report)

    async def faults(self) -> AsyncIterator[Fault]:
        """Each fault as it is found, and mended where that was asked for.

        Raises:
            Unavailable: the database or the storage cannot be used; another run begins anew.
        """
        leavings, books = Leavings(self.studio, self.repair, self.report), Books(self.studio, self.repair)
        parts = [*(self._items(kind, leavings) for kind in Kind)]
        parts += [leavings.beside("sidecars"), leavings.beside("inputs"), leavings.uploads()]
        parts += [books.jobs(), books.ledger(), books.counters(), books.feeds(), books.lineage(), books.index()]
        for part in parts:
            async for fault in part:
                self.report.add(fault)
                yield fault

    async def _items(self, kind: Kind, leavings: Leavings) -> AsyncIterator[Fault]:
        """Rows and files side by side; what is another file than it was comes last, when both of a pair are known."""
        others: list[Fault] = []
        async for faults in self._checked(kind, leavings):
            for fault in faults:
                if fault.found and len(others) < _MOST_COMPARED:
                    others.append(fault)
                else:
                    yield fault
        for fault in _exchanged(others):
            yield fault

    async def _checked(self, kind: Kind, leavings: Leavings) -> AsyncIterator[list[Fault]]:
        """The faults of each item, a few items at once."""
        waiting: set[asyncio.Task[list[Fault]]] = set()
        checker = _Checker(self, kind)
        try:
            async for row, group in self._pairs(kind):
                work = self._one(checker, leavings, row, group)
                waiting.add(asyncio.create_task(work))
                if len(waiting) >= 2 * (os.cpu_count() or 1):
                    done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        yield task.result()
            for task in list(waiting):
                yield await task
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    def _pairs(self, kind: Kind) -> AsyncIterator[tuple[ItemRow | None, Group | None]]:
        rows, files = verify.items(self.studio.store, kind), groups(self.studio.blobs, folder_of(kind))
        return paired(rows, files, lambda row: (row.account_id, row.file_id), lambda group: group.key)

    async def _one(
        self, checker: _Checker, leavings: Leavings, row: ItemRow | None, group: Group | None
    ) -> list[Fault]:
        sizes = group.sizes if group else {}
        self.report.files += len(sizes)
        self.report.size += sum(sizes.values())
        if row is not None:
            self.report.items += 1
            own = set(FILES[checker.kind](row.account_id, row.file_id).all)
            return [*await checker.check(row, sizes), *[each async for each in leavings.strangers(sizes.keys() - own)]]
        fault = await leavings.group(checker.kind, group) if group else None
        return [fault] if fault else []


class _Checker:
    """Checks items of one kind, and mends them where that is asked for."""

    def __init__(self, run: Verification, kind: Kind) -> None:
        self.kind = kind
        self._run = run
        self._looker = Looker(run.studio, run.quick)
        # What is to be mended is read whole.
        self._again = Looker(run.studio, run.quick and not run.repair, self._looker.examiner)

    async def check(self, row: ItemRow, sizes: Mapping[str, int]) -> list[Fault]:
        with self._run.studio.blobs.workspace() as folder:
            look = await self._looker.look(self.kind, row, folder, sizes)
        if not look.faults:
            return []
        with self._run.studio.blobs.workspace() as folder:
            fresh = await self._look_again(row, folder)
            if fresh is None or not fresh.faults or not self._run.repair:
                return fresh.faults if fresh else []
            try:
                await mend(self._run.studio, fresh, folder)
            except Unreadable:  # told of already: its MP4 is damaged
                return fresh.faults
        return await self._outcome(row, fresh)

    async def _look_again(self, row: ItemRow, folder: Path) -> Look | None:
        """The item as it is now; ``None``: it has gone."""
        store = self._run.studio.store
        fresh = await verify.item(store, self.kind, row.account_id, row.file_id)
        if fresh is None:
            return None
        look = await self._again.look(self.kind, fresh, folder)
        # Its row goes before its files do: what is still there had no files to lose.
        return look if await verify.item(store, self.kind, row.account_id, row.file_id) else None

    async def _outcome(self, row: ItemRow, before: Look) -> list[Fault]:
        with self._run.studio.blobs.workspace() as folder:
            after = await self._look_again(row, folder)
        left = {(fault.fault, fault.link) for fault in after.faults} if after else set()
        return [fault._replace(mended=(fault.fault, fault.link) not in left) for fault in before.faults]


def _exchanged(others: list[Fault]) -> list[Fault]:
    """Files that are other ones; where one is what another was, the two have been exchanged."""
    owners = {fault.expected: fault for fault in others}
    told = []
    for fault in others:
        owner = owners.get(fault.found)
        if owner is not None and owner.item_id != fault.item_id:
            what = f"{fault.what}: it is that of {owner.item_id}"
            remedy = fault.remedy if fault.can_be_mended else "exchange the two files again"
            fault = fault._replace(fault=SWAPPED, what=what, remedy=remedy)
        told.append(fault)
    return told
