"""An asynchronous client, driven from a thread that blocks: its calls return, its lists are walked with ``for``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

from anyio.from_thread import BlockingPortal

_END = object()


class Driven:
    """Anything of ``AsyncClient``'s, with its methods as those of ``Client``."""

    def __init__(self, portal: BlockingPortal, within: Any) -> None:
        self._portal = portal
        self._within = within

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._within, name)
        return partial(self._call, found) if callable(found) else Driven(self._portal, found)

    def _call(self, method: Any, *given: Any, **named: Any) -> Any:
        result = self._portal.call(partial(method, *given, **named))
        return self._walk(result) if isinstance(result, AsyncIterator) else result

    def _walk(self, walked: AsyncIterator[Any]) -> Iterator[Any]:
        async def step() -> Any:
            return await anext(walked, _END)

        while (each := self._portal.call(step)) is not _END:
            yield each
