"""One real video for each engine, made once and looked at by many tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
import psycopg
import pytest

from rushes import ids
from tests.api.takes import Json, completed, submit
from tests.conftest import ENGINES, Server, serving

PROMPT = "a lighthouse in the fog – „leise“ 🎬"


@dataclass(frozen=True)
class Take:
    """A finished video of an account that holds nothing else."""

    server: Server
    key: str
    api: httpx2.Client
    job_id: str
    item: Json


def take_of(server: Server) -> Take:
    """A finished video of a new account."""
    key = server.key()
    api = server.client(key)
    job_id = submit(api, PROMPT, aspectRatio="1:1")
    return Take(server, key, api, job_id, completed(api, job_id))


@pytest.fixture(scope="session")
def sqlite_take(sqlite_server: Server) -> Iterator[Take]:
    take = take_of(sqlite_server)
    yield take
    take.api.close()


@pytest.fixture(scope="session")
def postgres_take(postgres_server: Server) -> Iterator[Take]:
    take = take_of(postgres_server)
    yield take
    take.api.close()


@pytest.fixture
def take(engine: str, request: pytest.FixtureRequest) -> Take:
    """A finished video on each engine."""
    found = request.getfixturevalue(f"{engine}_take")
    assert isinstance(found, Take)
    return found


@pytest.fixture
def api(server: Server) -> Iterator[httpx2.Client]:
    """A client of a new account."""
    with server.client() as client:
        yield client


@contextmanager
def beside(server: Server, *options: str, **settings: str) -> Iterator[Server]:
    """Another API, set up otherwise, on the same data and without a worker."""
    named = {f"RUSHES_{name.upper()}": value for name, value in settings.items()}
    with serving(server.data, server.database_url, "--no-worker", *options, settings=named) as other:
        yield other


@pytest.fixture(scope="session", params=ENGINES)
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An API that only takes requests: what is accepted stays in the queue."""
    url = _database(request.getfixturevalue("postgres")) if request.param == "postgres" else None
    with serving(tmp_path_factory.mktemp("desk") / "data", url, "--no-worker") as server:
        yield server


def _database(postgres: str) -> str:
    name = f"desk{ids.uuid().replace('-', '')}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return postgres.replace("/postgres?", f"/{name}?")
