"""A provider that does what none may, so that the suite can be seen to notice (``test_control.py``)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import aiohttp
from yarl import URL

from rushes.errors import ProviderFailed, ProviderUnreachable, RushesError
from rushes.providers import Delivered, Done, Order, Pending, Refused
from rushes.providers.openai_compatible import OpenAICompatible
from tests.providers.cases.openai_compatible import CASES as SOUND
from tests.servers.fake import KEY


class Careless(OpenAICompatible):
    """Sends a create again when its answer is lost, gives an order up when a poll fails, takes its key everywhere, and
    saves what is cut off as if it were whole.
    """

    async def submit(self, order: Order) -> str | Delivered:
        for _ in range(3):
            try:
                return await super().submit(order)
            except RushesError:
                raise
            except Exception:  # noqa: BLE001  (that is its sin)
                continue
        raise ProviderUnreachable("It does not answer.")

    async def poll(self, ticket: str) -> Pending | Done | Refused:
        try:
            return await super().poll(ticket)
        except ProviderUnreachable as error:
            return Refused(ProviderFailed(error.sentence), Decimal(0))

    async def download(self, done: Done, to: Path) -> None:
        url = self._vendor.base.join(URL(done.source))
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
            try:
                async with session.get(url) as answer:
                    to.write_bytes(await answer.content.read())
            except aiohttp.ClientError:
                to.write_bytes(b"")


CASES = [replace(SOUND[0], name="careless", provider=Careless)]
