"""Webhooks: the secrets that sign them, and their deliveries, leased like jobs and logged try by try."""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from rushes import ids
from rushes.paging import SortKey
from rushes.store import Row, Rows, Transaction

KEPT_MS = 30 * 24 * 3600 * 1000
SECRET_PREFIX = "whsec_"  # noqa: S105
_SECRET_BYTES = 32

_COLUMNS = """id, account_id, (SELECT name FROM accounts WHERE accounts.id = deliveries.account_id),
    job_id, url, body, created, state, tries, run_at, owner, attempt"""
_ADD = """
INSERT INTO deliveries (id, account_id, job_id, url, lane, body, created, state, tries, run_at, attempt, ended)
VALUES (:id, :account_id, :job_id, :url, :lane, :body, :now, :state, :tries, :run_at, 0, :ended)
"""
# Hops from lane to lane in the index: what waits in one, or has waited for long, is not read.
_LANES = """
WITH RECURSIVE lanes (lane) AS (
    SELECT min(lane) FROM deliveries WHERE run_at IS NOT NULL
    UNION ALL
    SELECT (SELECT min(lane) FROM deliveries WHERE run_at IS NOT NULL AND deliveries.lane > lanes.lane)
    FROM lanes WHERE lanes.lane IS NOT NULL
)
SELECT lane FROM (
    SELECT lane, (SELECT min(run_at) FROM deliveries WHERE deliveries.lane = lanes.lane AND run_at IS NOT NULL) AS due
    FROM lanes WHERE lane IS NOT NULL
) AS waiting WHERE due <= $now ORDER BY due
"""
# The second look at run_at is what decides a race where rows cannot be skipped while locked.
_CLAIM = f"""
WITH due AS MATERIALIZED (
    SELECT id FROM deliveries WHERE lane = :lane AND run_at <= :now ORDER BY run_at LIMIT :limit $skip_locked
)
UPDATE deliveries SET owner = :owner, attempt = attempt + 1, run_at = :lease_end
WHERE id IN (SELECT id FROM due) AND run_at <= :now
RETURNING {_COLUMNS}
"""  # noqa: S608
_NOTE = """
INSERT INTO delivery_tries (delivery_id, number, started, took, status, told)
VALUES (
    :id, (SELECT coalesce(max(number), 0) + 1 FROM delivery_tries WHERE delivery_id = :id),
    :started, :took, :status, :told
)
"""
_STEP = """
UPDATE deliveries SET state = :state, owner = NULL, run_at = :run_at, tries = tries + 1, ended = :ended
WHERE id = :id AND owner = :owner AND attempt = :attempt RETURNING id
"""
_RELEASE = "UPDATE deliveries SET owner = NULL, run_at = :now WHERE owner = :owner AND run_at IS NOT NULL"
# Who replays holds no lease: a worker that does finds its own gone.
_REPLAY = """
UPDATE deliveries SET state = 'due', owner = NULL, run_at = :now, tries = 0, ended = NULL WHERE id = :id RETURNING id
"""
_ALL = f"SELECT {_COLUMNS} FROM deliveries WHERE true"  # noqa: S608
_NEWEST = "ORDER BY created DESC, id DESC LIMIT :limit"
_TRIES = "SELECT started, took, status, told FROM delivery_tries WHERE delivery_id = :id ORDER BY number"
_FORGET = """
WITH old AS MATERIALIZED (
    SELECT id FROM deliveries WHERE ended <= :before ORDER BY ended LIMIT :limit $skip_locked
)
DELETE FROM deliveries WHERE id IN (SELECT id FROM old) AND ended <= :before RETURNING id
"""
_FORGET_SECRETS = "DELETE FROM webhook_secrets WHERE expires <= :now"
_SECRETS = """
SELECT secret FROM webhook_secrets WHERE account_id = :account_id AND (expires IS NULL OR expires > $now)
ORDER BY expires IS NOT NULL, created DESC
"""
_ADD_SECRET = """
INSERT INTO webhook_secrets (secret, account_id, created) VALUES (:secret, :account_id, :now) ON CONFLICT DO NOTHING
"""  # noqa: S105
# No earlier secret outlives the latest rotation: who rotates with 0 hours wants none of them to sign any more.
_EXPIRE_SECRETS = """
UPDATE webhook_secrets SET expires = :end WHERE account_id = :account_id AND (expires IS NULL OR expires > :end)
"""


class DeliveryState(StrEnum):
    """Where a delivery stands. Text, because that is what the row holds."""

    DUE = "due"
    DELIVERED = "delivered"
    GONE = "gone"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether it is sent no more, unless somebody replays it."""
        return self is not DeliveryState.DUE


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one receiver."""

    id: str
    """The ``webhook-id``: the same for every try."""
    account_id: str
    account_name: str
    job_id: str | None
    url: str
    body: str
    created: int
    state: DeliveryState
    tries: int
    """Of the schedule as it runs now."""
    run_at: int | None
    owner: str | None = None
    attempt: int = 0

    @property
    def is_test(self) -> bool:
        """Whether no job stands behind it: whoever sent it looks at the answer, and nobody waits for another try."""
        return self.job_id is None

    @property
    def lane(self) -> str:
        """The account and its receiver, by host and port: what waits behind it when that one is slow."""
        return f"{self.account_id} {receiver(self.url)}"


class Try(NamedTuple):
    """What came of sending it once. Times in milliseconds."""

    started: int
    took: int
    status: int | None
    """``None`` when nothing was answered."""
    told: str
    """The beginning of the answer, or what went wrong."""


def new_id() -> str:
    """A new ``webhook-id``."""
    return f"msg_{ids.uuid().replace('-', '')}"


def receiver(url: str) -> str:
    """The host and port that a URL names, in small letters."""
    return re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0].rpartition("@")[2].lower()


async def add(tx: Transaction, account_id: str, job_id: str | None, url: str, body: str) -> str:
    """Note that the world is to be told, at once; return the delivery's id."""
    due = Delivery(new_id(), account_id, "", job_id, url, body, tx.now, DeliveryState.DUE, 0, tx.now)
    await _add(tx, due)
    return due.id


async def add_ended(tx: Transaction, delivery: Delivery, tried: Try) -> None:
    """Note what was sent once and for all, and what came of it."""
    await _add(tx, delivery)
    await note(tx, delivery, tried)


async def _add(tx: Transaction, delivery: Delivery) -> None:
    await tx.rows(
        _ADD,
        id=delivery.id,
        account_id=delivery.account_id,
        job_id=delivery.job_id,
        url=delivery.url,
        lane=delivery.lane,
        body=delivery.body,
        state=delivery.state,
        tries=delivery.tries,
        run_at=delivery.run_at,
        now=tx.now,
        ended=tx.now if delivery.state.ended else None,
    )


async def lanes(sql: Rows) -> list[str]:
    """The lanes in which something is due, longest due first: a read, so that an idle worker locks nothing."""
    return [row[0] for row in await sql.rows(_LANES)]


async def claim(tx: Transaction, owner: str, lease_ms: int, wanted: Mapping[str, int]) -> list[Delivery]:
    """Take up to so many due deliveries of each lane, longest due first, for ``lease_ms``: new ones, those whose wait
    is over, and those whose worker died.
    """
    taken = []
    for lane, limit in wanted.items():
        bound = {"owner": owner, "now": tx.now, "lease_end": tx.now + lease_ms, "limit": limit}
        taken += await tx.rows(_CLAIM, lane=lane, **bound)
    return [_delivery(row) for row in taken]


async def note(tx: Transaction, delivery: Delivery, tried: Try) -> None:
    """Log a try, also that of a worker which has lost its lease: it was made."""
    await tx.rows(_NOTE, id=delivery.id, **tried._asdict())


async def step(tx: Transaction, held: Delivery, state: DeliveryState, run_at: int | None) -> bool:
    """Move a held delivery on after a try, and let go of it; ``False`` when it is held no more."""
    ended = tx.now if state.ended else None
    bound = {"id": held.id, "owner": held.owner, "attempt": held.attempt}
    return bool(await tx.rows(_STEP, state=state, run_at=run_at, ended=ended, **bound))


async def release(tx: Transaction, owner: str) -> None:
    """Give back everything a worker holds, so that others need not wait for its leases."""
    await tx.rows(_RELEASE, owner=owner, now=tx.now)


async def replay(tx: Transaction, delivery_id: str) -> bool:
    """Make a delivery due at once, its schedule from the start; ``False`` when there is none of that id."""
    return bool(await tx.rows(_REPLAY, id=delivery_id, now=tx.now))


async def get(sql: Rows, delivery_id: str) -> Delivery | None:
    """A delivery, whosever it is."""
    found = await sql.rows(f"{_ALL} AND id = :id", id=delivery_id)
    return _delivery(found[0]) if found else None


async def tries(sql: Rows, delivery_id: str) -> list[Try]:
    """Every try of a delivery, oldest first."""
    return [Try(*row) for row in await sql.rows(_TRIES, id=delivery_id)]


async def page(
    sql: Rows, account_id: str | None, after: SortKey | None, size: int
) -> tuple[list[Delivery], SortKey | None]:
    """The ``size`` deliveries that follow ``after``, newest first, of one account or of all; and the key of the last
    one when more follow it.
    """
    text, bound = _ALL, dict[str, object](limit=size + 1)
    if account_id is not None:
        text, bound = f"{text} AND account_id = :account_id", {**bound, "account_id": account_id}
    if after is not None:
        text = f"{text} AND (created, id) < (:created, :id)"
        bound |= {"created": after.created, "id": after.id}
    found = [_delivery(row) for row in await sql.rows(f"{text} {_NEWEST}", **bound)]
    if len(found) <= size:
        return found, None
    return found[:size], SortKey(found[size - 1].created, found[size - 1].id)


async def forget(tx: Transaction, limit: int = 1000) -> int:
    """Drop deliveries that ended more than 30 days ago, with their tries, oldest first; return how many. Secrets whose
    rotation is over go along.
    """
    await tx.rows(_FORGET_SECRETS, now=tx.now)
    return len(await tx.rows(_FORGET, before=tx.now - KEPT_MS, limit=limit))


async def present_secrets(sql: Rows, account_id: str) -> list[str]:
    """What signs an account's webhooks now, newest first; more than one during a rotation."""
    return [row[0] for row in await sql.rows(_SECRETS, account_id=account_id)]


async def make_secret(tx: Transaction, account_id: str) -> None:
    """An account's first secret, unless it has one."""
    secret = SECRET_PREFIX + b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    await tx.rows(_ADD_SECRET, secret=secret, account_id=account_id, now=tx.now)


async def rotate_secret(tx: Transaction, account_id: str, ms: int) -> None:
    """Give an account a new secret; those before it sign beside it for so long, and then no more."""
    await tx.rows(_EXPIRE_SECRETS, account_id=account_id, end=tx.now + ms)
    await make_secret(tx, account_id)


def _delivery(row: Row) -> Delivery:
    delivery_id, account_id, account_name, job_id, url, body, created, state, *rest = row
    return Delivery(delivery_id, account_id, account_name, job_id, url, body, created, DeliveryState(state), *rest)
