"""A hostile file may crash, hang or swell in its child; the caller gets a sentence and nothing is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from rushes.errors import ProviderUnreachable, RushesError, StorageFull, Unavailable, Unreadable
from rushes.media import isolated

from . import victims

PATIENCE = 20.0


def run(function: Callable[..., Any], *args: object, seconds: float = PATIENCE, memory: int = 2 << 30) -> Any:
    return asyncio.run(isolated(function, *args, seconds=seconds, memory=memory))


def until(true: Callable[[], object]) -> None:
    """Wait for a condition, with a limit."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def state(pid: int) -> str:
    """The kernel's letter for a process: Z for a zombie; nothing once it is reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_gives_back_what_the_function_gave() -> None:
    assert run(victims.add, 2, 3) == 5
    assert len(run(victims.large)) == 3_000_000


def test_works_on_uvloop() -> None:
    async def both() -> list[int]:
        return await asyncio.gather(*(isolated(victims.add, i, i, seconds=PATIENCE) for i in range(4)))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(both()) == [0, 2, 4, 6]


def test_an_error_of_ours_comes_back_as_itself() -> None:
    with pytest.raises(Unreadable, match=r"^The file is a poem\.$") as caught:
        run(victims.refuse)
    assert type(caught.value) is Unreadable
    with pytest.raises(ProviderUnreachable) as other:
        run(victims.complain, ProviderUnreachable("Not now.", 7.0))
    assert (other.value.sentence, other.value.retry_after) == ("Not now.", 7.0)


@pytest.mark.parametrize(
    ("victim", "args", "error", "sentence"),
    [
        (victims.kill_myself, (), Unreadable, "The file crashed its reader (SIGKILL)."),
        (victims.segfault, (), Unreadable, "The file crashed its reader (SIGSEGV)."),
        (victims.leave, (0,), Unreadable, "The file's reader stopped without an answer (exit status 0)."),
        (victims.leave, (3,), Unreadable, "The file's reader stopped without an answer (exit status 3)."),
        (victims.burn, (), Unreadable, "Reading the file took too much processor time."),
        (victims.blunder, (), Unreadable, "Reading the file failed (ZeroDivisionError)."),
        (
            victims.fill_disk,
            (),
            StorageFull,
            "The disk is full where media files are made; make room, and waiting jobs go on.",
        ),
    ],
)
def test_a_death_is_one_sentence(
    victim: Callable[..., Any], args: tuple[int, ...], error: type[RushesError], sentence: str
) -> None:
    with pytest.raises(RushesError) as caught:
        run(victim, *args)
    assert (type(caught.value), caught.value.sentence) == (error, sentence)
    assert run(victims.add, 1, 1) == 2  # and the next call works


def test_time_is_limited(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    with pytest.raises(Unreadable, match="took longer than 1 seconds"):
        run(victims.hang, mark, seconds=1)
    assert state(int(mark.read_text())) == ""


def test_memory_is_limited() -> None:
    assert run(victims.swell, memory=3 << 30) == victims.GIB
    with pytest.raises(Unreadable, match="more memory than it may"):
        run(victims.swell, memory=1 << 30)


def test_a_result_that_cannot_be_pickled_is_an_error_and_no_hang() -> None:
    with pytest.raises(Unreadable, match="exit status 70"):
        run(victims.unpicklable)


def test_limits_are_those_asked_for() -> None:
    told = run(victims.limits, seconds=9, memory=1 << 30)
    assert told["core"] == 0
    assert told["cpu"] == 10
    assert told["memory"] == 1 << 30
    assert told["nice"] >= min(os.nice(0) + 5, 19)
    assert told["files"] <= 6  # 0, 1, 2, its socket, the one that reads this folder: nobody else's


def test_a_cancelled_call_leaves_no_process(tmp_path: Path) -> None:
    mark = tmp_path / "pid"

    async def cancel() -> None:
        task = asyncio.ensure_future(isolated(victims.hang, mark, seconds=PATIENCE))
        while not mark.exists():
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert state(int(mark.read_text())) == ""  # already: not soon


def test_many_at_once_and_the_loop_stays_free() -> None:
    async def many() -> tuple[list[int], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        ticking = asyncio.ensure_future(tick())
        sums = await asyncio.gather(*(isolated(victims.add, i, 1, seconds=PATIENCE) for i in range(60)))
        ticking.cancel()
        return sums, ticks

    sums, ticks = asyncio.run(many())
    assert sums == list(range(1, 61))
    assert ticks > 5


def test_nothing_leaks() -> None:
    server = run(victims.limits)["parent"]

    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir(f"/proc/{server}/fd"))  # noqa: PTH208

    before = held()
    for victim in (victims.kill_myself, victims.refuse, victims.blunder) * 3:
        with pytest.raises(Unreadable):
            run(victim)
    until(lambda: held() == before)
    assert Path(f"/proc/{server}/task/{server}/children").read_text() == ""


def test_the_fork_server_may_die(tmp_path: Path) -> None:
    mark = tmp_path / "pid"

    async def kill_it() -> None:
        server = (await isolated(victims.limits, seconds=PATIENCE))["parent"]
        task = asyncio.ensure_future(isolated(victims.hang, mark, seconds=PATIENCE))
        while not mark.exists():
            await asyncio.sleep(0.005)
        os.kill(server, signal.SIGKILL)
        with pytest.raises(Unavailable):
            await task

    asyncio.run(kill_it())
    until(lambda: state(int(mark.read_text())) in ("", "Z"))  # an orphan: its reaper is the system's
    assert run(victims.add, 1, 1) == 2


def test_ctrl_c_while_it_starts_is_no_concern_of_the_fork_server(tmp_path: Path) -> None:
    """It goes to every process of the terminal; also to one that has only just begun."""
    code = """
        import asyncio, os, signal
        from rushes.media import isolate
        signal.signal(signal.SIGINT, lambda *_: None)
        isolate._server._start()
        first = isolate._server._process.pid
        os.killpg(0, signal.SIGINT)
        print(asyncio.run(isolate.isolated(os.getppid, seconds=30)) == first)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    run = subprocess.run(command, cwd=tmp_path, start_new_session=True, capture_output=True, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (0, b"True\n", b"")


def test_nothing_outlives_a_killed_worker(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    worker = script(tmp_path, f"asyncio.run(isolated(victims.hang, Path({str(mark)!r}), seconds=60))")
    with subprocess.Popen([sys.executable, str(worker)]) as process:
        until(mark.exists)
        child = int(mark.read_text())
        server = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])
        assert state(child)
        assert state(server)
        process.kill()
    until(lambda: state(child) in ("", "Z"))
    until(lambda: state(server) in ("", "Z"))


def test_the_main_script_is_not_imported_again(tmp_path: Path) -> None:
    worker = script(tmp_path, "print(asyncio.run(isolated(victims.add, 1, 2, seconds=60)))", first="print('main')")
    told = subprocess.run([sys.executable, str(worker)], check=True, capture_output=True, text=True, timeout=PATIENCE)
    assert (told.stdout, told.stderr) == ("main\n3\n", "")


def test_importing_media_does_not_load_the_libraries(tmp_path: Path) -> None:
    worker = script(tmp_path, "print(sorted({'av', 'PIL', 'numpy'} & set(sys.modules)))")
    told = subprocess.run([sys.executable, str(worker)], check=True, capture_output=True, text=True, timeout=PATIENCE)
    assert told.stdout == "[]\n"


def script(folder: Path, last: str, first: str = "") -> Path:
    """A program of its own, with no guard for being imported."""
    package = victims.__name__.rpartition(".")[0]
    path = folder / "worker.py"
    text = f"""
        import asyncio, sys
        from pathlib import Path
        sys.path[:] = {sys.path!r}
        from {package} import victims
        from rushes.media import isolated
        {first}
        {last}
    """
    path.write_text(textwrap.dedent(text))
    return path
