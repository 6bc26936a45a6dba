"""An installation of real processes that can be killed, and what must be true of it whatever was."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import anyio

from rushes import Client
from rushes.errors import AnswerLost, Unavailable
from rushes.model import JobState, VideoFiles
from rushes.store import changes
from rushes.studio import Studio
from tests.conftest import Program, answers, free_port, wait_until
from tests.media.clips import make

SECONDS = 150
# The processes import the provider of this folder by its dotted path.
IMPORTS = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
SETTINGS = {"RUSHES_LEASE_SECONDS": "2", "RUSHES_SWEEP_SECONDS": "3", "PYTHONPATH": IMPORTS}


class Site:
    """An API and two workers on one library, each a process group of its own that can be killed and started anew;
    ``others`` are what else can be, by the name it is counted under: each does so when it is called.
    """

    def __init__(
        self,
        folder: Path,
        database_url: str | None,
        others: Mapping[str, Callable[[], None]] = {},
        **settings: str,
    ) -> None:
        self.others = others
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = SETTINGS | {
            "RUSHES_DATA": str(folder / "data"),
            "RUSHES_DATABASE_URL": database_url or "",
            "RUSHES_CONFIG": str(_routes(folder)),
            **settings,
        }
        serve = ["serve", "--no-worker", "--processes", "2", "--port", str(self.port)]
        self.programs = [Program(command, self.settings) for command in (serve, ["worker"], ["worker"])]
        self.kills = Counter[str]()
        self.failures: list[BaseException] = []

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

    @contextlib.contextmanager
    def killing(self, most: int) -> Iterator[None]:
        """Kill something at random, again and again, until the block ends, or it has been done so often."""
        seed, stop = random.randrange(2**32), threading.Event()
        print(f"seed {seed}")
        killer = threading.Thread(target=self._kill_at_random, args=(most, stop, random.Random(seed)))
        killer.start()
        try:
            yield
        finally:
            stop.set()
            killer.join()
        assert not self.failures

    def _kill_at_random(self, most: int, stop: threading.Event, dice: random.Random) -> None:
        victims: list[Program | str] = [*self.programs, *self.others]
        try:
            while self.kills.total() < most and not stop.wait(dice.uniform(0.3, 1.5)):
                victim = dice.choice(victims)
                if isinstance(victim, str):
                    self.others[victim]()
                    self.kills[victim] += 1
                    continue
                self.kill(victim)
                self.kills[victim.arguments[0]] += 1
                self.start(victim)
        except BaseException as error:  # noqa: BLE001  (a thread's failure is the test's)
            self.failures.append(error)


def _routes(folder: Path) -> Path:
    clip, routes = folder / "clip.mp4", folder / "rushes.toml"
    make(clip, width=64, height=112, frames=12)
    routes.write_text(
        '[models."pixverse5.5"]\n'
        'provider = "tests.acceptance.counting:Counting"\n'
        f'log = "{folder / "submissions"}"\nclip = "{clip}"\n'
    )
    return routes


def submit_all(site: Site, key: str, jobs: int, name: str = "take") -> list[str]:
    """Submit so many videos with the published client, each under its own idempotency key until it is answered: a cut
    connection may have made the job, and then the same key finds it.
    """
    accepted: list[str] = []
    with Client(site.url, key, timeout=10) as client:
        while len(accepted) < jobs:
            take = f"{name} {len(accepted)}"
            with contextlib.suppress(Unavailable, AnswerLost):
                job = client.videos.generate(take, duration=5, wait=False, idempotency_key=take)
                accepted.append(job.id)
    return accepted


async def all_ended(studio: Studio) -> None:
    """Wait until no job is under way, and nothing of an attempt is left."""
    await _none(studio, "SELECT count(*) FROM jobs WHERE run_at IS NOT NULL OR ended IS NULL")
    await _none(studio, "SELECT count(*) FROM drafts")


async def _none(studio: Studio, counted: str) -> None:
    with anyio.fail_after(SECONDS):
        while True:
            with contextlib.suppress(Unavailable):
                if await studio.store.rows(counted) == [(0,)]:
                    return
            await anyio.sleep(0.1)


async def check(site: Site, studio: Studio, key: str, accepted: list[str]) -> None:
    """Nothing is lost, nothing is there twice, nothing is half-visible."""
    _check_answers(site, key, accepted)
    await _check_rows(studio, accepted)
    await _check_submissions(studio, site.folder / "submissions")
    await check_files(studio)
    await _check_books(studio)
    verified(site)


def verified(site: Site) -> None:
    """``rushes verify`` finds nothing."""
    command = [sys.executable, "-m", "rushes", "verify"]
    settings = {**os.environ, **site.settings}
    told = subprocess.run(command, env=settings, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert told.returncode == 0, told.stdout + told.stderr
    print(told.stderr or told.stdout)


async def told(studio: Studio, site: Site) -> str:
    """How it went."""
    ends = await studio.store.rows("SELECT state, error_code, count(*), max(attempt) FROM jobs GROUP BY 1, 2")
    return f"kills {dict(site.kills)}, ends (state, error, jobs, most attempts) {ends}"


def _check_answers(site: Site, key: str, accepted: list[str]) -> None:
    wait_until(lambda: answers(site.url), what="the API's return")
    with Client(site.url, key, timeout=10) as client:
        ends = Counter(client.jobs.get(job).status for job in accepted)
        listed = Counter(job.id for job in client.jobs.list())
        videos = sum(1 for _ in client.videos.list())
    assert set(ends) <= {"completed", "failed"}
    assert ends["completed"] == videos > len(accepted) / 2
    assert listed == Counter(accepted)


async def _check_rows(studio: Studio, accepted: list[str]) -> None:
    jobs = await studio.store.rows("SELECT id, state, error_code FROM jobs")
    assert Counter(accepted) == Counter(job for job, _, _ in jobs), "each was asked for once and made once"
    assert {error for _, state, error in jobs if state == JobState.FAILED} <= {"OUTCOME_UNKNOWN"}
    entered = Counter(row[0] for row in await studio.store.rows("SELECT job_id FROM videos"))
    assert entered == Counter(job for job, state, _ in jobs if state == JobState.COMPLETED)


async def _check_submissions(studio: Studio, log: Path) -> None:
    submissions = Counter(log.read_text().split())
    assert max(submissions.values()) == 1
    completed = await studio.store.rows("SELECT id FROM jobs WHERE state = 'completed'")
    assert {job for (job,) in completed} <= set(submissions)


async def check_files(studio: Studio) -> None:
    """Every row has its files, and every file its row."""
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
    assert len(await changes.after(studio.store, account_id, 0, 2 * len(entered) + 1)) == len(entered)
