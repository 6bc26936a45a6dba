"""What machines do to each other: one that freezes and wakes, clocks that differ, a database that says nothing, a
release that takes over from another."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from rushes import Client, config
from rushes.model import Job, JobState, VideoRequest
from rushes.store import accounts, jobs
from rushes.studio import Studio
from tests.acceptance.site import Site, all_ended, check, check_files, submit_all
from tests.api.takes import VIDEOS, completed, submit
from tests.conftest import Program, Server, serving, wait_until
from tests.contract.samples import submitted
from tests.servers.ceph import Ceph
from tests.servers.postgres import Postgres
from tests.servers.receivers import Receiver
from tests.work.conftest import MODEL
from tests.work.test_processes import routed, worker_program

pytestmark = [pytest.mark.timeout(400), pytest.mark.anyio]

ROOT = Path(__file__).parents[2]
PREVIOUS = "4014615"
"""The last commit of the release before: to be replaced with every release."""
_FAKE_TIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


# --- a worker that freezes ---


@pytest.mark.xdist_group("ceph")
async def test_a_worker_that_wakes_after_its_lease_finishes_nothing_and_its_files_go(
    tmp_path: Path, primary: Postgres, ceph: Ceph, clip: bytes
) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip)
    for gate in ("submit", "poll"):
        (tmp_path / gate).touch()
    url, storage = primary.database(), f"{ceph.bucket()}/frozen"
    settings = routed(tmp_path, url, RUSHES_STORAGE_URL=storage, RUSHES_SWEEP_SECONDS="1")
    told = config.load(data=tmp_path / "data", database_url=url, storage_url=storage)
    async with Studio.open(told) as studio:
        async with studio.store.write() as tx:
            account = await accounts.named(tx, "default")
        job = await submitted(studio, account.id, VideoRequest("a fox", MODEL, "9:16", 5), "http://a.example")
        with worker_program(tmp_path, settings) as first:
            await _until((tmp_path / "at-download").exists)
            _signal(first, signal.SIGSTOP)
            (tmp_path / "at-download").unlink()
            (second_folder := tmp_path / "second").mkdir()
            with worker_program(second_folder, settings) as second:
                await _until((tmp_path / "at-download").exists)
                (tmp_path / "download").touch()
                await _until(lambda: _ended(studio, job))
                _signal(first, signal.SIGCONT)
                log = tmp_path / "worker.log"
                await _until(lambda: f"Job {job.id} is no longer held by this worker" in log.read_text())
                await all_ended(studio)
                await check_files(studio)
                assert second.process
                assert second.process.poll() is None
        row = await jobs.get(studio.store, job.account_id, job.id)
        assert row
        assert (row.state, row.attempt) == (JobState.COMPLETED, 2)
    assert (tmp_path / "submissions").read_text() == f"{job.id}\n"


def _signal(program: Program, number: signal.Signals) -> None:
    assert program.process
    os.killpg(program.process.pid, number)


async def _until(true: object, seconds: float = 60) -> None:
    import inspect

    import anyio

    with anyio.fail_after(seconds):
        while True:
            met = true()  # type: ignore[operator]
            if await met if inspect.isawaitable(met) else met:
                return
            await anyio.sleep(0.05)


async def _ended(studio: Studio, job: Job) -> bool:
    row = await jobs.get(studio.store, job.account_id, job.id)
    return row is not None and row.state.ended


# --- clocks ---


def by_a_clock(seconds: int) -> dict[str, str]:
    """The settings of a program whose clock is wrong by so much."""
    if not _FAKE_TIME.exists():
        pytest.skip("it needs libfaketime: apt-get install faketime")
    return {"LD_PRELOAD": str(_FAKE_TIME), "FAKETIME": f"{seconds:+d}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@pytest.mark.xdist_group("ceph")
def test_clocks_ten_minutes_apart_change_nothing(tmp_path: Path, primary: Postgres, ceph: Ceph) -> None:
    """The API's is ten minutes slow, the worker's ten minutes fast; the database's is what counts."""
    from anyio.from_thread import start_blocking_portal

    url = primary.database()
    settings = {
        "RUSHES_STORAGE_URL": f"{ceph.bucket()}/clocks",
        "RUSHES_DATABASE_URL": url,
        "RUSHES_LEASE_SECONDS": "2",
        "RUSHES_ALLOW_PRIVATE_HOSTS": "127.0.0.1",
    }
    worker = Program(["worker", "--data", str(tmp_path / "data")], settings | by_a_clock(600))
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Receiver()) as receiver,
        serving(tmp_path / "data", url, "--no-worker", settings=settings | by_a_clock(-600)) as server,
    ):
        worker.start(tmp_path / "worker.log")
        try:
            with server.client(key := server.key("default")) as api:
                first = submit(api, webhook=f"http://127.0.0.1:{receiver.port}/")
                item = completed(api, first)
                asked = time.time()
                assert abs(_seconds(item["createdDate"]) - asked) < 60
                made = api.get(item["url"])
                assert (made.status_code, made.content[4:8]) == (200, b"ftyp")
                # an upload's link holds by the database's clock, and what came by it is an input
                link = api.post("/media/generateurl", json={"fileName": "a.png", "contentType": "image/png"}).json()[
                    "data"
                ]
                frame = api.get(item["lastFrameImageUrl"]).content
                assert httpx2.put(link["signedUrl"], content=frame, headers={"Content-Type": "image/png"}).is_success
                completed(api, submit(api, firstFrameImageUrl=link["url"]))
                assert len(api.get(VIDEOS).json()["items"]) == 2
            wait_until(lambda: bool(receiver.received), what="the webhook")
            [secret] = server.do(lambda studio: _secrets(studio, "default"))
            receiver.received[0].verify(secret)  # refuses what is five minutes old or to come
        finally:
            worker.stop()
    assert key


async def _secrets(studio: Studio, name: str) -> list[str]:
    account = await accounts.find(studio.store, name)
    assert account
    return list(await studio.deliveries.secrets(account.id))


def _seconds(date: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(date).timestamp()


# --- a database that says nothing ---


def test_a_database_that_is_cut_off_for_half_a_minute_is_told_of_and_nothing_is_lost(
    tmp_path: Path, primary: Postgres
) -> None:
    with serving(tmp_path / "data", primary.database()) as server, server.client() as api:
        running = [submit(api, f"take {number} [sandbox: slow 2s]") for number in range(3)]
        seen: Counter[int] = Counter()
        slowest, failures = [0.0], list[BaseException]()
        stop = threading.Event()
        asking = [
            threading.Thread(target=_ask, args=(server, api.headers["authorization"], stop, seen, slowest, failures))
            for _ in range(4)
        ]
        primary.freeze()
        try:
            for thread in asking:
                thread.start()
            time.sleep(30)
        finally:
            primary.thaw()
            stop.set()
            for thread in asking:
                thread.join()
        assert not failures
        assert set(seen) <= {200, 503}
        assert seen[503]
        assert slowest[0] < 60
        for job_id in running:
            completed(api, job_id)
        assert len(api.get(VIDEOS).json()["items"]) == 3


def _ask(
    server: Server,
    key: str,
    stop: threading.Event,
    seen: Counter[int],
    slowest: list[float],
    failures: list[BaseException],
) -> None:
    try:
        with server.client(key) as api:
            while not stop.wait(0.2):
                began = time.monotonic()
                answer = api.get(VIDEOS, timeout=60)
                seen[answer.status_code] += 1
                slowest[0] = max(slowest[0], time.monotonic() - began)
                assert answer.status_code == 200 or answer.headers["retry-after"]
    except BaseException as error:  # noqa: BLE001  (a thread's failure is the test's)
        failures.append(error)


# --- a release that takes over ---


@dataclass
class Release:
    """The source of another release, unpacked."""

    source: Path

    @property
    def settings(self) -> dict[str, str]:
        return {"PYTHONPATH": os.pathsep.join([str(self.source / "src"), str(ROOT)])}


@pytest.fixture
def previous(tmp_path: Path) -> Release:
    told = subprocess.run(["git", "-C", ROOT, "archive", PREVIOUS, "src"], capture_output=True, check=False)
    if told.returncode:
        pytest.skip(f"the history of this clone does not go back to {PREVIOUS}")
    (source := tmp_path / "previous").mkdir()
    subprocess.run(["tar", "-x", "-C", source], input=told.stdout, check=True)
    return Release(source)


@pytest.mark.history
async def test_a_new_release_takes_over_while_jobs_come_and_are_made(
    tmp_path: Path, primary: Postgres, previous: Release
) -> None:
    """Its first process migrates the database under the old one's traffic; the old ones go on meanwhile, then stop."""
    url = primary.database()
    old, new = Site(tmp_path, url, {}, **previous.settings), Site(tmp_path, url)
    accepted, stop = list[str](), threading.Event()

    def ask() -> None:
        while not stop.is_set():
            accepted.extend(submit_all(old, key, 10, f"round {len(accepted)}, take"))

    with old.running():
        key = _key(old)
        asking = threading.Thread(target=ask)
        asking.start()
        try:
            wait_until(lambda: _count(old, key) > 10, what="the old release's first videos")
            with new.running():
                made = _count(new, key)
                wait_until(lambda: _count(new, key) > made + 20, what="more videos, by both releases")
                assert asking.is_alive()
                stop.set()
                asking.join()
                accepted += submit_all(new, key, 50)
                with Client(old.url, key) as client:
                    listed = [video.id for video in client.videos.list()]
                for program in old.programs:
                    program.stop()
                    assert program.process
                    assert program.process.returncode == 0
                async with Studio.open(config.load(data=tmp_path / "data", database_url=url)) as studio:
                    await all_ended(studio)
                    await check(new, studio, key, accepted)
                    assert await studio.store.rows("SELECT state FROM jobs WHERE state <> 'completed'") == []
                with Client(new.url, key) as client:
                    assert [video.id for video in client.videos.list() if video.id in set(listed)] == listed
        finally:
            stop.set()
            asking.join()


def _key(site: Site) -> str:
    command = ["keys", "create", "--data", site.settings["RUSHES_DATA"]]
    program = Program(command, site.settings)
    program.start(site.folder / "key.log")
    assert program.process
    program.process.wait(60)
    program.stop()
    return (site.folder / "key.log").read_text().split()[-1]


def _count(site: Site, key: str) -> int:
    with Client(site.url, key) as client:
        return sum(1 for _ in client.videos.list())
