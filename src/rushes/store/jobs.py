"""Jobs: the rows that are at once what the API shows, the queue and the leases."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any

from rushes.errors import Cancelled, LeaseLost
from rushes.model import MOVES, ImageRequest, Job, JobState, Kind, Request, VideoRequest
from rushes.paging import SortKey
from rushes.store import Row, Rows, Transaction

_COLUMNS = """id, account_id, item_id, kind, request, credits, state, created, origin, cost,
    owner, attempt, tries, ticket, submitted, progress, set_back, error_code, error_message"""
_ADD = """
INSERT INTO jobs (id, account_id, item_id, kind, request, credits, state, created, origin, run_at, attempt, tries)
VALUES (:id, :account_id, :item_id, :kind, :request, :credits, :state, :created, :origin, :created, 0, 0)
"""
_GET = f"SELECT {_COLUMNS} FROM jobs WHERE id = :id AND account_id = :account_id"  # noqa: S608
_NEWEST = "ORDER BY created DESC, id DESC LIMIT :limit"
_OF_ACCOUNT = f"SELECT {_COLUMNS} FROM jobs WHERE account_id = :account_id"  # noqa: S608
_DUE = "SELECT 1 FROM jobs WHERE run_at <= $now LIMIT 1"
# The second look at run_at is what decides a race where rows cannot be skipped while locked.
_CLAIM = f"""
WITH due AS MATERIALIZED (SELECT id FROM jobs WHERE run_at <= :now ORDER BY run_at LIMIT :limit $skip_locked)
UPDATE jobs SET owner = :owner, attempt = attempt + 1, run_at = :lease_end
WHERE id IN (SELECT id FROM due) AND run_at <= :now
RETURNING {_COLUMNS}
"""  # noqa: S608
_HELD = "id = :id AND owner = :owner AND attempt = :attempt"
_RENEW = f"UPDATE jobs SET run_at = :lease_end WHERE {_HELD} RETURNING id"  # noqa: S608
_STEP = f"""
UPDATE jobs SET state = :state, owner = :keeper, run_at = :run_at, tries = :tries, ticket = :ticket,
    submitted = :submitted, progress = :progress, set_back = :set_back, cost = :cost, item_id = :item_id,
    error_code = :error_code, error_message = :error_message, ended = :ended
WHERE {_HELD} AND state = :before RETURNING id
"""  # noqa: S608
# Who cancels holds no lease: the worker that does finds its own gone.
_CANCEL = f"""
UPDATE jobs SET state = 'cancelled', owner = NULL, run_at = NULL, ended = :now, ticket = NULL, progress = NULL,
    set_back = NULL, error_code = :error_code, error_message = :error_message
WHERE id = :id AND account_id = :account_id AND ended IS NULL RETURNING {_COLUMNS}
"""  # noqa: S608
_CLEAN = f"""
UPDATE jobs SET state = 'cleaned' WHERE id = :id AND account_id = :account_id AND ended IS NOT NULL
RETURNING {_COLUMNS}
"""  # noqa: S608
_RELEASE = "UPDATE jobs SET owner = NULL, run_at = :now WHERE owner = :owner AND run_at IS NOT NULL"


async def add(tx: Transaction, job: Job) -> None:
    """Put a new job in the queue, due at once."""
    await tx.rows(
        _ADD,
        id=job.id,
        account_id=job.account_id,
        item_id=job.item_id,
        kind=job.kind,
        request=json.dumps(asdict(job.request), ensure_ascii=False),
        credits=str(job.credits),
        state=job.state,
        created=job.created,
        origin=job.origin,
    )


async def get(sql: Rows, account_id: str, job_id: str) -> Job | None:
    """An account's job."""
    found = await sql.rows(_GET, id=job_id, account_id=account_id)
    return _job(found[0]) if found else None


async def page(
    sql: Rows, account_id: str, after: SortKey | None, size: int, state: JobState | None = None
) -> tuple[list[Job], SortKey | None]:
    """The ``size`` jobs that follow ``after``, newest first; and the key of the last one when more follow it."""
    text, bound = _OF_ACCOUNT, {"account_id": account_id, "limit": size + 1}
    if state is not None:
        text, bound = f"{text} AND state = :state", {**bound, "state": state}
    if after is not None:
        text = f"{text} AND (created, id) < (:created, :id)"
        bound |= {"created": after.created, "id": after.id}
    found = [_job(row) for row in await sql.rows(f"{text} {_NEWEST}", **bound)]
    if len(found) <= size:
        return found, None
    return found[:size], SortKey(found[size - 1].created, found[size - 1].id)


async def due(sql: Rows) -> bool:
    """Whether any job waits for a worker: a read, so that an idle worker locks nothing."""
    return bool(await sql.rows(_DUE))


async def claim(tx: Transaction, owner: str, lease_ms: int, limit: int) -> list[Job]:
    """Take up to ``limit`` due jobs, longest due first, for ``lease_ms``: new ones, polls that are due, and those
    whose worker has let its lease lapse.
    """
    taken = await tx.rows(_CLAIM, owner=owner, now=tx.now, lease_end=tx.now + lease_ms, limit=limit)
    return [replace(_job(row), claimed=tx.now) for row in taken]


async def renew(tx: Transaction, held: Collection[Job], lease_ms: int) -> set[str]:
    """Hold jobs for longer; return the ids that were still held, the others are lost."""
    renewed: set[str] = set()
    for job in held:
        renewed.update(
            row[0]
            for row in await tx.rows(
                _RENEW, id=job.id, owner=job.owner, attempt=job.attempt, lease_end=tx.now + lease_ms
            )
        )
    return renewed


async def step(tx: Transaction, before: Job, after: Job, run_at: int | None) -> Job:
    """Move a held job on. ``run_at`` is when it is due again, or the end of the lease while ``after.owner`` keeps it.

    Raises:
        LeaseLost: another worker has it, or it has ended meanwhile.
    """
    if after.state != before.state and after.state not in MOVES[before.state]:
        raise ValueError(f"a job cannot move from {before.state} to {after.state}")
    if after.state is JobState.WAITING and before.state is not JobState.WAITING:
        after = replace(after, submitted=tx.now)
    moved = await tx.rows(
        _STEP,
        id=before.id,
        owner=before.owner,
        attempt=before.attempt,
        before=before.state,
        state=after.state,
        keeper=after.owner,
        run_at=run_at,
        tries=after.tries,
        ticket=after.ticket,
        submitted=after.submitted,
        progress=after.progress,
        set_back=after.set_back,
        cost=None if after.cost is None else str(after.cost),
        item_id=after.item_id,
        error_code=after.error_code,
        error_message=after.error_message,
        ended=tx.now if after.state.ended else None,
    )
    if not moved:
        raise LeaseLost(f"Job {before.id} is no longer held by this worker.")
    return after


async def ended(tx: Transaction, before: Job, after: Job) -> Job:
    """Move a held job to its end: nobody holds it, and what was only needed on the way is dropped."""
    after = replace(after, owner=None, ticket=None, progress=None, set_back=None)
    return await step(tx, before, after, run_at=None)


async def cancel(tx: Transaction, account_id: str, job_id: str, error: Cancelled) -> Job | None:
    """End a job that has not ended, whoever holds it; ``None`` when there is none."""
    found = await tx.rows(
        _CANCEL,
        id=job_id,
        account_id=account_id,
        now=tx.now,
        error_code=error.code,
        error_message=error.sentence,
    )
    return _job(found[0]) if found else None


async def clean(tx: Transaction, account_id: str, job_id: str) -> Job | None:
    """Note that nothing is left of what a job made; ``None`` when there is none that has ended."""
    found = await tx.rows(_CLEAN, id=job_id, account_id=account_id)
    return _job(found[0]) if found else None


async def release(tx: Transaction, owner: str) -> None:
    """Give back everything a worker holds, so that others need not wait for its leases."""
    await tx.rows(_RELEASE, owner=owner, now=tx.now)


def _job(row: Row) -> Job:
    job_id, account_id, item_id, kind, request, credit, state, created, origin, cost, *rest = row
    asked = _request(Kind(kind), json.loads(request))
    price, charged = Decimal(credit), None if cost is None else Decimal(cost)
    return Job(job_id, account_id, item_id, asked, price, JobState(state), created, origin, charged, *rest)


def _request(kind: Kind, asked: dict[str, Any]) -> Request:
    if kind is Kind.IMAGE:
        return ImageRequest(**asked)
    return VideoRequest(**{**asked, "reference_image_urls": tuple(asked["reference_image_urls"])})
