"""Webhooks: the secrets that sign them, and their deliveries, leased like jobs and logged try by try."""

from __future__ import annotations

from rushes import ids
from rushes.store import Transaction

_ADD = """
INSERT INTO deliveries (id, account_id, job_id, url, body, created, state, tries, run_at, attempt)
VALUES (:id, :account_id, :job_id, :url, :body, :now, 'due', 0, :now, 0)
"""


async def add(tx: Transaction, account_id: str, job_id: str | None, url: str, body: str) -> str:
    """Note that the world is to be told, at once; return the delivery's id."""
    delivery_id = f"msg_{ids.uuid().replace('-', '')}"
    await tx.rows(_ADD, id=delivery_id, account_id=account_id, job_id=job_id, url=url, body=body, now=tx.now)
    return delivery_id
