"""How jobs move when providers misbehave: never paid twice, never left open, nothing left on the disk."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from rushes import config
from rushes.errors import (
    ContentRejected,
    JobFailed,
    ModelRetired,
    ProviderFailed,
    ProviderUnreachable,
    StorageFull,
    StoreUnavailable,
)
from rushes.fetch import Fetcher
from rushes.model import Job, JobState
from rushes.providers import Done, Pending, Refused
from rushes.studio import Studio
from rushes.work.generate import Generator
from rushes.work.inputs import InputFiles
from tests.work.conftest import BEYOND_EXCEPTION, DAY_MS, ODD, Set, opened

pytestmark = pytest.mark.anyio


# --- how it goes when all goes well ---


async def test_a_job_goes_from_queued_to_the_library_in_one_step_when_the_provider_is_done(shoot: Set) -> None:
    job = await shoot.submit()
    row = await shoot.step()
    assert row
    assert (row.state, row.owner, row.error_code, row.ticket) == (JobState.COMPLETED, None, None, None)
    assert shoot.provider.calls == [f"submit {job.id}", "poll a ticket", "download a source"]
    assert len(await shoot.left_on_disk()) == 5, "four files and the sidecar, no workspace"
    assert (await shoot.count("videos"), await shoot.count("drafts")) == (1, 0)
    assert await shoot.step() is None


async def test_between_polls_nobody_holds_the_job_and_it_is_due_when_the_provider_said(shoot: Set) -> None:
    shoot.provider.polls = [Pending(20, 0.25), Pending(5), Done("a source")]
    job = await shoot.submit()
    row = await shoot.step()
    assert row
    assert (row.state, row.owner, row.progress, row.ticket) == (JobState.WAITING, None, 0.25, "a ticket")
    assert 15 < await shoot.wait(job) <= 20
    assert await shoot.step() is None, "not before it is due"
    shoot.later(20)
    row = await shoot.step()
    assert row
    assert (row.state, row.owner, row.progress) == (JobState.WAITING, None, 0.25), "what is known stays known"
    shoot.later(5)
    assert (await shoot.end(job)).state == JobState.COMPLETED
    assert shoot.provider.count("submit") == 1


# --- never pay twice ---


@pytest.mark.parametrize("error", ODD + BEYOND_EXCEPTION[:1], ids=repr)
async def test_a_submission_whose_answer_was_lost_is_outcome_unknown_and_never_sent_again(
    shoot: Set, error: BaseException
) -> None:
    shoot.provider.submits = [error, "a second ticket"]
    row = await shoot.end(await shoot.submit())
    assert (row.state, row.error_code) == (JobState.FAILED, "OUTCOME_UNKNOWN")
    assert row.error_message
    assert "look there before you submit it again" in row.error_message
    shoot.later(DAY_MS)
    assert await shoot.step() is None
    assert shoot.provider.count("submit") == 1


async def test_an_idempotent_provider_is_sent_the_same_job_id_again(forgiving: Set) -> None:
    forgiving.provider.submits = [OSError("the line broke"), TimeoutError(), "a ticket"]
    job = await forgiving.submit()
    assert (await forgiving.end(job)).state == JobState.COMPLETED
    assert forgiving.provider.calls[:3] == [f"submit {job.id}"] * 3


async def crash_in_submit(on: Set, job: Job) -> None:
    """What a kill -9 between the question and the answer leaves: SUBMITTING, no ticket, a lease that runs out."""
    on.provider.submits = [asyncio.Event(), "never answered"]
    [claimed] = await on.studio.turns.claim("the dead worker", 1)
    task = asyncio.create_task(on.generator.advance(claimed))
    while not on.provider.calls:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    row = await on.row(job)
    assert (row.state, row.ticket, row.owner) == (JobState.SUBMITTING, None, "the dead worker")
    on.provider.submits = ["a second ticket"]
    on.later(on.studio.config.lease_seconds)


async def test_a_worker_that_finds_submitting_without_a_ticket_says_outcome_unknown(shoot: Set) -> None:
    job = await shoot.submit()
    await crash_in_submit(shoot, job)
    assert (await shoot.end(job)).error_code == "OUTCOME_UNKNOWN"
    assert shoot.provider.count("submit") == 1


async def test_a_worker_that_finds_submitting_sends_it_again_to_an_idempotent_provider(forgiving: Set) -> None:
    job = await forgiving.submit()
    await crash_in_submit(forgiving, job)
    assert (await forgiving.end(job)).state == JobState.COMPLETED
    assert [call for call in forgiving.provider.calls if call.startswith("submit")] == [f"submit {job.id}"] * 2


async def test_a_ticket_that_cannot_be_kept_is_outcome_unknown_too(shoot: Set) -> None:
    shoot.provider.submits = [{"not": "text"}, "a second ticket"]
    assert (await shoot.end(await shoot.submit())).error_code == "OUTCOME_UNKNOWN"
    assert shoot.provider.count("submit") == 1


# --- what passes, and is waited for ---


async def test_a_provider_that_was_not_reached_gives_the_job_back_and_is_asked_again(shoot: Set) -> None:
    shoot.provider.submits = [ProviderUnreachable("busy")] * 3 + ["a ticket"]
    job = await shoot.submit()
    for nominal in (1.0, 2.0, 4.0):
        before = await shoot.studio.now()
        row = await shoot.step()
        assert row
        assert (row.state, row.owner, row.ticket) == (JobState.QUEUED, None, None)
        # Set back at some moment between the two, however slow the machine: each wait is twice as long.
        after, run_at = await shoot.studio.now(), await shoot.run_at(job)
        assert run_at - before >= 750 * nominal
        assert run_at - after <= 1250 * nominal
        shoot.later(await shoot.wait(job) + 0.01)
    assert (await shoot.end(job)).state == JobState.COMPLETED
    assert shoot.provider.count("submit") == 4


@pytest.mark.parametrize("where", ["submits", "polls"])
async def test_retry_after_is_honoured(shoot: Set, where: str) -> None:
    good = getattr(shoot.provider, where)[0]
    setattr(shoot.provider, where, [ProviderUnreachable("busy", 77.0), good])
    job = await shoot.submit()
    await shoot.step()
    assert 70 < await shoot.wait(job) <= 77
    assert await shoot.step() is None
    shoot.later(77)
    row = await shoot.step()
    assert row
    assert row.state == JobState.COMPLETED


@pytest.mark.parametrize("error", [ProviderUnreachable("busy"), *ODD[:4], StoreUnavailable("away")], ids=repr)
async def test_a_poll_that_fails_is_asked_again_with_the_same_ticket(shoot: Set, error: Exception) -> None:
    shoot.provider.polls = [error, error, Pending(0.1), error, Done("a source")]
    job = await shoot.submit()
    assert (await shoot.end(job)).state == JobState.COMPLETED
    assert shoot.provider.count("submit") == 1
    assert set(shoot.provider.calls[1:6]) == {"poll a ticket"}


@pytest.mark.parametrize(
    "error", [ProviderUnreachable("cut off"), StorageFull("no room"), OSError("cut off"), TimeoutError()], ids=repr
)
async def test_a_download_that_breaks_is_tried_again_from_the_ticket_without_a_second_submission(
    shoot: Set, error: Exception
) -> None:
    shoot.provider.downloads = [error, error, shoot.clip]
    job = await shoot.submit()
    row = await shoot.step()
    assert row
    assert (row.state, row.owner, row.ticket) == (JobState.COLLECTING, None, "a ticket")
    assert (await shoot.left_on_disk(), await shoot.count("drafts")) == ([], 0)
    assert (await shoot.end(job)).state == JobState.COMPLETED
    assert (shoot.provider.count("submit"), shoot.provider.count("download")) == (1, 3)
    assert len(await shoot.left_on_disk()) == 5


# --- what ends a job ---


@pytest.mark.parametrize("error", [ContentRejected("No."), ModelRetired("Gone."), ProviderFailed("Broke.")], ids=repr)
@pytest.mark.parametrize("where", ["submit", "poll", "poll raises", "download"])
async def test_what_a_provider_refuses_ends_with_its_code_and_sentence(
    shoot: Set, where: str, error: JobFailed
) -> None:
    if where == "submit":
        shoot.provider.submits = [error]
    elif where == "download":
        shoot.provider.downloads = [error]
    else:
        shoot.provider.polls = [Pending(0.1), Refused(error) if where == "poll" else error]
    row = await shoot.end(await shoot.submit())
    assert (row.state, row.error_code, row.error_message) == (JobState.FAILED, error.code, error.sentence)
    assert (row.owner, row.cost_source) == (None, None if where == "submit" else "unknown")
    assert row.ticket == (None if where == "submit" else "a ticket")
    assert (await shoot.left_on_disk(), await shoot.count("drafts"), await shoot.count("videos")) == ([], 0, 0)


@pytest.mark.parametrize("answer", [Pending(3000), ProviderUnreachable("busy", 3000.0)], ids=repr)
async def test_what_never_ends_is_provider_timeout_after_job_timeout_seconds(shoot: Set, answer: object) -> None:
    shoot.provider.polls = [answer]
    job = await shoot.submit()
    row = await shoot.end(job)
    assert (row.state, row.error_code) == (JobState.FAILED, "PROVIDER_TIMEOUT")
    assert shoot.provider.count("poll") == math.ceil(shoot.studio.config.job_timeout_seconds / 3000) + 1
    assert shoot.provider.count("submit") == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda clip: b"",
        lambda clip: b"<html>502</html>",
        lambda clip: clip[: len(clip) // 2],
        lambda clip: clip[500:],
        None,
    ],
    ids=["empty", "html", "truncated", "headless", "nothing"],
)
async def test_a_result_that_is_no_whole_video_is_provider_error_and_leaves_nothing(
    shoot: Set, spoil: Callable[[bytes], bytes] | None
) -> None:
    shoot.provider.downloads = [spoil(shoot.clip) if spoil else None]
    row = await shoot.end(await shoot.submit())
    assert (row.state, row.error_code) == (JobState.FAILED, "PROVIDER_ERROR")
    assert shoot.provider.count("submit") == 1
    assert (await shoot.left_on_disk(), await shoot.count("drafts"), await shoot.count("videos")) == ([], 0, 0)


@pytest.mark.parametrize("error", ODD + BEYOND_EXCEPTION, ids=repr)
@pytest.mark.parametrize("where", ["polls", "downloads"])
async def test_whatever_a_providers_class_raises_for_ever_the_job_ends(
    shoot: Set, where: str, error: BaseException
) -> None:
    setattr(shoot.provider, where, [error])
    row = await shoot.end(await shoot.submit())
    assert (row.state, row.error_code) == (JobState.FAILED, "PROVIDER_ERROR")
    assert shoot.provider.count("submit") == 1
    assert (await shoot.left_on_disk(), await shoot.count("drafts")) == ([], 0)


@pytest.mark.parametrize(
    "answer",
    [None, "done", 7, Pending(math.nan), Pending(math.inf), Pending("soon"), Done(None), Refused("no")],  # type: ignore[arg-type]
    ids=repr,
)
async def test_whatever_a_providers_poll_answers_the_job_ends_and_is_let_go_of_meanwhile(
    shoot: Set, answer: object
) -> None:
    shoot.provider.polls = [answer]
    job = await shoot.submit()
    row = await shoot.step()
    assert row
    assert row.owner is None
    assert (await shoot.end(job)).state.ended
    assert shoot.provider.count("submit") == 1


@pytest.mark.parametrize("retry_after", [math.nan, math.inf, -5.0, 1e300])
@pytest.mark.parametrize("where", ["submits", "polls"])
async def test_a_senseless_retry_after_does_not_leave_the_job_held(shoot: Set, where: str, retry_after: float) -> None:
    setattr(shoot.provider, where, [ProviderUnreachable("busy", retry_after), getattr(shoot.provider, where)[0]])
    job = await shoot.submit()
    row = await shoot.step()
    assert row
    assert row.owner is None
    assert 0 < await shoot.wait(job) <= DAY_MS / 1000
    shoot.later(DAY_MS / 1000)
    row = await shoot.step()
    assert row
    assert row.state == JobState.COMPLETED


async def test_a_worker_that_lost_its_lease_changes_nothing_when_it_comes_back(shoot: Set) -> None:
    gate = asyncio.Event()
    shoot.provider.downloads = [gate, shoot.clip]
    job = await shoot.submit()
    [claimed] = await shoot.studio.turns.claim("the slow worker", 1)
    slow = asyncio.create_task(shoot.generator.advance(claimed))
    while not shoot.provider.count("download"):
        await asyncio.sleep(0.001)
    shoot.later(shoot.studio.config.lease_seconds)
    row = await shoot.step()
    assert row
    assert row.state == JobState.COMPLETED
    kept = await shoot.left_on_disk()
    gate.set()
    from rushes.errors import LeaseLost

    with pytest.raises(LeaseLost):
        await slow
    assert (await shoot.row(job)).state == JobState.COMPLETED
    assert await shoot.count("videos") == 1
    assert {name for name in await shoot.left_on_disk() if ".work" not in name} == {
        name for name in kept if ".work" not in name
    }
    assert await shoot.count("drafts") == 0


async def test_a_job_whose_route_has_gone_waits_for_it_and_then_collects_what_was_paid_for(
    tmp_path: Path, database_url: str | None, clip: bytes
) -> None:
    """One typing mistake in rushes.toml must not throw paid results away."""
    async with opened(tmp_path / "data", database_url, clip) as shoot:
        shoot.provider.polls = [Pending(1.0)]
        job = await shoot.submit()
        await shoot.step()
        ticket = (await shoot.row(job)).ticket
    settings = config.load(
        data=tmp_path / "data", database_url=database_url, models={"veo3.1": {"provider": "sandbox"}}
    )
    async with Studio.open(settings) as other:
        other.store.clock_shift = DAY_MS
        [held] = await other.turns.claim("a worker without the route", 1)
        await Generator(other, InputFiles(other, Fetcher())).advance(held)
    async with opened(tmp_path / "data", database_url, clip) as shoot:
        row = await shoot.row(job)
        assert (row.state, row.ticket, row.owner) == (JobState.WAITING, ticket, None)
        assert "rushes.toml" in (row.set_back or "")
        shoot.later(2 * DAY_MS / 1000)
        assert (await shoot.end(job)).state == JobState.COMPLETED
        assert shoot.provider.count("submit") == 0, "not paid for again"
