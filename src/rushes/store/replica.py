"""A copy of the database that only follows it: lists are read there, as soon as it has come as far as whoever asks.

An account's revision grows with every change to what its lists show. Who asks is looked up in the database itself, so
that the revision is known there; a copy that has the same one, or a later one, has everything the account ever did.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rushes.errors import InvalidQuery, RushesError
from rushes.model import Account
from rushes.store import Store

log = logging.getLogger(__name__)

T = TypeVar("T")

_REVISION = "SELECT revision FROM accounts WHERE id = :id"
_WAIT_SECONDS = 1.0
_AWAY_SECONDS = 5.0
"""How long it is left alone after it did not answer."""


class Replica:
    """The copy at ``url``, connected to when it is first needed."""

    def __init__(self, url: str, pool_size: int, *, prepare: bool) -> None:
        self._url = url
        self._pool_size = pool_size
        self._prepare = prepare
        self._store: Store | None = None
        self._connecting = asyncio.Lock()
        self._away_until = 0.0

    async def read(self, account: Account, act: Callable[[Store], Awaitable[T]]) -> T | None:
        """What ``act`` reads there; ``None`` where it has to be read in the database itself: the copy has not come so
        far yet, or does not answer.
        """
        if time.monotonic() < self._away_until:
            return None
        try:
            store = await self._connected()
            found = await store.rows(_REVISION, id=account.id)
            return await act(store) if found and found[0][0] >= account.revision else None
        except InvalidQuery:  # what was asked cannot be
            raise
        except Exception as error:  # noqa: BLE001  (whatever is wrong there, the database itself knows it all)
            self._away_until = time.monotonic() + _AWAY_SECONDS
            log.warning("the replica is not read for %g seconds: %s", _AWAY_SECONDS, _reason(error))
            return None

    async def _connected(self) -> Store:
        async with self._connecting:
            if self._store is None:
                from rushes.store.postgres import Postgres

                self._store = await Postgres.connect(
                    self._url, self._pool_size, prepare=self._prepare, seconds=_WAIT_SECONDS
                )
            return self._store

    async def close(self) -> None:
        """Give back every connection."""
        if self._store is not None:
            await self._store.close()


def _reason(error: Exception) -> str:
    return error.sentence if isinstance(error, RushesError) else f"{type(error).__name__}: {error}"
