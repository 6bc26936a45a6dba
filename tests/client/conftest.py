"""Both clients, and the vendor. A test is written once, as for the one that blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, TypeVar, cast

import anyio.from_thread
import pytest

from rushes import AsyncClient, Client
from tests.client.driven import Driven
from tests.servers.vendor import KEY, Vendor

T = TypeVar("T")
A = TypeVar("A")

Connect = Callable[..., Client]


@pytest.fixture(scope="session")
def portal() -> Iterator[anyio.from_thread.BlockingPortal]:
    """An event loop on a thread of its own."""
    with anyio.from_thread.start_blocking_portal("asyncio") as running:
        yield running


@pytest.fixture(params=["Client", "AsyncClient"])
def connect(request: pytest.FixtureRequest, portal: anyio.from_thread.BlockingPortal) -> Iterator[Connect]:
    """Makes a client of each kind in turn, to be used as one that blocks."""
    with ExitStack() as opened:

        def make(url: str, key: str = KEY, **settings: Any) -> Client:
            if request.param == "Client":
                return opened.enter_context(Client(url, key, **settings))
            client = portal.call(lambda: AsyncClient(url, key, **settings))
            opened.callback(portal.call, client.aclose)
            return cast("Client", Driven(portal, client))

        yield make


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """The vendor's own service, or nearly."""
    with Vendor() as running:
        yield running


@pytest.fixture
def client(connect: Connect, vendor: Vendor) -> Client:
    """A client of the vendor."""
    return connect(vendor.url)


def all_at_once(act: Callable[[A], T], on: Sequence[A]) -> list[T]:
    """What each comes to, in order."""
    with ThreadPoolExecutor(min(len(on), 96)) as threads:
        return list(threads.map(act, on))
