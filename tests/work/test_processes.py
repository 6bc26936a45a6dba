"""Workers as processes of their own: killed, and ended by a provider."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from rushes import config
from rushes.model import Job, JobState, VideoRequest
from rushes.store import jobs
from rushes.studio import Studio
from tests.conftest import Program, wait_until
from tests.contract.samples import submitted
from tests.work.conftest import MODEL

pytestmark = pytest.mark.anyio


def test_a_worker_killed_between_the_question_and_the_answer_leaves_outcome_unknown(
    tmp_path: Path, database_url: str | None, clip: bytes
) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip)
    settings = routed(tmp_path, database_url)
    job = asyncio.run(_submitted(tmp_path, database_url))
    with worker_program(tmp_path, settings) as first:
        wait_until(lambda: (tmp_path / "at-submit").exists(), what="the submission")
        assert first.process
        os.killpg(first.process.pid, 9)
        first.process.wait()
    (tmp_path / "submit").touch()
    with worker_program(tmp_path, settings) as second:
        wait_until(lambda: asyncio.run(_ended(tmp_path, database_url, job)), what="the job's end")
        assert second.process
        second.process.terminate()
        assert second.process.wait(30) == 0
    row = asyncio.run(_job(tmp_path, database_url, job))
    assert row.error_code == "OUTCOME_UNKNOWN"
    assert (tmp_path / "submissions").read_text() == f"{job.id}\n"


def test_a_provider_that_would_end_the_process_does_not_end_the_worker(
    tmp_path: Path, database_url: str | None, clip: bytes
) -> None:
    """``sys.exit()`` somewhere in a vendor's library: one job's bad luck, not every job's."""
    (tmp_path / "clip.mp4").write_bytes(clip)
    (tmp_path / "submit").touch()
    settings = routed(tmp_path, database_url, "Exits")
    job = asyncio.run(_submitted(tmp_path, database_url))
    with worker_program(tmp_path, settings) as program:
        wait_until(lambda: asyncio.run(_ended(tmp_path, database_url, job)), what="the job's end")
        assert program.process
        assert program.process.poll() is None
    assert asyncio.run(_job(tmp_path, database_url, job)).state == JobState.COMPLETED


def routed(folder: Path, database_url: str | None, provider: str = "Slow", **settings: str) -> dict[str, str]:
    """Settings of a process whose videos that provider of the tests makes."""
    (folder / "routes.toml").write_text(
        f'[models."{MODEL}"]\nprovider = "tests.work.providers:{provider}"\nfolder = "{folder}"\n'
    )
    return {
        "RUSHES_DATA": str(folder / "data"),
        "RUSHES_DATABASE_URL": database_url or "",
        "RUSHES_CONFIG": str(folder / "routes.toml"),
        "RUSHES_LEASE_SECONDS": "1",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
        **settings,
    }


class worker_program:  # noqa: N801  (used as a function)
    """``rushes worker`` as a process of its own until the block ends; killed if it still runs then."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.program = Program(["worker"], settings)
        self.log = folder / "worker.log"

    def __enter__(self) -> Program:
        self.program.start(self.log)
        return self.program

    def __exit__(self, *_: object) -> None:
        assert self.program.process
        assert self.program.log
        if self.program.process.poll() is None:
            os.killpg(self.program.process.pid, 9)
            self.program.process.wait()
        self.program.log.close()


async def _submitted(folder: Path, database_url: str | None) -> Job:
    from rushes.store import accounts

    async with Studio.open(config.load(data=folder / "data", database_url=database_url)) as studio:
        async with studio.store.write() as tx:
            account = await accounts.named(tx, "default")
        return await submitted(studio, account.id, VideoRequest("a fox", MODEL, "9:16", 5), "http://a.example")


async def _job(folder: Path, database_url: str | None, job: Job) -> Job:
    async with Studio.open(config.load(data=folder / "data", database_url=database_url)) as studio:
        row = await jobs.get(studio.store, job.account_id, job.id)
        assert row
        return row


async def _ended(folder: Path, database_url: str | None, job: Job) -> bool:
    return (await _job(folder, database_url, job)).state.ended
