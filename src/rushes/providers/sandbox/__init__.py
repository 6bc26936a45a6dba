"""The built-in provider: no key, no network, no GPU, nothing to pay; it draws real MP4s and PNGs.

Words in the prompt make it fail, refuse, stall or dawdle (see :mod:`.orders`). A ticket holds everything, so any
worker on any host can draw it, as often as it likes, and gets the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from rushes.errors import BadSetting, JobFailed, ProviderFailed, ProviderUnreachable, Unreadable
from rushes.media.isolate import isolated
from rushes.providers import Done, Order, Pending, Price, Provider, Refused, Setup
from rushes.providers.sandbox import inputs, orders
from rushes.providers.sandbox.delivery import deliver
from rushes.providers.sandbox.orders import Wishes, wishes
from rushes.providers.sandbox.ticket import Ticket, from_text, to_text

__all__ = ["Sandbox"]

_POLL_AFTER = 0.5
_READING = 60.0
_DRAWING = 300.0
"""Seconds of patience, for a host that is busy with other things: drawing takes one or two."""
_FREE = Decimal(0)


class Sandbox(Provider):
    """Draws what was ordered. The option ``takes`` is how many seconds it pretends to work on each order (0)."""

    idempotent = True

    price = Price(_FREE, per_second=False, table="sandbox")

    def __init__(self, setup: Setup, *, now: Callable[[], float] = time.time) -> None:
        """``now`` is the clock, in seconds since 1970; raises :class:`BadSetting` for an option it does not know."""
        options = setup.options
        takes = options.get("takes", 0)
        if set(options) - {"takes"} or not isinstance(takes, int | float) or takes < 0:
            raise BadSetting("The sandbox has one option: takes, the seconds that it works on each order.")
        self._takes, self._now = float(takes), now

    async def submit(self, order: Order) -> str:
        """Read the inputs now; raises :class:`InputNotAnImage`, :class:`InputNotAVideo`, or what the prompt asks."""
        for word in wishes(order.prompt).words:
            if word in orders.AT_SUBMIT:
                raise orders.AT_SUBMIT[word]()
        opening, references = await self._read(order)
        return to_text(
            Ticket(
                model=order.model,
                prompt=order.prompt,
                width=order.width,
                height=order.height,
                seconds=order.seconds,
                submitted=self._now(),
                opening=opening,
                references=references,
                kind=order.kind,
                style=order.style,
            )
        )

    async def _read(self, order: Order) -> tuple[bytes | None, tuple[bytes, ...]]:
        if order.inputs == type(order.inputs)():
            return None, ()
        try:
            return await isolated(inputs.read, order.inputs, order.width, order.height, seconds=_READING)
        except Unreadable as error:
            raise inputs.unreadable(order.inputs, error) from None

    async def poll(self, ticket: str) -> Pending | Done | Refused:
        """Done at once, unless the prompt or the option ``takes`` asks for time."""
        facts = from_text(ticket)
        asked = wishes(facts.prompt)
        age = self._now() - facts.submitted
        if age < asked.seconds.get("flaky", 0):
            raise ProviderUnreachable("The sandbox plays unreachable for a while, as the prompt asked.", 1.0)
        working = self._working(asked, age)
        return working or self._ended(asked, ticket)

    def _working(self, asked: Wishes, age: float) -> Pending | None:
        if orders.STALL in asked.words:
            return Pending(_POLL_AFTER)
        whole = asked.seconds.get("slow", self._takes)
        return Pending(_POLL_AFTER, max(0.0, age / whole)) if age < whole else None

    def _ended(self, asked: Wishes, ticket: str) -> Done | Refused:
        errors: list[JobFailed] = [orders.AT_POLL[word]() for word in asked.words if word in orders.AT_POLL]
        return Refused(errors[0], _FREE) if errors else Done(ticket, _FREE)

    async def cancel(self, ticket: str) -> Decimal | None:
        """Nothing is under way: it costs nothing."""
        return _FREE

    async def check(self) -> str | None:
        """Always."""
        return "the sandbox draws here, and costs nothing"

    async def download(self, done: Done, to: Path) -> None:
        """Draw the video or image into ``to``; raises :class:`ProviderFailed` if this host cannot."""
        try:
            await isolated(deliver, from_text(done.source), to, seconds=_DRAWING)
        except Unreadable as error:
            raise ProviderFailed(f"The sandbox could not draw this here: {error.sentence}") from None
