"""What providers cost: how it is known, what is counted while it is not, and budgets that refuse before spending."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

import pytest

from rushes import media, model
from rushes.errors import (
    BudgetExceeded,
    Conflict,
    ContentRejected,
    InsufficientCredits,
    LeaseLost,
    NotFound,
    ProviderUnreachable,
)
from rushes.model import Job, JobState
from rushes.providers import Delivered, Done, Pending, Refused
from rushes.store import budgets
from rushes.work.sweep import sweep
from tests.work.conftest import DAY_MS, SCRIPTED, Set, opened

pytestmark = pytest.mark.anyio

A_CENT = {"dollars_per_second": "0.01"}
"""Five seconds: five cents."""
PRICE = Decimal("0.05")


@pytest.fixture
async def priced(tmp_path: Path, database_url: str | None, clip: bytes) -> AsyncIterator[Set]:
    """A set whose route says what it costs."""
    async with opened(tmp_path / "data", database_url, clip, route=A_CENT) as made:
        yield made


async def purse(on: Set, whose: str = "account") -> tuple[object, object]:
    """(spent, held) of this month."""
    for each in await budgets.purses(on.studio.store, await on.studio.now()):
        if each.scope.startswith(whose):
            return each.spent, each.held
    return Decimal(0), Decimal(0)


async def cancelled_while_sent(on: Set) -> tuple[Job, asyncio.Task[None], asyncio.Event]:
    """A job that was cancelled while its order is on the way, what sends it, and the gate before the answer."""
    gate = asyncio.Event()
    on.provider.submits = [gate, "a late ticket"]
    job = await on.submit()
    [held] = await on.studio.turns.claim(on.owner, 1)
    sending = asyncio.create_task(on.generator.advance(held))
    while not on.provider.count("submit"):
        await asyncio.sleep(0.01)
    await on.studio.cancel_job(on.account_id, job.id)
    return job, sending, gate


# --- how a cost is known ---


@pytest.mark.parametrize(
    ("told", "cost", "source"),
    [
        (Decimal("0.04"), Decimal("0.04"), "reported"),
        (Decimal(0), Decimal(0), "reported"),
        (None, PRICE, "rushes.toml"),
    ],
)
async def test_a_cost_is_the_providers_word_or_else_the_price_list(
    priced: Set, told: str | None, cost: Decimal, source: str
) -> None:
    priced.provider.polls = [Done("a source", None if told is None else Decimal(told))]
    job = await priced.submit()
    assert await purse(priced) == (0, PRICE)
    row = await priced.end(job)
    assert (row.state, row.cost, row.cost_source) == (JobState.COMPLETED, cost, source)
    assert await purse(priced) == (cost, 0)
    assert await purse(priced, "provider") == (cost, 0)


async def test_a_cost_nobody_knows_is_unknown_and_never_0(shoot: Set) -> None:
    row = await shoot.end(await shoot.submit())
    assert (row.state, row.estimate, row.cost, row.cost_source) == (JobState.COMPLETED, None, None, "unknown")


@pytest.mark.parametrize(
    ("told", "counted", "source"), [(Decimal("0.02"), Decimal("0.02"), "reported"), (None, PRICE, "unknown")]
)
async def test_a_failure_that_may_have_cost_something_counts(
    priced: Set, told: Decimal | None, counted: Decimal, source: str
) -> None:
    priced.provider.polls = [Refused(ContentRejected("No."), told)]
    row = await priced.end(await priced.submit())
    assert (row.state, row.cost, row.cost_source) == (JobState.FAILED, told, source)
    assert await purse(priced) == (counted, 0)


async def test_an_order_that_was_refused_costs_nothing(priced: Set) -> None:
    priced.provider.submits = [ContentRejected("No.")]
    row = await priced.end(await priced.submit())
    assert (row.state, row.cost, row.cost_source, row.ticket) == (JobState.FAILED, None, None, None)
    assert await purse(priced) == (0, 0)


async def test_an_order_that_may_have_been_taken_stays_unknown_whatever_is_said_when_it_is_sent_again(
    tmp_path: Path, database_url: str | None, clip: bytes
) -> None:
    """A provider that keeps an idempotency key: the first answer was lost, the second says "not now"."""
    async with opened(tmp_path / "data", database_url, clip, idempotent=True, route=A_CENT) as on:
        on.provider.submits = [OSError("the line broke"), ProviderUnreachable("Not now.")]
        job = await on.submit()
        for _ in range(4):
            await on.step()
            on.later(400)
        row = await on.row(job)
        assert (row.state, row.cost_source) == (JobState.QUEUED, "unknown")
        await on.studio.cancel_job(row.account_id, row.id)
        assert await purse(on) == (PRICE, 0)


# --- cancelled ---


async def test_the_provider_of_a_cancelled_job_is_asked_to_stop_once(priced: Set) -> None:
    priced.provider.polls = [Pending(5)]
    priced.provider.cancels = [Decimal("0.01")]
    job = await priced.submit()
    await priced.step()
    await priced.studio.cancel_job(priced.account_id, job.id)
    assert await purse(priced) == (PRICE, 0)
    row = await priced.step()
    assert row
    assert (row.state, row.cost, row.cost_source, row.ticket) == (JobState.CANCELLED, Decimal("0.01"), "reported", None)
    assert await purse(priced) == (Decimal("0.01"), 0)
    assert priced.provider.calls[-1] == "cancel a ticket"
    priced.later(10**6)
    assert await priced.step() is None


async def test_a_provider_that_cannot_be_asked_to_stop_is_asked_again_but_not_for_ever(priced: Set) -> None:
    priced.provider.polls = [Pending(5)]
    priced.provider.cancels = [ProviderUnreachable("Away.")]
    job = await priced.submit()
    await priced.step()
    await priced.studio.cancel_job(priced.account_id, job.id)
    for _ in range(30):
        await priced.step()
        priced.later(400)
    row = await priced.row(job)
    assert (row.state, row.ticket, row.cost_source) == (JobState.CANCELLED, None, "unknown")
    assert 1 < priced.provider.count("cancel") < 20


async def test_a_job_that_is_cancelled_while_it_is_sent_is_withdrawn_by_its_late_ticket(
    priced: Set,
) -> None:
    job, sending, gate = await cancelled_while_sent(priced)
    gate.set()
    with pytest.raises(LeaseLost):
        await sending
    assert (await priced.row(job)).ticket == "a late ticket"
    await priced.step()
    assert priced.provider.calls[-1] == "cancel a late ticket"


async def test_a_job_that_was_never_sent_holds_nothing_after_its_end(priced: Set) -> None:
    job = await priced.submit()
    await priced.studio.cancel_job(priced.account_id, job.id)
    assert await purse(priced) == (0, 0)
    assert (await priced.row(job)).cost_source is None


# --- settled by a person ---


async def unknown(on: Set) -> model.Job:
    """A job whose outcome nobody knows."""
    on.provider.submits = [RuntimeError("the line went dead"), "a ticket"]
    row = await on.end(await on.submit())
    assert (row.state, row.error_code, row.cost_source) == (JobState.FAILED, "OUTCOME_UNKNOWN", "unknown")
    assert await purse(on) == (PRICE, 0)
    return row


@pytest.mark.parametrize("cost", [Decimal(0), Decimal("0.04"), Decimal(7)])
async def test_a_person_says_what_it_did_cost(priced: Set, cost: Decimal) -> None:
    job = await unknown(priced)
    await priced.studio.money.settle(job.id, cost)
    row = await priced.row(job)
    assert (row.state, row.cost, row.cost_source) == (JobState.FAILED, cost, "settled")
    assert await purse(priced) == (cost, 0)
    with pytest.raises(Conflict):
        await priced.studio.money.settle(job.id, cost)
    assert priced.provider.count("submit") == 1


async def test_a_person_brings_the_ticket_and_the_video_enters_the_library(priced: Set) -> None:
    job = await unknown(priced)
    with pytest.raises(Conflict, match="ticket"):
        await priced.studio.money.reopen(job.id, None)
    await priced.studio.money.reopen(job.id, "what the provider's page says")
    assert await purse(priced) == (0, PRICE)
    row = await priced.end(job)
    assert (row.state, row.error_code, row.cost) == (JobState.COMPLETED, None, PRICE)
    assert await purse(priced) == (PRICE, 0)
    assert "poll what the provider's page says" in priced.provider.calls
    assert (priced.provider.count("submit"), await priced.count("videos")) == (1, 1)


async def test_a_job_that_ran_out_of_time_goes_on_with_the_ticket_that_was_kept(priced: Set) -> None:
    priced.provider.polls = [Pending(5)]
    job = await priced.submit()
    await priced.step()
    priced.later(DAY_MS / 1000 + 10)
    row = await priced.end(job)
    assert (row.error_code, row.ticket) == ("PROVIDER_TIMEOUT", "a ticket")
    priced.provider.polls = [Done("a source")]
    await priced.studio.money.reopen(job.id, None)
    assert (await priced.end(job)).state == JobState.COMPLETED


async def test_what_is_not_open_is_not_settled(priced: Set) -> None:
    job = await priced.end(await priced.submit())
    with pytest.raises(Conflict):
        await priced.studio.money.settle(job.id, Decimal(0))
    with pytest.raises(Conflict):
        await priced.studio.money.reopen(job.id, "a ticket")
    with pytest.raises(NotFound):
        await priced.studio.money.settle("no such job", Decimal(0))


async def test_a_job_goes_on_only_where_the_account_has_room_for_it(priced: Set) -> None:
    job = await unknown(priced)
    await priced.studio.money.set_credits("default", Decimal(1))
    with pytest.raises(InsufficientCredits):
        await priced.studio.money.reopen(job.id, "a ticket")
    assert (await priced.row(job)).state == JobState.FAILED
    assert await purse(priced) == (PRICE, 0)


async def test_a_paid_result_that_went_wrong_here_is_collected_after_all(priced: Set) -> None:
    """What it cost is known: its ticket is kept all the same."""
    priced.provider.downloads = [b"<html>an odd day</html>"]
    job = await priced.end(await priced.submit())
    assert (job.state, job.error_code, job.cost, job.ticket) == (JobState.FAILED, "PROVIDER_ERROR", PRICE, "a ticket")
    priced.provider.downloads = [priced.clip]
    await priced.studio.money.reopen(job.id, None)
    assert await purse(priced) == (0, PRICE)
    assert (await priced.end(job)).state == JobState.COMPLETED
    assert await purse(priced) == (PRICE, 0)
    assert priced.provider.count("submit") == 1


async def test_what_is_settled_while_the_provider_is_asked_to_stop_stays_so(priced: Set) -> None:
    gate = asyncio.Event()
    priced.provider.polls, priced.provider.cancels = [Pending(5)], [gate, Decimal("0.02")]
    job = await priced.submit()
    await priced.step()
    await priced.studio.cancel_job(priced.account_id, job.id)
    [held] = await priced.studio.turns.claim(priced.owner, 1)
    stopping = asyncio.create_task(priced.generator.advance(held))
    while not priced.provider.count("cancel"):
        await asyncio.sleep(0)
    await priced.studio.money.settle(job.id, Decimal("0.01"))
    gate.set()
    await stopping
    row = await priced.row(job)
    assert (row.cost, row.cost_source, row.ticket) == (Decimal("0.01"), "settled", None)
    assert await purse(priced) == (Decimal("0.01"), 0)


async def test_settled_at_once_by_two_it_counts_once(priced: Set) -> None:
    job = await unknown(priced)
    settling = (priced.studio.money.settle(job.id, Decimal(0)) for _ in range(8))
    told = await asyncio.gather(*settling, return_exceptions=True)
    assert sorted(type(each).__name__ for each in told) == ["Conflict"] * 7 + ["Job"]
    assert await purse(priced) == (0, 0)


# --- budgets ---


async def test_a_budget_refuses_before_anything_is_queued_however_many_ask_at_once(priced: Set) -> None:
    await priced.studio.money.set_budget("default", Decimal("0.52"))
    told = await asyncio.gather(*(priced.submit() for _ in range(40)), return_exceptions=True)
    refused = [each for each in told if isinstance(each, BaseException)]
    assert {type(each) for each in refused} == {BudgetExceeded}
    assert len(told) - len(refused) == 10
    assert await purse(priced) == (0, Decimal("0.50"))
    [(queued,)] = await priced.studio.store.rows("SELECT count(*) FROM jobs")
    assert queued == 10


async def test_a_budget_of_a_provider(tmp_path: Path, database_url: str | None, clip: bytes) -> None:
    limits = {SCRIPTED: {"budget": "0.12"}}
    async with opened(tmp_path / "data", database_url, clip, route=A_CENT, providers=limits) as on:
        await on.submit()
        await on.submit()
        with pytest.raises(BudgetExceeded, match="Scripted"):
            await on.submit()


async def test_a_new_month_is_a_new_budget(tmp_path: Path, database_url: str | None, clip: bytes) -> None:
    async with opened(tmp_path / "data", database_url, clip, route=A_CENT, account_budget="0.09") as on:
        await on.end(await on.submit())
        with pytest.raises(BudgetExceeded):
            await on.submit()
        on.later(32 * 24 * 3600)
        await on.end(await on.submit())
        assert await purse(on) == (PRICE, 0)


async def test_an_account_of_its_own_budget_is_refused_what_has_no_price(shoot: Set) -> None:
    await shoot.studio.money.set_budget("default", Decimal(5))
    with pytest.raises(BudgetExceeded, match="dollars_per_second"):
        await shoot.submit()
    await shoot.studio.money.set_budget("default", None)
    await shoot.submit()


async def test_a_job_is_counted_where_it_is_sent(priced: Set) -> None:
    """The route was changed between its submission and the worker that took it."""
    job = await priced.submit()
    async with priced.studio.store.write() as tx:
        await tx.rows("UPDATE jobs SET provider = 'another' WHERE id = :id", id=job.id)
        await tx.rows("UPDATE budgets SET scope = 'provider another' WHERE scope LIKE 'provider %'")
    row = await priced.end(job)
    assert row.provider == SCRIPTED
    assert await purse(priced, "provider another") == (0, 0)
    assert await purse(priced, "provider tests") == (PRICE, 0)


async def test_a_job_is_not_sent_where_the_budget_has_no_room_for_it(
    tmp_path: Path, database_url: str | None, clip: bytes
) -> None:
    """It was queued at another price."""
    async with opened(tmp_path / "data", database_url, clip, route=A_CENT, account_budget="0.10") as before:
        job = await before.submit()
    dear = {"dollars_per_second": "20"}
    async with opened(tmp_path / "data", database_url, clip, route=dear, account_budget="0.10") as after:
        row = await after.step()
        assert row
        assert (row.id, row.state, "budget" in str(row.set_back)) == (job.id, JobState.QUEUED, True)
        assert after.provider.count("submit") == 0
        assert await purse(after) == (0, PRICE)


@pytest.mark.parametrize("told", ["Infinity", "NaN", "1e30", "-1"])
async def test_a_cost_that_cannot_be_is_not_believed(priced: Set, told: str) -> None:
    priced.provider.polls = [Done("a source", Decimal(told))]
    row = await priced.end(await priced.submit())
    assert (row.state, row.cost, row.cost_source) == (JobState.COMPLETED, PRICE, "rushes.toml")


# --- results that came with the answer ---


async def test_a_result_that_was_kept_before_its_worker_died_is_found(priced: Set) -> None:
    job = await priced.submit()
    [held] = await priced.studio.turns.claim(priced.owner, 1)
    sending = await priced.studio.send(held, held)
    (priced.studio.config.data / "result").write_bytes(priced.clip)
    await priced.studio.blobs.put(model.result_name(job.account_id, job.id), priced.studio.config.data / "result")
    priced.later(60)
    row = await priced.end(sending)
    assert (row.state, row.cost, priced.provider.count("submit")) == (JobState.COMPLETED, PRICE, 0)


async def test_a_cancelled_and_cleaned_job_is_still_withdrawn_and_nothing_is_made_of_it(priced: Set) -> None:
    priced.provider.polls = [Pending(5)]
    job = await priced.submit()
    await priced.step()
    await priced.studio.cancel_job(priced.account_id, job.id)
    await priced.studio.clean_job(priced.account_id, job.id)
    row = await priced.step()
    assert row
    assert (row.state, row.ticket, priced.provider.calls[-1]) == (JobState.CLEANED, None, "cancel a ticket")
    priced.later(10**6)
    assert await priced.step() is None


async def test_an_order_is_not_hung_up_on_when_its_lease_is_lost(priced: Set) -> None:
    """As a worker does that finds its job cancelled: the task is cancelled, the order is not."""
    job, working, gate = await cancelled_while_sent(priced)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    gate.set()
    while (await priced.row(job)).ticket is None:
        await asyncio.sleep(0.01)
    await priced.step()
    assert priced.provider.calls[-1] == "cancel a late ticket"


async def test_what_comes_with_the_answer_is_not_paid_for_again_when_its_worker_stops(
    priced: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    priced.provider.submits = [Delivered(Decimal("0.03"))]
    priced.provider.delivers = priced.clip
    job = await priced.submit()
    [held] = await priced.studio.turns.claim(priced.owner, 1)
    looked_at = asyncio.Event()

    async def looking(*_: object) -> NoReturn:
        looked_at.set()
        await asyncio.Event().wait()
        raise AssertionError

    with monkeypatch.context() as while_it_is:
        while_it_is.setattr(media, "stills", looking)
        working = asyncio.create_task(priced.generator.advance(held))
        await looked_at.wait()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
    assert (await priced.row(job)).state is JobState.COLLECTING
    priced.later(60)
    row = await priced.end(job)
    assert (row.state, row.cost, row.cost_source) == (JobState.COMPLETED, Decimal("0.03"), "reported")
    assert (priced.provider.count("submit"), priced.provider.count("poll")) == (1, 0)
    assert await priced.studio.blobs.names("results") == []
    assert await purse(priced) == (Decimal("0.03"), 0)


async def test_what_is_not_the_promised_file_is_kept_for_whoever_wants_to_look_at_it(priced: Set) -> None:
    priced.provider.downloads = [b"<html>an odd day</html>"]
    row = await priced.end(await priced.submit())
    assert (row.state, row.error_code, row.cost) == (JobState.FAILED, "PROVIDER_ERROR", PRICE)
    name = model.result_name(row.account_id, row.id)
    assert await priced.studio.blobs.names("results") == [name]
    await sweep(priced.studio)
    await priced.studio.blobs.copy(name, priced.studio.config.data / "copy")
    assert (priced.studio.config.data / "copy").read_bytes() == b"<html>an odd day</html>"
    await priced.studio.clean_job(row.account_id, row.id)
    assert await priced.studio.blobs.names("results") == []


async def test_what_a_kill_left_of_an_answer_is_swept(priced: Set) -> None:
    job = await priced.end(await priced.submit())
    (priced.studio.config.data / "left").write_bytes(b"left")
    await priced.studio.blobs.put(model.result_name(job.account_id, job.id), priced.studio.config.data / "left")
    await sweep(priced.studio)
    assert await priced.studio.blobs.names("results") == []


# --- what else a provider says, and what it is spared ---


async def test_a_place_in_the_providers_queue_is_told(shoot: Set) -> None:
    from rushes import wire

    shoot.provider.polls = [Pending(5, None, 3)]
    await shoot.submit()
    row = await shoot.step()
    assert row
    assert wire.job_detail(row, None, None)["waitingFor"] == "the provider to make it; it is number 3 in its queue"


async def test_a_job_is_polled_where_it_was_sent_whatever_the_route_says_now(
    tmp_path: Path, database_url: str | None, clip: bytes
) -> None:
    async with opened(tmp_path / "data", database_url, clip) as before:
        before.provider.polls = [Pending(0.1)]
        job = await before.submit()
        await before.step()
    changed = {"provider": "sandbox", "idempotent": None}
    async with opened(tmp_path / "data", database_url, clip, route=changed) as after:
        row = await after.end(job)
        assert (row.state, row.provider) == (JobState.COMPLETED, SCRIPTED)
        assert (after.provider.count("submit"), after.provider.count("download")) == (0, 1)
