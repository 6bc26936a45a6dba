"""The money's part of the studio: what accounts and providers may spend, and what became of orders nobody heard of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from rushes.config import Config
from rushes.errors import Conflict, NotFound
from rushes.model import UNKNOWN, Job
from rushes.store import Store, Transaction, budgets, credits, jobs


@dataclass(frozen=True, slots=True)
class Money:
    """The verbs that change limits and costs, one transaction each."""

    config: Config
    store: Store

    async def set_credits(self, account: str, amount: Decimal | None) -> bool:
        """What an account may spend in a month; ``None``: the server's default. ``False``: there is no such account."""
        async with self.store.write() as tx:
            return await credits.set_limit(tx, account, amount)

    async def set_budget(self, account: str, amount: Decimal | None) -> bool:
        """What an account may cost in a month, in dollars; ``None``: what the settings say. ``False``: no such one."""
        async with self.store.write() as tx:
            return await budgets.set_limit(tx, account, amount)

    def limits(self, job: Job) -> budgets.Limits:
        """What a month may cost, of a job's provider and of its account."""
        settings = self.config.providers.get(job.provider)
        return budgets.Limits(settings.budget if settings else None, self.config.account_budget)

    def limit(self, scope: str) -> Decimal | None:
        """What the settings let a month cost of ``account …`` or ``provider …``."""
        kind, _, name = scope.partition(" ")
        settings = self.config.providers.get(name)
        return self.config.account_budget if kind == "account" else settings.budget if settings else None

    async def withdrawn(self, job: Job, cost: Decimal | None) -> None:
        """A cancelled job's provider was asked to stop; ``cost`` is what it said that it charges all the same."""
        async with self.store.write() as tx:
            await jobs.withdrawn(tx, job)
            if cost is not None and (ended := await jobs.reported(tx, job.id, cost)):
                await budgets.correct(tx, replace(job, cost=None, cost_source=UNKNOWN), ended, cost)

    async def settle(self, job_id: str, cost: Decimal) -> Job:
        """Note what an ended job did cost at its provider, as a person found out.

        Raises:
            NotFound: there is no such job; Conflict: its cost is known, or it has not ended.
        """
        async with self.store.write() as tx:
            job, ended = await self._over(tx, job_id)
            if not await jobs.settle(tx, job_id, cost):
                raise Conflict("There is nothing to settle: what it cost is known.")
            await budgets.correct(tx, replace(job, cost=None, cost_source=UNKNOWN), ended, cost)
        return job

    async def reopen(self, job_id: str, ticket: str | None) -> str | None:
        """Go on with a failed job that its provider has: by the ``ticket`` a person found, or the one that was kept.
        The ticket that was known before.

        Raises:
            NotFound, Conflict: as for ``settle``; or no ticket is known.
            InsufficientCredits, TooMany: the account has no room for it now.
        """
        async with self.store.write() as tx:
            job, ended = await self._over(tx, job_id)
            if not (ticket := ticket or job.ticket):
                raise Conflict("No ticket of it is known here; look for it at the provider and give it: --ticket.")
            if not await jobs.reopen(tx, job_id, ticket):
                raise Conflict("Only a job that failed can go on.")
            await credits.hold(tx, job, self.config.credits_per_month, self.config.jobs_per_account)
            await budgets.reopen(tx, job, ended)
        return job.ticket

    async def _over(self, tx: Transaction, job_id: str) -> tuple[Job, int]:
        found = await jobs.anyones(tx, job_id)
        if found is None:
            raise NotFound(f"There is no job {job_id} here.")
        job, ended = found
        if ended is None:
            raise Conflict("There is nothing to settle: it has not ended.")
        return job, ended
