"""``rushes backup``: a copy of the database made while it is written to, whole or not there."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from rushes import config, ids, store
from rushes.model import Kind
from rushes.store import migrations
from rushes.studio import Studio
from tests.acceptance.test_full_disk import filled, small_disk
from tests.cli.running import failed, rushes
from tests.conftest import wait_until
from tests.contract.samples import video
from tests.transfer.libraries import MAY, account_id, entered
from tests.transfer.worked import Made, faults, film

WRITER = """
import asyncio, sys
from pathlib import Path
from rushes import store
async def write():
    opened = await store.open(Path(sys.argv[1]))
    for number in range(10**9):
        async with opened.write() as tx:
            value = f"{number} " + "x" * 2000
            await tx.rows("INSERT INTO server (name, value) VALUES (:name, :value)", name=f"n{number:09}", value=value)
        print(number, flush=True)
asyncio.run(write())
"""


@contextmanager
def writing(data: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that commits row after row, and prints the number of each once it is committed."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(data)], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def numbers(file: Path) -> list[int]:
    with_log = apsw.Connection(str(file), apsw.SQLITE_OPEN_READONLY)
    rows = with_log.execute("SELECT value FROM server WHERE name LIKE 'n0%' ORDER BY name").fetchall()
    with_log.close()
    return [int(str(value).split()[0]) for (value,) in rows]


def backups(folder: Path) -> list[Path]:
    return sorted(folder.glob("rushes-*.db"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rushes("keys", "create", "--data", "data", cwd=tmp_path)
    return tmp_path / "data"


def test_all_that_was_committed_before_is_in_a_copy_made_under_writes(data: Path, tmp_path: Path) -> None:
    with writing(data) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= 200:
                break
        done = rushes("backup", "copies", "--data", "data", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert writer.poll() is None, "it was not disturbed"
    [file] = backups(tmp_path / "copies")
    assert done.stdout == f"copies/{file.name}\n"
    assert [path.name for path in file.parent.iterdir()] == [file.name], "one file, without its log"
    found = numbers(file)
    assert found == list(range(len(found))), "one moment"
    assert len(found) > 200
    copy = apsw.Connection(str(file), apsw.SQLITE_OPEN_READONLY)
    assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    last = list(migrations.migrations("sqlite"))[-1].number
    assert copy.execute("SELECT max(number) FROM migrations").fetchall() == [(last,)]
    copy.close()


def test_a_long_copy_is_of_one_moment_and_does_not_begin_anew(data: Path, tmp_path: Path) -> None:
    writer = apsw.Connection(str(data / "rushes.db"))
    writer.execute("INSERT INTO server (name, value) VALUES ('long', :text)", {"text": "x" * 50_000_000})
    steps: list[int] = []

    def commit(done: int, of: int) -> None:
        steps.append(done)
        assert len(steps) < 100, "it begins anew with each commit"
        writer.execute("INSERT INTO server (name, value) VALUES (:name, '0')", {"name": f"n{len(steps):09}"})

    store.copy(data, tmp_path / "copy.db", commit)
    writer.close()
    assert len(steps) > 4
    assert steps == sorted(steps)
    assert numbers(tmp_path / "copy.db") == []
    assert len(numbers(data / "rushes.db")) == len(steps)


def test_a_copy_is_a_library(data: Path, tmp_path: Path) -> None:
    assert rushes("backup", "copies", "--data", "data", cwd=tmp_path).returncode == 0
    (tmp_path / "new").mkdir()
    shutil.copy(backups(tmp_path / "copies")[0], tmp_path / "new" / "rushes.db")
    before, after = (rushes("keys", "list", "--data", name, cwd=tmp_path).stdout for name in ("data", "new"))
    assert before == after != ""


def test_the_newest_are_kept(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "copies" / "rushes-notes.db"
    other.parent.mkdir()
    other.touch()
    made = [rushes("backup", "copies", "--data", "data", "--keep", "2", cwd=tmp_path) for _ in range(3)]
    assert [run.returncode for run in made] == [0, 0, 0]
    assert "1 older ones deleted" in made[-1].stderr
    kept = [path for path in backups(tmp_path / "copies") if path != other]
    assert [f"copies/{path.name}" for path in kept] == [run.stdout.strip() for run in made[1:]]
    assert other.exists()


def test_a_backup_that_is_killed_leaves_none(data: Path, tmp_path: Path) -> None:
    async def fill() -> None:
        opened = await store.open(data)
        for part in range(4):
            async with opened.write() as tx:
                text = "INSERT INTO server (name, value) VALUES (:name, :value)"
                await tx.rows(text, name=f"big {part}", value="x" * 60_000_000)
        await opened.close()

    asyncio.run(fill())
    folder = tmp_path / "copies"
    command = [sys.executable, "-m", "rushes", "backup", str(folder), "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: any(part.stat().st_size > 10**6 for part in folder.glob(".*.part")), what="its beginning")
        os.kill(process.pid, signal.SIGKILL)
    assert backups(folder) == []
    for part in folder.glob(".*.part*"):
        os.utime(part, (1, 1))
    assert rushes("backup", "copies", "--data", "data", cwd=tmp_path).returncode == 0
    assert [path.name for path in folder.iterdir()] == [backups(folder)[0].name], "what was left is gone"


def test_a_full_disk_is_told_and_leaves_none(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    with small_disk(folder, 4), filled(folder):
        assert "full" in failed(rushes("backup", str(folder), "--data", "data", cwd=tmp_path))
        assert [path.name for path in folder.iterdir()] == ["filler"]


def test_a_damaged_database_is_told_and_no_backup(data: Path, tmp_path: Path) -> None:
    file = data / "rushes.db"
    content = bytearray(file.read_bytes())
    content[8192 * 3 : 8192 * 9] = b"\xff" * (8192 * 6)
    file.write_bytes(content)
    assert "damaged" in failed(rushes("backup", "copies", "--data", "data", cwd=tmp_path))
    assert list((tmp_path / "copies").iterdir()) == []


def test_what_it_cannot_back_up_is_told(data: Path, tmp_path: Path) -> None:
    assert "There is no library" in failed(rushes("backup", "copies", "--data", "nowhere", cwd=tmp_path))
    url = {"RUSHES_DATABASE_URL": "postgresql://nowhere/x"}
    assert "pg_dump or pgBackRest" in failed(rushes("backup", "copies", "--data", "data", cwd=tmp_path, **url))
    (tmp_path / "file").touch()
    assert rushes("backup", "file", "--data", "data", cwd=tmp_path).returncode == 2


# --- restoring ---


def copy_files(data: Path, to: Path) -> None:
    """What ``rsync -a`` does: whatever is there is copied, nothing is deleted."""
    shutil.copytree(data / "media", to / "media", dirs_exist_ok=True, ignore=shutil.ignore_patterns(".work"))


async def changed(made: Made, deleted: str) -> None:
    """Life goes on: one more item, and one less."""
    async with made.studio() as studio:
        new = video(await account_id(studio), id=ids.item_id(MAY), file_id=ids.uuid(), created=MAY)
        await entered(studio, new)
        assert await studio.delete_item(made.account, Kind.VIDEO, deleted)


@pytest.mark.parametrize("database_first", [True, False])
def test_the_database_first_and_then_the_files(tmp_path: Path, database_first: bool) -> None:
    made, copy = asyncio.run(film(tmp_path)), tmp_path / "copy"

    async def the_brought() -> str:
        async with made.studio() as studio:
            [(found,)] = await studio.store.rows("SELECT id FROM videos WHERE job_id IS NULL")
            return str(found)

    def back_up() -> None:
        done = rushes("backup", "copies", "--data", "data", cwd=tmp_path)
        assert done.returncode == 0, done.stderr

    copy.mkdir()
    copy_files(made.data, copy)  # yesterday's
    steps: list[Callable[[], None]] = [back_up, lambda: copy_files(made.data, copy)]
    first, second = steps if database_first else steps[::-1]
    first()
    asyncio.run(changed(made, asyncio.run(the_brought())))
    second()
    shutil.copy(backups(tmp_path / "copies")[-1], copy / "rushes.db")
    restored = Made(copy, made.account, made.first, made.second, made.upload)

    async def check() -> list[str]:
        async with Studio.open(config.load(data=restored.data, sweep_seconds=0.000001)) as studio:
            return [fault.fault for fault in await faults(studio, quick=True)]

    found = asyncio.run(check())
    if database_first:
        assert found == ["unlisted"], "a file too many, and no row without its files"
    else:
        assert "missing" in found, "the control: this order loses files"
