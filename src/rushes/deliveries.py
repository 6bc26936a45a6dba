"""The webhooks' part of the studio: what signs them, and the queue of what is to be delivered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rushes.store import Store, webhooks
from rushes.store.webhooks import Delivery, DeliveryState, Try


@dataclass(frozen=True, slots=True)
class Deliveries:
    """The verbs that change what is delivered, one transaction each."""

    store: Store
    lease_ms: int
    """How long a delivery stays with a notifier that has stopped answering, beyond the time of a try."""

    async def secrets(self, account_id: str) -> list[str]:
        """What signs an account's webhooks, the newest first, made on first use; more than one during a rotation."""
        if found := await webhooks.present_secrets(self.store, account_id):
            return found
        async with self.store.write() as tx:
            await webhooks.make_secret(tx, account_id)
            return await webhooks.present_secrets(tx, account_id)

    async def rotate_secret(self, account_id: str, hours: float) -> str:
        """Give an account a new secret; the ones before it sign beside it for so many hours."""
        async with self.store.write() as tx:
            await webhooks.rotate_secret(tx, account_id, int(hours * 3_600_000))
            return (await webhooks.present_secrets(tx, account_id))[0]

    async def claim(self, owner: str, wanted: Mapping[str, int], seconds: float) -> list[Delivery]:
        """Take up to so many due deliveries of each lane, each under a lease that outlasts the ``seconds`` of a try."""
        async with self.store.write() as tx:
            return await webhooks.claim(tx, owner, int(seconds * 1000) + self.lease_ms, wanted)

    async def release(self, owner: str) -> None:
        """Give back the deliveries that a worker holds: it stops."""
        async with self.store.write() as tx:
            await webhooks.release(tx, owner)

    async def end_try(self, held: Delivery, tried: Try, state: DeliveryState, wait: float | None) -> bool:
        """Log a try and move its delivery on, due again in ``wait`` seconds; ``False`` when it is held no more."""
        async with self.store.write() as tx:
            await webhooks.note(tx, held, tried)
            return await webhooks.step(tx, held, state, None if wait is None else tx.now + int(wait * 1000))

    async def keep(self, delivery: Delivery, tried: Try) -> None:
        """Keep what was sent once, without a place in the queue."""
        async with self.store.write() as tx:
            await webhooks.add_ended(tx, delivery, tried)

    async def replay(self, delivery_id: str) -> bool:
        """Send a delivery again, now, its schedule from the start; ``False`` when there is none of that id."""
        async with self.store.write() as tx:
            return await webhooks.replay(tx, delivery_id)
