"""A PostgreSQL of a test's own, to be killed."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.servers.postgres import Postgres, folder


@pytest.fixture
def primary() -> Iterator[Postgres]:
    with folder() as made:
        server = Postgres(made)
        server.create()
        yield server
        server.stop(signal.SIGQUIT)
