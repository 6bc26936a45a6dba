"""``rushes serve``, ``worker`` and ``migrate``: real processes, what they print, how they end."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from rushes import config
from rushes.errors import StartError
from rushes.studio import Studio
from tests.api.takes import ended, submit
from tests.cli.running import failed, rushes
from tests.conftest import Program, Server, answers, free_port, serving, wait_until

SMALL = """
[models."pixverse5.5"]
provider = "sandbox"
sizes = { "9:16" = [72, 128] }
durations = [1]
"""


# --- migrate ---


def test_migrate_brings_the_database_up_to_date_once(data: Path) -> None:
    first, second = (rushes("migrate", "--data", str(data), cwd=data.parent) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0)
    assert "applied accounts" in first.stderr
    assert "up to date" in second.stderr


def _newer(data: Path) -> None:
    import asyncio

    async def write() -> None:
        async with Studio.open(config.load(data=data)) as studio, studio.store.write() as tx:
            await tx.rows("INSERT INTO migrations (number, name, applied) VALUES (9999, 'from_the_future', 0)")

    asyncio.run(write())


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["worker"], ["migrate"], ["keys", "list"]], ids=" ".join)
def test_a_database_newer_than_the_program_is_left_alone(data: Path, command: list[str]) -> None:
    _newer(data)
    sentence = failed(rushes(*command, "--data", str(data), cwd=data.parent, RUSHES_CONFIG=small(data)))
    assert "9999" in sentence
    assert "newer" in sentence


# --- what cannot start says why, in one sentence ---


def test_a_taken_port_is_named(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = rushes("serve", "--data", str(data), "--port", str(port), cwd=data.parent, RUSHES_CONFIG=small(data))
    assert f"127.0.0.1:{port}" in failed(run)


OPENING = [["serve", "--port", "0"], ["worker"], ["keys", "create"]]


@pytest.mark.parametrize(
    ("command", "where"),
    [(command, where) for command in OPENING for where in ("data", "data/rushes.db", "data/media")]
    + [(["migrate"], where) for where in ("data", "data/rushes.db")],
)
def test_a_folder_that_cannot_be_written_is_named(data: Path, command: list[str], where: str) -> None:
    """A file in its place: what no user, not even root, can write into."""
    wrong = data.parent / where
    if where == "data/rushes.db":
        wrong.mkdir(parents=True)
    else:
        wrong.parent.mkdir(exist_ok=True)
        wrong.write_text("a file")
    run = rushes(*command, "--data", str(data), cwd=data.parent, RUSHES_CONFIG=small(data))
    assert str(data) in failed(run)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RUSHES_LEASE_SECONDS", "soon"),
        ("RUSHES_LEASE_SECONDS", "0"),
        ("RUSHES_WORKER_CONCURRENCY", "-1"),
        ("RUSHES_SWEEP_SECONDS", "0"),
        ("RUSHES_PUBLIC_URL", "films.example"),
        ("RUSHES_DATABASE_URL", "mysql://db.example/rushes"),
        ("RUSHES_ALLOW_PRIVATE_HOSTS", "not a host!"),
        ("RUSHES_CONFIG", "/nowhere/rushes.toml"),
        ("RUSHES_DATABASE_URL_FILE", "/nowhere/secret"),
    ],
)
def test_a_bad_setting_is_named(data: Path, name: str, value: str) -> None:
    settings = {"RUSHES_CONFIG": small(data), name: value}
    sentence = failed(rushes("serve", "--port", "0", "--data", str(data), cwd=data.parent, **settings))
    assert name in sentence


def test_a_password_in_a_bad_setting_is_not_repeated(data: Path) -> None:
    run = rushes("migrate", "--data", str(data), cwd=data.parent, RUSHES_DATABASE_URL="mysql://me:s3cret@db.example/x")
    assert "RUSHES_DATABASE_URL" in run.stderr
    assert "s3cret" not in failed(run)


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ("lease_second = 5\n", "lease_second"),
        ("lease_seconds = 'x'\n", "lease_seconds"),
        ("lease_seconds = \n", "rushes.toml"),
        ('[models."pixverse5.5"]\n', "provider"),
        ('[models."pixverse5.5"]\nprovider = "no.such.module:Provider"\n', "no.such.module:Provider"),
        ('[models."pixverse5.5"]\nprovider = "rushes.providers.sandbox:Nobody"\n', "rushes.providers.sandbox:Nobody"),
        ('[models."pixverse5.5"]\nprovider = "nonsense"\n', "nonsense"),
        ('[models."pixverse5.5"]\nprovider = ""\n', "pixverse5.5"),
        ('[models."my own"]\nprovider = "sandbox"\n', "my own"),
        ('[models."pixverse5.5"]\nprovider = "sandbox"\nspeed = 5\n', "takes"),
    ],
)
def test_a_bad_line_of_rushes_toml_is_named(data: Path, toml: str, named: str) -> None:
    (data.parent / "rushes.toml").write_text(toml)
    assert named in failed(rushes("serve", "--port", "0", "--data", str(data), cwd=data.parent))


@pytest.mark.parametrize("provider", ["os.path:join", "json:JSONDecoder", "builtins:dict"])
def test_a_provider_that_is_none_stops_the_start_with_a_sentence(data: Path, provider: str) -> None:
    (data.parent / "rushes.toml").write_text(f'[models."pixverse5.5"]\nprovider = "{provider}"\n')
    assert provider in failed(rushes("worker", "--data", str(data), cwd=data.parent))


def test_a_provider_that_cannot_be_imported_is_told_by_the_worker_too(data: Path) -> None:
    (data.parent / "rushes.toml").write_text('[models."pixverse5.5"]\nprovider = "no.such.module:Provider"\n')
    assert "no.such.module:Provider" in failed(rushes("worker", "--data", str(data), cwd=data.parent))


def test_what_it_keeps_is_for_its_own_user_alone(data: Path) -> None:
    with serving(data, None, "--no-worker"):
        assert data.stat().st_mode & 0o777 == 0o700


# --- processes ---


def small(data: Path) -> str:
    """Routes to a sandbox that draws stamps, so that a job is done in a moment."""
    path = data.parent / "small.toml"
    path.write_text(SMALL)
    return str(path)


def group(process: subprocess.Popen[bytes]) -> dict[int, str]:
    """Every living process that a program started, itself included, by its id."""
    command = ["ps", "-A", "-ww", "-o", "pid=,pgid=,stat=,args="]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {}
    for line in told.splitlines():
        pid, pgid, state, arguments = line.split(None, 3)
        if int(pgid) == process.pid and not state.startswith("Z"):
            found[int(pid)] = arguments
    return found


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """The API and worker processes, in the order they were started."""
    return sorted(pid for pid, arguments in group(process).items() if "spawn_main" in arguments)


def process_of(server: Server) -> subprocess.Popen[bytes]:
    assert server.program.process
    return server.program.process


def log_of(server: Server) -> str:
    [log] = server.data.parent.glob("serve-*.log")
    return log.read_text()


@contextmanager
def busy(data: Path, *options: str) -> Iterator[Server]:
    """A server of which every kind of process has been started: it has made a video."""
    with serving(data, None, *options, settings={"RUSHES_CONFIG": small(data)}) as server:
        make_one(server)
        yield server


def make_one(server: Server) -> None:
    with server.client() as api:
        assert ended(api, submit(api))["data"]["status"] == "completed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_every_process_with_exit_0(data: Path, number: signal.Signals) -> None:
    with busy(data, "--processes", "2") as server:
        process = process_of(server)
        assert len(children(process)) == 3
        process.send_signal(number)
        assert process.wait(30) == 0
        wait_until(lambda: group(process) == {}, what="the end of all")  # the last is told before it is gone
        assert "Traceback" not in log_of(server)
        assert log_of(server).count("rushes: ready on ") == 1


def test_ctrl_c_in_a_terminal_reaches_every_process_and_all_end_with_exit_0(data: Path) -> None:
    with busy(data) as server:
        process = process_of(server)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 0
        wait_until(lambda: group(process) == {}, what="the end of all")
        assert "Traceback" not in log_of(server)


def test_a_killed_parent_takes_its_children_with_it(data: Path) -> None:
    with busy(data, "--processes", "2") as server:
        process = process_of(server)
        assert len(group(process)) >= 4
        process.kill()
        process.wait()
        wait_until(lambda: group(process) == {}, what="the end of the children")
        # and the address is free again
        wait_until(lambda: _can_listen(server.url), what="the port to be free")


def _can_listen(url: str) -> bool:
    try:
        with socket.create_server(("127.0.0.1", int(url.rpartition(":")[2]))):
            return True
    except OSError:
        return False


def test_a_child_that_was_killed_is_started_again_and_serves(data: Path) -> None:
    with busy(data) as server:
        process = process_of(server)
        for _ in range(2):  # the API first, then the worker: whichever is older
            before = children(process)
            os.kill(before[0], signal.SIGKILL)
            wait_until(lambda before=before: len(set(children(process)) - set(before)) == 1, what="a new child")  # type: ignore[misc]
            wait_until(lambda: answers(server.url), what="the API's return")
            make_one(server)
        assert log_of(server).count("starting it again") == 2
        assert log_of(server).count("rushes: ready on ") == 1
        assert process.poll() is None


def test_the_ready_line_stands_on_stderr_once_with_the_address_that_answers(data: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RUSHES_")}
    with (data.parent / "out").open("wb") as out, (data.parent / "err").open("wb") as err:
        command = [sys.executable, "-m", "rushes", "serve", "--data", str(data), "--port", "0", "--processes", "2"]
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=err, start_new_session=True)
        try:
            told = data.parent / "err"
            wait_until(lambda: "ready" in told.read_text() or process.poll() is not None, what="the ready line")
            [url] = re.findall(r"^rushes: ready on (http://127\.0\.0\.1:\d+)$", told.read_text(), re.MULTILINE)
            assert httpx2.get(f"{url}/healthz", trust_env=False).status_code == 200, "it answers as soon as it says so"
            # nothing configured at all: it says so at start
            assert "sandbox" in told.read_text().splitlines()[0]
        finally:
            process.terminate()
            assert process.wait(30) == 0
    assert (data.parent / "out").read_bytes() == b""
    assert told.read_text().count("ready on") == 1


def test_no_worker_serves_alone_and_a_worker_works_alone(data: Path) -> None:
    settings = {"RUSHES_CONFIG": small(data)}
    with serving(data, None, "--no-worker", settings=settings) as server, server.client() as api:
        assert len(children(process_of(server))) == 1
        job_id = submit(api)
        assert api.get(f"/jobs/{job_id}").json()["data"] == {"status": "in-progress"}
        worker = Program(["worker", "--data", str(data), "--concurrency", "1"], settings)
        worker.start(data.parent / "worker.log")
        try:
            assert ended(api, job_id)["data"]["status"] == "completed"
        finally:
            worker.stop()
        assert worker.process
        assert worker.process.returncode == 0
        assert group(worker.process) == {}
        assert "Traceback" not in (data.parent / "worker.log").read_text()


def test_a_second_serve_on_the_same_port_leaves_the_first_alone(data: Path) -> None:
    with serving(data, None, "--no-worker") as server:
        port = server.url.rpartition(":")[2]
        assert port in failed(
            rushes("serve", "--data", str(data), "--port", port, cwd=data.parent, RUSHES_CONFIG=small(data))
        )
        with server.client() as api:
            assert api.get("/aistudio/videos").content == b'{"items":[]}'


def test_an_ipv6_address_is_served_and_told_as_a_url(data: Path) -> None:
    port = free_port()
    try:
        socket.create_server(("::1", port), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    program = Program(["serve", "--data", str(data), "--host", "::1", "--port", str(port), "--no-worker"])
    program.start(data.parent / "log")
    try:
        wait_until(lambda: answers(f"http://[::1]:{port}"), what="an answer over IPv6")
        wait_until(
            lambda: f"ready on http://[::1]:{port}\n" in (data.parent / "log").read_text(), what="the ready line"
        )
    finally:
        program.stop()


def test_many_commands_at_once_on_a_new_folder_all_succeed(data: Path) -> None:
    """The folder, the database and its schema are made once, whoever comes first."""
    command = [sys.executable, "-m", "rushes", "keys", "create", "--data", str(data)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=data.parent) for _ in range(6)
    ]
    told = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0] * 6, told
    assert len({key for key, _ in told}) == 6


def test_opening_a_folder_while_others_work_in_it_never_fails(data: Path) -> None:
    """Workspaces come and go in it all the time."""
    from concurrent.futures import ThreadPoolExecutor

    from rushes.blobs.local import Workspaces

    folder = Workspaces(data)
    asyncio.run(folder.open())
    end = time.monotonic() + 1

    def work() -> None:
        while time.monotonic() < end:
            with folder.workspace():
                pass

    def look() -> None:
        while time.monotonic() < end:
            try:
                asyncio.run(folder.open())
            except StartError as error:
                raise AssertionError(error.sentence) from error

    with ThreadPoolExecutor(6) as pool:
        for future in [pool.submit(act) for act in (work, work, work, look, look, look)]:
            future.result()
