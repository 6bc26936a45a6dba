"""Tells the world: sends what is due to its webhook, signed, and notes what was answered.

Deliveries are leased like jobs. A lane is one receiver of one account: each has a few places and no more, so that one
that is slow or dead keeps only its own waiting.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from http import HTTPStatus

from rushes import ids, metrics, wire
from rushes.config import Config
from rushes.errors import InputBlocked, InputUnreachable, Unavailable
from rushes.fetch import Fetcher, Lookups, checked
from rushes.store import webhooks
from rushes.store.webhooks import Delivery, DeliveryState, Try
from rushes.studio import Studio

log = logging.getLogger(__name__)

SEND_SECONDS = 15.0
SCHEDULE = (5.0, 5 * 60.0, 30 * 60.0, 2 * 3600.0, 5 * 3600.0, 10 * 3600.0, 10 * 3600.0)
"""Seconds from one try to the next; when they are used up, the delivery has failed."""

_AT_ONCE = 200
_IN_A_LANE = 10
_IDLE_SECONDS = 0.2
_FAULT_SECONDS = 2.0
_GRACE_SECONDS = 5.0


class Notifier:
    """Sends deliveries, in one worker process, beside its jobs."""

    def __init__(self, studio: Studio, fetcher: Fetcher) -> None:
        self._studio = studio
        self._fetcher = fetcher
        self._owner = ids.uuid()
        self._held: dict[asyncio.Task[None], Delivery] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Send until ``stop`` is set; then finish what ends soon, and give back the rest."""
        try:
            while not stop.is_set():
                await self._claim()
                await self._wait(stop)
        finally:
            await self._finish()

    async def _claim(self) -> None:
        try:
            wanted = self._wanted(await webhooks.lanes(self._studio.store))
            for held in await self._claimed(wanted):
                self._held[asyncio.create_task(self._deliver(held), name=held.id)] = held
        except Unavailable as error:
            log.warning("webhooks wait: %s", error.sentence)
            await asyncio.sleep(_FAULT_SECONDS)

    async def _claimed(self, wanted: dict[str, int]) -> list[Delivery]:
        if not wanted:
            return []
        return await self._studio.deliveries.claim(self._owner, wanted, SEND_SECONDS)

    def _wanted(self, lanes: Iterable[str]) -> dict[str, int]:
        """How many places each lane has free; an account, however many its lanes, holds as many as it leaves free."""
        busy, left = Counter(held.lane for held in self._held.values()), _AT_ONCE - len(self._held)
        of_account = Counter(held.account_id for held in self._held.values())
        wanted: dict[str, int] = {}
        for lane in lanes:
            account_id = lane.partition(" ")[0]
            places = min(_IN_A_LANE - busy[lane], left - of_account[account_id])
            if places > 0:
                wanted[lane] = places
                left -= places
                of_account[account_id] += places
        return wanted

    async def _wait(self, stop: asyncio.Event) -> None:
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({stopping, *self._held}, timeout=_IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in [task for task in self._held if task.done()]:
            del self._held[task]

    async def _deliver(self, held: Delivery) -> None:
        try:
            await self._try(held)
        except Unavailable as error:
            log.warning("webhook %s waits for its lease to end: %s", held.id, error.sentence)
        except Exception:  # whatever it was, the lease ends by itself and the next claim tries again
            log.exception("webhook %s was left where it stood", held.id)

    async def _try(self, held: Delivery) -> None:
        tried = await send(self._studio, self._fetcher, held)
        state = _outcome(held, tried)
        metrics.webhook_tried("delivered" if is_success(tried) else str(tried.status or "not reached"))
        wait = None if state.ended else SCHEDULE[held.tries]
        if not await self._studio.deliveries.end_try(held, tried, state, wait):
            log.warning("webhook %s was no longer held by this worker", held.id)
        elif state.ended and state is not DeliveryState.DELIVERED:
            log.warning("webhook %s has ended as %s: %s", held.id, state, tried.told)

    async def _finish(self) -> None:
        if self._held:
            _, late = await asyncio.wait(self._held, timeout=_GRACE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._held, return_exceptions=True)
        with suppress(Unavailable):
            await self._studio.deliveries.release(self._owner)


def _outcome(delivery: Delivery, tried: Try) -> DeliveryState:
    if is_success(tried):
        return DeliveryState.DELIVERED
    if tried.status == HTTPStatus.GONE:
        return DeliveryState.GONE
    is_last = delivery.is_test or delivery.tries >= len(SCHEDULE)
    return DeliveryState.FAILED if is_last else DeliveryState.DUE


def is_success(tried: Try) -> bool:
    """Whether the receiver took it."""
    return tried.status is not None and tried.status // 100 == 2


def poster(config: Config) -> Fetcher:
    """The way out to webhooks; close it."""
    return Fetcher(config.allow_private_hosts, resolver=Lookups(2 * _AT_ONCE))


async def send_test(studio: Studio, fetcher: Fetcher, account_id: str, url: str) -> Try:
    """Send one event that says it is a test; it is kept like any other, and not tried again.

    Raises:
        InputBlocked: the URL is none that can be called, or holds a password; nothing is kept.
    """
    checked(url, what="webhook")
    body = wire.dumps({"job_id": ids.uuid(), "success": True, "data": {"status": "test"}})
    event = Delivery(webhooks.new_id(), account_id, "", None, url, body, 0, DeliveryState.FAILED, 1, None)
    tried = await send(studio, fetcher, event)
    if is_success(tried):
        event = replace(event, state=DeliveryState.DELIVERED)
    await studio.deliveries.keep(event, tried)
    return tried


async def send(studio: Studio, fetcher: Fetcher, delivery: Delivery) -> Try:
    """One try, signed with each of the account's present secrets."""
    started, begun = await studio.now(), time.monotonic()
    # By the database's clock, as it really is: a receiver refuses what was signed by one that is minutes wrong.
    timestamp = (started - studio.store.clock_shift) // 1000
    headers = signed(delivery, await studio.deliveries.secrets(delivery.account_id), timestamp)
    status: int | None = None
    try:
        status, told = await fetcher.post(delivery.url, delivery.body.encode(), headers, seconds=SEND_SECONDS)
    except (InputBlocked, InputUnreachable) as error:
        told = error.sentence
    except Exception:  # a mistake of ours counts as a failed try, or it would be made again with every lease
        log.exception("webhook %s met an unforeseen error", delivery.id)
        told = "It could not be sent; the server's log says why."
    return Try(started, round((time.monotonic() - begun) * 1000), status, told)


def signed(delivery: Delivery, secrets: Iterable[str], timestamp: int) -> dict[str, str]:
    """The headers of https://www.standardwebhooks.com: time in seconds, a signature for each secret."""
    content = f"{delivery.id}.{timestamp}.{delivery.body}".encode()
    return {
        "Content-Type": "application/json",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(secret, content) for secret in secrets),
    }


def _signature(secret: str, content: bytes) -> str:
    key = b64decode(secret.removeprefix(webhooks.SECRET_PREFIX))
    return "v1," + b64encode(hmac.digest(key, content, sha256)).decode()
