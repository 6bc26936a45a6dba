"""Which jobs a worker takes next: in turns by account, within what each route bears, whatever else hangs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from rushes.model import Job
from rushes.providers.routes import Routes
from rushes.store import Rows, Store, Transaction, accounts, turns
from rushes.store.turns import Hold


@dataclass(slots=True)
class Places:
    """The places of one worker.

    A provider, and an account, may hold as many of them as it leaves free, where there is another: however many of
    them hang, there is a place for the next one. (Dynamic thresholds, Choudhury and Hahne, 1998.)
    """

    free: int
    one_provider: bool
    one_account: bool
    providers: Counter[str] = field(default_factory=Counter)
    accounts: Counter[str] = field(default_factory=Counter)

    def hold(self, provider: str, held: Collection[Job]) -> None:
        """Note who has places."""
        self.providers[provider] += len(held)
        self.accounts.update(job.account_id for job in held)

    def take(self, provider: str, taken: Collection[Job]) -> None:
        """Note who takes free ones."""
        self.hold(provider, taken)
        self.free -= len(taken)

    def for_provider(self, provider: str) -> int:
        """How many of the free ones a provider may take."""
        return self.free if self.one_provider else self._share(self.providers[provider])

    def for_accounts(self) -> int:
        """How many any account that is not :meth:`crowding` may take."""
        crowding = self.crowding()
        most = max((held for name, held in self.accounts.items() if name not in crowding), default=0)
        return self.free if self.one_account else self._share(most)

    def crowding(self) -> set[str]:
        """The accounts that may take none."""
        return set() if self.one_account else {name for name, held in self.accounts.items() if not self._share(held)}

    def _share(self, held: int) -> int:
        return max(0, (self.free - held + 1) // 2)


@dataclass(frozen=True, slots=True)
class Turns:
    """The verbs of the queue."""

    store: Store
    routes: Routes
    lease_ms: int

    async def claim(self, owner: str, free: int, held: Collection[Job] = ()) -> list[Job]:
        """Take up to ``free`` jobs for a worker beside those it holds, each under a lease."""
        if not await turns.anything(self.store):
            return []
        places = await self._places(free, held)
        if not await self._any_for(places):
            return []
        async with self.store.write() as tx:
            return await self._take(tx, Hold(owner, self.lease_ms), places)

    async def _places(self, free: int, held: Collection[Job]) -> Places:
        places = Places(free, len(set(self.routes.names.values())) == 1, await accounts.at_most_one(self.store))
        for job in held:
            places.hold(self._provider(job.request.model), [job])
        return places

    async def _any_for(self, places: Places) -> bool:
        """Whether it is worth a transaction: jobs may wait for long for what others of their route have."""
        if await turns.any_back(self.store):
            return True
        open_ones = (model for model in await turns.due(self.store) if places.for_provider(self._provider(model)))
        return any(True for _ in open_ones) or bool(await self._lines(self.store, places))

    async def _take(self, tx: Transaction, hold: Hold, places: Places) -> list[Job]:
        """New ones and those under way, now these first and now those: neither waits for all of the others."""
        await turns.back(tx)
        sides = [self._take_due, self._take_next]
        random.shuffle(sides)
        return [job for side in sides for job in await side(tx, hold, places)]

    async def _take_due(self, tx: Transaction, hold: Hold, places: Places) -> list[Job]:
        taken: list[Job] = []
        for model in await turns.due(tx):
            provider = self._provider(model)
            if most := places.for_provider(provider):
                some = await turns.take_due(tx, hold, model, most)
                places.take(provider, some)
                taken += some
        return taken

    async def _take_next(self, tx: Transaction, hold: Hold, places: Places) -> list[Job]:
        if self.routes.limited:
            await tx.lock("turns")  # who counts what is in hand must be the only one that adds to it
        taken: list[Job] = []
        for model in await self._lines(tx, places):
            while most := await self._most(tx, model, places):
                some = await turns.take_next(tx, hold, model, most, places.crowding())
                places.take(self._provider(model), some)
                taken += some
                if len(some) < most:
                    break
        return taken

    async def _lines(self, sql: Rows, places: Places) -> list[str]:
        """The models of lines from which jobs may be taken; those of the same priority in any order."""
        lines = await turns.lines(sql)
        random.shuffle(lines)
        lines.sort(key=lambda line: -line.priority)
        return [line.model for line in lines if await self._most(sql, line.model, places)]

    async def _most(self, sql: Rows, model: str, places: Places) -> int:
        """How many jobs may be taken from a line at once, whoever's they are."""
        most = min(places.for_provider(self._provider(model)), places.for_accounts())
        for limit in self.routes.limits(model) if most else ():
            in_hand = [await turns.in_hand(sql, each) for each in limit.models]
            most = min(most, limit.most - sum(in_hand))
        return max(0, most)

    def _provider(self, model: str) -> str:
        return self.routes.names.get(model, "")

    async def set_priority(self, account: str, priority: int) -> bool:
        """Let an account's jobs go before those of lower priority; ``False``: there is no account of that name."""
        async with self.store.write() as tx:
            found = await accounts.find(tx, account)
            if found is not None:
                await turns.set_priority(tx, found.id, priority)
        return found is not None
