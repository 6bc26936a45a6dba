"""Budgets, as algebra: whatever happens to jobs in any order, what is held and what is spent is their sum, exactly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from rushes import config, ids
from rushes.errors import BudgetExceeded, Conflict, JobFinished, ProviderFailed
from rushes.model import REPORTED, UNKNOWN, Job, JobState, VideoRequest
from rushes.store import accounts, budgets, jobs
from rushes.studio import Studio
from tests.contract.samples import submitted

T = TypeVar("T")

MODELS = {
    "pixverse5.5": {"provider": "sandbox", "dollars_per_second": "0.013"},
    "veo3.1": {"provider": "tests.work.providers:Scripted", "dollars": "1.25"},
}
PRICES = {"pixverse5.5": Decimal("0.065"), "veo3.1": Decimal("1.25")}
REQUESTS = {
    "pixverse5.5": VideoRequest("a heron", "pixverse5.5", "9:16", 5),
    "veo3.1": VideoRequest("a heron", "veo3.1", "9:16", 8),
}
LIMIT = Decimal(4)
COSTS = st.one_of(st.none(), st.decimals(0, 3, places=4))


class Purses(RuleBasedStateMachine):
    """Jobs of one account at two providers: asked for, sent, failed, cancelled, settled, reopened, in any month."""

    runner: asyncio.Runner
    studio: Studio

    def __init__(self) -> None:
        super().__init__()
        self.open: dict[str, Decimal] = {}
        self.held: dict[str, Job] = {}
        self.sent: set[str] = set()
        self.unsettled: dict[str, tuple[int, Decimal]] = {}
        """Month of the end, and what is counted."""
        self.spent: dict[int, Decimal] = {}

    def do(self, act: Awaitable[T]) -> T:
        async def it() -> T:
            return await act

        return self.runner.run(it())

    @initialize()
    def begin(self) -> None:
        self.name = ids.uuid()
        self.do(self.studio.create_key(self.name, ""))
        account = self.do(accounts.find(self.studio.store, self.name))
        assert account
        self.account_id = account.id

    @property
    def month(self) -> int:
        moment = datetime.fromtimestamp(self.do(self.studio.now()) / 1000, UTC)
        return moment.year * 100 + moment.month

    def count(self, month: int, amount: Decimal) -> None:
        self.spent[month] = self.spent.get(month, Decimal(0)) + amount

    @rule(model=st.sampled_from(sorted(MODELS)))
    def ask(self, model: str) -> None:
        asked = submitted(self.studio, self.account_id, REQUESTS[model], "http://a.example")
        if self.spent.get(self.month, 0) + sum(self.open.values()) + PRICES[model] > LIMIT:
            with pytest.raises(BudgetExceeded):
                self.do(asked)
        else:
            self.open[self.do(asked).id] = PRICES[model]

    @rule()
    def send(self) -> None:
        """A worker takes what is due, and is about to send it."""
        for job in self.do(self.studio.turns.claim(ids.uuid(), 1000)):
            if job.id in self.open and job.state is JobState.QUEUED:
                self.held[job.id] = self.do(self.studio.send(job, job))
                self.sent.add(job.id)

    @rule(data=st.data(), cost=COSTS)
    def end(self, data: st.DataObject, cost: Decimal | None) -> None:
        """It failed, and cost something, nothing, or nobody knows."""
        if job := self._pick(data, self.held):
            source = UNKNOWN if cost is None else REPORTED
            self.do(self.studio.fail(replace(job, cost=cost, cost_source=source), ProviderFailed("It broke.")))
            self._ended(job.id, cost)

    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        """The provider said no: nothing was accepted."""
        if job := self._pick(data, self.held):
            self.do(self.studio.fail(replace(job, cost_source=None), ProviderFailed("No.")))
            self._ended(job.id, Decimal(0))

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.open:
            asked = data.draw(st.sampled_from(list(self.open)))
            self.do(self.studio.cancel_job(self.account_id, asked))
            self._ended(asked, None if asked in self.sent else Decimal(0))
            with pytest.raises(JobFinished):
                self.do(self.studio.cancel_job(self.account_id, asked))

    @rule(data=st.data(), cost=st.decimals(0, 3, places=4))
    def settle(self, data: st.DataObject, cost: Decimal) -> None:
        if self.unsettled:
            asked = data.draw(st.sampled_from(list(self.unsettled)))
            self.do(self.studio.money.settle(asked, cost))
            month, counted = self.unsettled.pop(asked)
            self.count(month, cost - counted)
            with pytest.raises(Conflict):
                self.do(self.studio.money.settle(asked, cost))

    @rule(data=st.data())
    def reopen(self, data: st.DataObject) -> None:
        if self.unsettled:
            asked = data.draw(st.sampled_from(list(self.unsettled)))
            row = self.do(jobs.get(self.studio.store, self.account_id, asked))
            assert row
            if row.state is not JobState.FAILED:
                return
            self.do(self.studio.money.reopen(asked, "a ticket"))
            month, counted = self.unsettled.pop(asked)
            self.count(month, -counted)
            self.open[asked] = PRICES[row.request.model]

    @rule()
    def turn_the_page(self) -> None:
        """A month later. What workers held is theirs no longer."""
        self.studio.store.clock_shift += 31 * 24 * 3600 * 1000
        self.held.clear()

    @invariant()
    def it_adds_up(self) -> None:
        if not hasattr(self, "account_id"):
            return
        found = {each.scope: each for each in self.do(self._purses())}.get(f"account {self.name}")
        spent, held = (found.spent, found.held) if found else (Decimal(0), Decimal(0))
        assert held == sum(self.open.values())
        assert spent == self.spent.get(self.month, 0)

    async def _purses(self) -> list[budgets.Purse]:
        return await budgets.purses(self.studio.store, await self.studio.now())

    def _ended(self, job_id: str, cost: Decimal | None) -> None:
        self.held.pop(job_id, None)
        estimate = self.open.pop(job_id)
        self.count(self.month, estimate if cost is None else cost)
        if cost is None:
            self.unsettled[job_id] = self.month, estimate

    def _pick(self, data: st.DataObject, among: dict[str, Job]) -> Job | None:
        return among[data.draw(st.sampled_from(list(among)))] if among else None


@pytest.fixture
def purses(tmp_path: Path, database_url: str | None) -> Iterator[type[Purses]]:
    told = config.load(data=tmp_path, database_url=database_url, models=MODELS, account_budget=LIMIT)
    with asyncio.Runner() as runner:
        opened = Studio.open(told)
        studio = runner.run(opened.__aenter__())
        yield type("Purses", (Purses,), {"runner": runner, "studio": studio})
        runner.run(opened.__aexit__(None, None, None))


def test_what_is_held_and_spent_is_the_sum_of_the_jobs(purses: type[Purses]) -> None:
    limits = settings(max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(purses, settings=limits)
