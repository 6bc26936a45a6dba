"""PgBouncer from Debian's packages, handing out connections by the transaction: ``apt-get install pgbouncer``."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.conftest import free_port, wait_until
from tests.servers.postgres import USER, Postgres

_CONFIG = """\
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
admin_users = postgres
"""


class PgBouncer:
    """One before a server, with three connections to it."""

    def __init__(self, folder: Path, server: Postgres) -> None:
        program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            if os.environ.get("RUSHES_TEST_REFUSE_SKIP"):
                raise AssertionError("there is no pgbouncer, and skipping is refused: apt-get install pgbouncer")
            pytest.skip("there is no pgbouncer here (apt-get install pgbouncer), so poolers were not tested")
        self._port = free_port()
        settings = folder / "pgbouncer.ini"
        text = _CONFIG.format(server=server.port, port=self._port)
        settings.write_text(text.replace("* = host", "* = user=postgres host"))
        self._process = subprocess.Popen(
            [program, str(settings)],
            user=USER if os.geteuid() == 0 else None,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(self._answers, what="PgBouncer's first answer")

    def url(self, database: str) -> str:
        """The way to a database through it."""
        return f"postgresql://postgres@127.0.0.1:{self._port}/{database.rpartition('/')[2]}"

    def servers(self, database: str) -> int:
        """How many connections to the server it has for a database."""
        name = database.rpartition("/")[2]
        with psycopg.connect(self.url("pgbouncer"), autocommit=True) as connection:
            return sum(name in row for row in psycopg.ClientCursor(connection).execute("SHOW SERVERS").fetchall())

    def _answers(self) -> bool:
        assert self._process.poll() is None
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()
