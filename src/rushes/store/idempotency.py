"""Answers given under an ``Idempotency-Key``: the same request again, within a day, is answered from here."""

from __future__ import annotations

from typing import NamedTuple

from rushes.errors import IdempotencyKeyReused
from rushes.store import Transaction

KEPT_MS = 24 * 3600 * 1000

# Whoever comes second waits here for the first one's commit, and then finds its row.
_CLAIM = """
INSERT INTO idempotency (account_id, route, name, body_hash, answer, created)
VALUES (:account_id, :route, :name, :body_hash, :answer, :now)
ON CONFLICT (account_id, route, name) DO UPDATE
SET body_hash = excluded.body_hash, answer = excluded.answer, created = excluded.created
WHERE idempotency.created <= :expired
RETURNING name
"""
_KEPT = """
SELECT body_hash, answer FROM idempotency WHERE account_id = :account_id AND route = :route AND name = :name
"""
_FORGET = """
DELETE FROM idempotency WHERE (account_id, route, name) IN (
    SELECT account_id, route, name FROM idempotency WHERE created <= $now - :age_ms ORDER BY created LIMIT :limit
) RETURNING name
"""


class Once(NamedTuple):
    """A request that must not be carried out twice: its key on its route, and what its body was."""

    route: str
    name: str
    body_hash: str


async def claim(tx: Transaction, account_id: str, once: Once, answer: str) -> str | None:
    """Note the answer that this change is about to give; or the one that was given before, when there is one.

    Raises:
        IdempotencyKeyReused: it was given to another body.
    """
    bound = {"account_id": account_id, "route": once.route, "name": once.name}
    claimed = await tx.rows(
        _CLAIM, body_hash=once.body_hash, answer=answer, now=tx.now, expired=tx.now - KEPT_MS, **bound
    )
    if claimed:
        return None
    [(body_hash, given)] = await tx.rows(_KEPT, **bound)
    if body_hash != once.body_hash:
        raise IdempotencyKeyReused(
            "This Idempotency-Key was sent before with another body; use a new key for a new request."
        )
    return str(given)


async def forget(tx: Transaction, limit: int = 1000) -> int:
    """Drop answers that are older than a day, oldest first; return how many."""
    return len(await tx.rows(_FORGET, age_ms=KEPT_MS, limit=limit))
