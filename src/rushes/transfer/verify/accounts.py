"""What an account's rows say together: its charges, its counters, its change feed, what came of what, its index.

Each suspicion is looked at once more, on its own, before it is told.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from rushes import wire
from rushes.model import Change, Kind
from rushes.paging import SortKey
from rushes.store import changes, indexed, library, search, uploads, verify
from rushes.store.verify import Charge, Counters, Line
from rushes.studio import Studio
from rushes.transfer.verify.faults import CHARGE, COUNTER, FEED, JOB, LINEAGE, REPAIR, SEARCH, Fault

_PAGE = 500
_BY_HAND = "the ledger is never changed by itself: correct it by hand, by its backup"
_SHORT = 1_000_000


@dataclass(frozen=True, slots=True)
class Books:
    """Looks at rows alone."""

    studio: Studio
    repair: bool
    _wrongly_charged: set[str] = field(default_factory=set)
    """Accounts whose ledger is wrong: nothing can be summed from that. As few as there are faults."""

    async def jobs(self) -> AsyncIterator[Fault]:
        """Jobs that are done: each has its item and its one charge."""
        async for page in verify.charges(self.studio.store):
            for suspect in await self._suspects(page):
                fresh = await verify.charge(self.studio.store, suspect.job_id)
                if fresh and await self._suspects([fresh]):
                    async for fault in self._job(fresh):
                        yield fault

    async def _suspects(self, some: list[Charge]) -> list[Charge]:
        sql = self.studio.store
        due = [each for each in some if each.is_due]
        lines = await verify.lines_of(sql, due)
        done = [each.job_id for each in due if each.state == "completed"]
        made = await verify.with_items(sql, done)
        wrong = {each.job_id for each in due if lines.get(each.job_id) != [each.amount]} | (set(done) - made)
        return [each for each in due if each.job_id in wrong]

    async def _job(self, job: Charge) -> AsyncIterator[Fault]:
        sql = self.studio.store
        amounts = (await verify.lines_of(sql, [job])).get(job.job_id, [])
        if job.state == "completed" and not await verify.with_items(sql, [job.job_id]):
            what = "the job is completed, and neither is its item there nor was it deleted"
            yield Fault(JOB, job.account_id, job.job_id, what, "restore a backup of the database, or clean the job")
        if not amounts:
            self._wrongly_charged.add(job.account_id)
            yield Fault(CHARGE, job.account_id, job.job_id, "the job is done and not charged", _BY_HAND)

    async def ledger(self) -> AsyncIterator[Fault]:
        """Lines of the ledger: each of a job that is done, of its amount, and the only one."""
        seen: dict[tuple[str, int, str], str] = {}
        async for lines in verify.ledger(self.studio.store):
            known = await self._charges(lines)
            for line in lines:
                if line.job_id is None:
                    continue
                place = (line.account_id, line.created, line.job_id)
                # Lines of one moment stand together.
                seen = {key: value for key, value in seen.items() if key[:2] == place[:2]}
                what = _wrong(line, known.get(line.job_id), is_second=place in seen)
                seen[place] = line.id
                if what:
                    self._wrongly_charged.add(line.account_id)
                    yield Fault(CHARGE, line.account_id, line.job_id, what, _BY_HAND)

    async def _charges(self, lines: list[Line]) -> dict[str, Charge]:
        ids = [line.job_id for line in lines if line.job_id]
        found: dict[str, Charge] = {}
        for start in range(0, len(ids), 250):
            found |= await verify.charges_of(self.studio.store, ids[start : start + 250])
        return found

    async def counters(self) -> AsyncIterator[Fault]:
        """What accounts and budgets count, against their rows."""
        async for account_id in verify.account_ids(self.studio.store):
            if wrong := await self._miscounted(account_id):
                fault = Fault(COUNTER, account_id, "", wrong, REPAIR)
                yield fault._replace(mended=await self._recount(account_id)) if self.repair else fault
        async for fault in self._budgets():
            yield fault

    async def _miscounted(self, account_id: str) -> str:
        async with self.studio.store.snapshot() as sql:
            stands = await verify.counted(sql, account_id)
            right = await verify.summed(sql, account_id, stands.month) if stands else None
        if stands is None or right is None:
            return ""
        if account_id in self._wrongly_charged:
            right = right._replace(spent=stands.spent)
        return "; ".join(_counts(stands, right))

    async def _recount(self, account_id: str) -> bool:
        async with self.studio.store.write() as tx:
            await verify.set_counters(tx, account_id, also_spent=account_id not in self._wrongly_charged)
        return True

    async def _budgets(self) -> AsyncIterator[Fault]:
        async with self.studio.store.snapshot() as sql:
            stands, right = await verify.budgets_held(sql), await verify.budgets_summed(sql)
        for scope, held in stands.items():
            if held == right.get(scope, 0):
                continue
            if self.repair:
                async with self.studio.store.write() as tx:
                    await verify.set_budget(tx, scope)
            what = (
                f"the budget of {scope} holds ${held / _SHORT:g}, its jobs under way ${right.get(scope, 0) / _SHORT:g}"
            )
            yield Fault(COUNTER, scope.removeprefix("account "), "", what, REPAIR, self.repair)

    async def feeds(self) -> AsyncIterator[Fault]:
        """The change feed of every account."""
        async for account_id in verify.account_ids(self.studio.store):
            last, is_twice = 0, False
            async for fault, revision in self._feed(account_id):
                last, is_twice = revision, is_twice or fault is not None
                if fault:
                    yield fault
            summed = await verify.feed_sum(self.studio.store, account_id)
            if last > summed.revision:
                what = f"its changes go up to revision {last}, and its own is {summed.revision}"
                yield Fault(FEED, account_id, "", what, "restore a backup of the database, or move to a new one")
            elif summed.told != summed.revision and not is_twice:
                what = f"{abs(summed.revision - summed.told)} of {summed.revision} changes are hidden"
                remedy = "whoever follows the feed must read the lists anew; restore a backup to have them back"
                yield Fault(FEED, account_id, "", what, remedy)

    async def _feed(self, account_id: str) -> AsyncIterator[tuple[Fault | None, int]]:
        since, more = 0, True
        while more:
            page = await changes.after(self.studio.store, account_id, since, _PAGE)
            before, more = 0, len(page) == _PAGE
            for change in page:
                yield await self._change(account_id, change, is_second=change.revision == before), change.revision
                before = change.revision
            # The last is read again with the next page: another of its revision may follow.
            since = before - 1 if more and page[0].revision < before else before

    async def _change(self, account_id: str, change: Change, *, is_second: bool) -> Fault | None:
        remedy = "restore a backup of the database; whoever follows the feed must read the lists anew"
        if is_second:
            what = f"revision {change.revision} is there twice"
            return Fault(FEED, account_id, change.item_id, what, remedy)
        if change.item is None and await self._is_alive(account_id, change.kind, change.item_id):
            return Fault(FEED, account_id, change.item_id, "it is there and told of as deleted", remedy)
        return None

    async def _is_alive(self, account_id: str, kind: Kind, item_id: str) -> bool:
        return await library.LIBRARIES[kind].get(self.studio.store, account_id, item_id) is not None

    async def lineage(self) -> AsyncIterator[Fault]:
        """What was made from what: the one is there, and the other is, was, or is told of as elsewhere."""
        async for lines in verify.lineage(self.studio.store):
            for account_id, parent, kind, created, item_id in lines:
                sql = self.studio.store
                item = await verify.child(sql, account_id, kind, created, item_id)
                if item is None and not await self._is_lineage(account_id, parent, kind, created, item_id):
                    continue
                if item is None:
                    yield await self._disowned(account_id, parent, kind, created, item_id)
                elif not await self._is_known(account_id, parent) and parent.encode() not in item:
                    what = f"it is said to be made from {parent}, which is nowhere"
                    yield Fault(LINEAGE, account_id, item_id, what, "nothing is lost: the item does not tell of it")

    async def _is_lineage(self, account_id: str, parent: str, kind: str, created: int, item_id: str) -> bool:
        """Whether the line is still there, and its child is still not."""
        sql = self.studio.store
        is_there = await verify.has_line(sql, account_id, parent, kind, created, item_id)
        return is_there and await verify.child(sql, account_id, kind, created, item_id) is None

    async def _disowned(self, account_id: str, parent: str, kind: str, created: int, item_id: str) -> Fault:
        if self.repair:
            async with self.studio.store.write() as tx:
                await verify.disown(tx, account_id, parent, kind, created, item_id)
        return Fault(LINEAGE, account_id, item_id, f"what was made from {parent} is not there", REPAIR, self.repair)

    async def _is_known(self, account_id: str, file_id: str) -> bool:
        sql = self.studio.store
        standing = await verify.standing(sql, account_id, file_id)
        return bool(standing & {"item", "deleted"}) or await uploads.get(sql, file_id) is not None

    async def index(self) -> AsyncIterator[Fault]:
        """The search index of every account."""
        async for account_id in verify.account_ids(self.studio.store):
            for kind in Kind:
                async for stretch in indexed.stretches(self.studio.store, account_id, kind):
                    for key in stretch.missing:
                        if self.repair:
                            await self._index(account_id, kind, key)
                        yield Fault(SEARCH, account_id, key.id, "no search finds it", REPAIR, self.repair)
                    for key in stretch.gone:
                        if self.repair:
                            async with self.studio.store.write() as tx:
                                await search.remove(tx, kind, account_id, key.created, key.id)
                        yield Fault(SEARCH, account_id, key.id, "searches find it, and it is gone", REPAIR, self.repair)

    async def _index(self, account_id: str, kind: Kind, key: SortKey) -> None:
        async with self.studio.store.write() as tx:
            item = await verify.child(tx, account_id, kind, key.created, key.id)
            if item is None:
                return
            told = json.loads(wire.resolve(item, ""))
            parents = await library.parents_of(tx, account_id, key.id)
            facts = {"prompt": told["prompt"], "model": told["model"], "aspect_ratio": told["aspectRatio"]}
            await search.add(tx, kind, account_id, key.created, key.id, parents=parents, **facts)


def _wrong(line: Line, job: Charge | None, *, is_second: bool) -> str:
    if job is None or not job.is_due or job.account_id != line.account_id:
        return "it was charged, and no job of the account is done by that id"
    if is_second or job.ended != line.created:
        return "the job was charged more than once"
    if job.amount != line.amount:
        return f"the job was charged {line.amount / _SHORT:g} credits instead of {job.amount / _SHORT:g}"
    return ""


def _counts(stands: Counters, right: Counters) -> list[str]:
    told = []
    if (stands.held, stands.under_way) != (right.held, right.under_way):
        told.append(
            f"{stands.under_way} jobs under way hold {stands.held / _SHORT:g} credits, "
            f"and there are {right.under_way} with {right.held / _SHORT:g}"
        )
    if stands.spent != right.spent:
        told.append(
            f"{stands.spent / _SHORT:g} credits are spent this month, and the ledger has {right.spent / _SHORT:g}"
        )
    return told
