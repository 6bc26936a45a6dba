"""Design rules 1 to 3, with real processes that are killed at random: one entry a job, no second submission, files
and rows that belong together."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from rushes import Client, config
from rushes.errors import AnswerLost, Unavailable
from rushes.model import JobState, VideoFiles
from rushes.store import changes
from rushes.studio import Studio
from tests.conftest import Program, answers, free_port, wait_until
from tests.media.clips import make

JOBS = 200
KILLS = 12
SECONDS = 150
# The processes import the provider of this folder by its dotted path.
IMPORTS = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
SETTINGS = {"RUSHES_LEASE_SECONDS": "2", "RUSHES_SWEEP_SECONDS": "3", "PYTHONPATH": IMPORTS}

pytestmark = pytest.mark.timeout(400)


class Site:
    """An API and two workers on one library, each a process group of its own that can be killed and started anew."""

    def __init__(self, folder: Path, database_url: str | None) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = SETTINGS | {
            "RUSHES_DATA": str(folder / "data"),
            "RUSHES_DATABASE_URL": database_url or "",
            "RUSHES_CONFIG": str(_routes(folder)),
        }
        serve = ["serve", "--no-worker", "--processes", "2", "--port", str(self.port)]
        self.programs = [Program(command, self.settings) for command in (serve, ["worker"], ["worker"])]
        self.kills = Counter[str]()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        try:
            for program in self.programs:
                self.start(program)
            wait_until(lambda: answers(self.url), what="the API's start")
            yield
        finally:
            for program in self.programs:
                self.kill(program)

    def start(self, program: Program) -> None:
        program.start(self.folder / f"{program.arguments[0]}-{self.programs.index(program)}.log")

    def kill(self, program: Program) -> None:
        if program.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.process.pid, signal.SIGKILL)
            program.process.wait()
            assert program.log is not None
            program.log.close()

    def kill_at_random(self, stop: threading.Event, dice: random.Random, failures: list[BaseException]) -> None:
        try:
            while not stop.wait(dice.uniform(0.3, 1.5)):
                program = dice.choice(self.programs)
                self.kill(program)
                self.kills[program.arguments[0]] += 1
                self.start(program)
        except BaseException as error:  # noqa: BLE001  (a thread's failure is the test's)
            failures.append(error)


def _routes(folder: Path) -> Path:
    clip, routes = folder / "clip.mp4", folder / "rushes.toml"
    make(clip, width=64, height=112, frames=12)
    routes.write_text(
        '[models."pixverse5.5"]\n'
        'provider = "tests.acceptance.counting:Counting"\n'
        f'log = "{folder / "submissions"}"\nclip = "{clip}"\n'
    )
    return routes


def submit_all(site: Site, key: str) -> list[str]:
    """Submit so many videos with the published client, each under its own idempotency key until it is answered: a cut
    connection may have made the job, and then the same key finds it.
    """
    accepted: list[str] = []
    with Client(site.url, key, timeout=10) as client:
        while len(accepted) < JOBS:
            take = f"take {len(accepted)}"
            with contextlib.suppress(Unavailable, AnswerLost):
                job = client.videos.generate(take, duration=5, wait=False, idempotency_key=take)
                accepted.append(job.id)
    return accepted


async def _unfinished(studio: Studio) -> int:
    [(count,)] = await studio.store.rows("SELECT count(*) FROM jobs WHERE run_at IS NOT NULL")
    return int(count)


async def _drafts(studio: Studio) -> int:
    [(count,)] = await studio.store.rows("SELECT count(*) FROM drafts")
    return int(count)


@pytest.mark.anyio
async def test_whatever_is_killed_every_job_ends_once_and_files_match_rows(
    tmp_path: Path, database_url: str | None
) -> None:
    settings = config.load(data=tmp_path / "data", database_url=database_url)
    async with Studio.open(settings) as studio:
        key = await studio.create_key("default", "")
        site = Site(tmp_path, database_url)
        seed = random.randrange(2**32)
        print(f"seed {seed}")
        stop, failures = threading.Event(), list[BaseException]()
        killer = threading.Thread(target=site.kill_at_random, args=(stop, random.Random(seed), failures))
        with site.running():
            killer.start()
            try:
                accepted = submit_all(site, key)
                wait_until(lambda: sum(site.kills.values()) >= KILLS or bool(failures), SECONDS, "enough kills")
            finally:
                stop.set()
                killer.join()
            assert not failures
            await _until(studio, _unfinished)
            await _until(studio, _drafts)
            _check_answers(site, key, accepted)
        await _check_rows(studio, accepted)
        await _check_submissions(studio, tmp_path / "submissions")
        await _check_files(studio)
        await _check_books(studio)
        assert site.kills["serve"]
        assert site.kills["worker"]
        print(await _told(studio, site))


async def _until(studio: Studio, left: object) -> None:
    import anyio

    with anyio.fail_after(SECONDS):
        while await left(studio):  # type: ignore[operator]
            await anyio.sleep(0.1)


def _check_answers(site: Site, key: str, accepted: list[str]) -> None:
    wait_until(lambda: answers(site.url), what="the API's return")
    with Client(site.url, key, timeout=10) as client:
        ends = Counter(client.jobs.get(job).status for job in accepted)
        listed = Counter(job.id for job in client.jobs.list())
        videos = sum(1 for _ in client.videos.list())
    assert set(ends) <= {"completed", "failed"}
    assert ends["completed"] == videos > JOBS / 2
    assert listed == Counter(accepted)


async def _check_rows(studio: Studio, accepted: list[str]) -> None:
    jobs = await studio.store.rows("SELECT id, state, error_code FROM jobs")
    assert Counter(accepted) == Counter(job for job, _, _ in jobs), "each was asked for once and made once"
    assert {error for _, state, error in jobs if state == JobState.FAILED} <= {"OUTCOME_UNKNOWN"}
    entered = Counter(row[0] for row in await studio.store.rows("SELECT job_id FROM videos"))
    assert entered == Counter(job for job, state, _ in jobs if state == JobState.COMPLETED)


async def _told(studio: Studio, site: Site) -> str:
    ends = await studio.store.rows("SELECT state, error_code, count(*), max(attempt) FROM jobs GROUP BY 1, 2")
    return f"kills {dict(site.kills)}, ends (state, error, jobs, most attempts) {ends}"


async def _check_submissions(studio: Studio, log: Path) -> None:
    submissions = Counter(log.read_text().split())
    assert max(submissions.values()) == 1
    completed = await studio.store.rows("SELECT id FROM jobs WHERE state = 'completed'")
    assert {job for (job,) in completed} <= set(submissions)


async def _check_files(studio: Studio) -> None:
    rows = await studio.store.rows("SELECT account_id, file_id FROM videos")
    expected = {name for account, file in rows for name in VideoFiles(account, file).all}
    kept = {*await studio.blobs.names("videos"), *await studio.blobs.names("sidecars")}
    assert kept == expected


async def _check_books(studio: Studio) -> None:
    """Nothing is held any more, what is in the library is charged once, and the change feed tells of all of it."""
    [(held, under_way, spent)] = await studio.store.rows("SELECT held, under_way, spent FROM accounts")
    charged = Counter(job for (job,) in await studio.store.rows("SELECT job_id FROM ledger"))
    entered = Counter(job for (job,) in await studio.store.rows("SELECT job_id FROM videos"))
    assert (held, under_way, spent) == (0, 0, 8_000_000 * len(entered))
    assert charged == entered
    [(account_id,)] = await studio.store.rows("SELECT id FROM accounts")
    assert len(await changes.after(studio.store, account_id, 0, 2 * JOBS)) == len(entered)
