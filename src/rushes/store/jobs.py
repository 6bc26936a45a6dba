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

COLUMNS = """id, account_id, item_id, kind, request, credits, state, created, origin, cost,
    provider, estimate, cost_source, owner, attempt, tries, ticket, submitted, progress, position, source, set_back,
    error_code, error_message, request_id, trace"""
IN_LINE = "state = 'queued' AND run_at IS NULL"
TURN = f"""
(SELECT max(turn) FROM (
    SELECT 0 AS turn
    UNION ALL SELECT min(turn) FROM jobs WHERE {IN_LINE} AND model = :model AND priority = accounts.priority
    UNION ALL SELECT max(turn) + 1 FROM jobs
    WHERE {IN_LINE} AND account_id = accounts.id AND model = :model AND priority = accounts.priority
) AS turns)
"""  # noqa: S608
"""The turn of a new job of ``:model`` and of a row of ``accounts``: ``turns`` tells why."""
_ADD = f"""
INSERT INTO jobs (id, account_id, item_id, kind, request, credits, state, created, origin, provider, estimate,
    request_id, trace, model, priority, turn, attempt, tries)
SELECT :id, :account_id, :item_id, :kind, :request, :credits, :state, :created, :origin, :provider, :estimate,
    :request_id, :trace, :model, accounts.priority, {TURN}, 0, 0
FROM accounts WHERE accounts.id = :account_id
"""  # noqa: S608
_GET = f"SELECT {COLUMNS} FROM jobs WHERE id = :id AND account_id = :account_id"  # noqa: S608
_NEWEST = "ORDER BY created DESC, id DESC LIMIT :limit"
_OF_ACCOUNT = f"SELECT {COLUMNS} FROM jobs WHERE account_id = :account_id"  # noqa: S608
_HELD = "id = :id AND owner = :owner AND attempt = :attempt"
_RENEW = f"UPDATE jobs SET run_at = :lease_end WHERE {_HELD} RETURNING id"  # noqa: S608
_STEP = f"""
UPDATE jobs SET state = :state, owner = :keeper, run_at = :run_at, tries = :tries, ticket = :ticket,
    submitted = :submitted, progress = :progress, position = :position, source = :source, set_back = :set_back,
    item_id = :item_id, provider = :provider, estimate = :estimate, cost = :cost, cost_source = :cost_source,
    error_code = :error_code, error_message = :error_message,
    ended = CASE WHEN CAST(:ended AS BIGINT) IS NULL THEN NULL ELSE coalesce(ended, CAST(:ended AS BIGINT)) END
WHERE {_HELD} AND state = :before RETURNING id
"""  # noqa: S608
# Who cancels holds no lease: the worker that does finds its own gone. What a provider has is due once more, so that a
# worker asks it to stop.
_CANCEL = f"""
UPDATE jobs SET state = 'cancelled', owner = NULL, run_at = CASE WHEN ticket IS NULL THEN NULL ELSE :now END,
    ended = :now, tries = 0, progress = NULL, position = NULL, set_back = NULL, error_code = :error_code,
    error_message = :error_message
WHERE id = :id AND account_id = :account_id AND ended IS NULL RETURNING {COLUMNS}
"""  # noqa: S608
_CLEAN = f"""
UPDATE jobs SET state = 'cleaned', ticket = CASE WHEN run_at IS NULL THEN NULL ELSE ticket END
WHERE id = :id AND account_id = :account_id AND ended IS NOT NULL
RETURNING {COLUMNS}
"""  # noqa: S608
# The provider's answer came after the job had ended: its ticket is the way to what was made of it.
_LATE_TICKET = """
UPDATE jobs SET ticket = :ticket, submitted = :now, run_at = CASE WHEN state = 'cancelled' THEN :now END
WHERE id = :id AND attempt >= :attempt AND ended IS NOT NULL AND ticket IS NULL AND cost_source = 'unknown'
RETURNING state
"""
_ANYONES = f"SELECT {COLUMNS}, ended FROM jobs WHERE id = :id"  # noqa: S608
_SETTLE = """
UPDATE jobs SET cost = :cost, cost_source = 'settled', ticket = NULL
WHERE id = :id AND ended IS NOT NULL AND cost_source = 'unknown' RETURNING id
"""
_WITHDRAWN = f"""
UPDATE jobs SET owner = NULL, run_at = NULL, ticket = NULL WHERE {_HELD} RETURNING id
"""  # noqa: S608
_REPORTED = """
UPDATE jobs SET cost = :cost, cost_source = 'reported' WHERE id = :id AND cost_source = 'unknown' RETURNING ended
"""
_REOPEN = f"""
UPDATE jobs SET state = 'waiting', ticket = :ticket, submitted = :now, run_at = :now, ended = NULL, tries = 0,
    error_code = NULL, error_message = NULL, cost = NULL, cost_source = 'unknown'
WHERE id = :id AND state = 'failed' RETURNING {COLUMNS}
"""  # noqa: S608
_RELEASE = "UPDATE jobs SET owner = NULL, run_at = :now WHERE owner = :owner AND run_at IS NOT NULL"


async def add(tx: Transaction, job: Job) -> None:
    """Put a new job in line."""
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
        provider=job.provider,
        estimate=_text(job.estimate),
        request_id=job.request_id,
        trace=job.trace,
        model=job.request.model,
    )


async def get(sql: Rows, account_id: str, job_id: str) -> Job | None:
    """An account's job."""
    found = await sql.rows(_GET, id=job_id, account_id=account_id)
    return read(found[0]) if found else None


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
    found = [read(row) for row in await sql.rows(f"{text} {_NEWEST}", **bound)]
    if len(found) <= size:
        return found, None
    return found[:size], SortKey(found[size - 1].created, found[size - 1].id)


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
        position=after.position,
        source=after.source,
        set_back=after.set_back,
        provider=after.provider,
        estimate=_text(after.estimate),
        cost=_text(after.cost),
        cost_source=after.cost_source,
        item_id=after.item_id,
        error_code=after.error_code,
        error_message=after.error_message,
        ended=tx.now if after.state.ended else None,
    )
    if not moved:
        raise LeaseLost(f"Job {before.id} is no longer held by this worker.")
    return after


async def ended(tx: Transaction, before: Job, after: Job) -> Job:
    """Move a held job to its end: nobody holds it, and what was only needed on the way is dropped; the ticket
    of one that failed stays: it may be the way to what was paid for.
    """
    after = replace(after, owner=None, progress=None, position=None, set_back=None)
    if after.state is not JobState.FAILED:
        after = replace(after, ticket=None, source=None)
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
    return read(found[0]) if found else None


async def clean(tx: Transaction, account_id: str, job_id: str) -> Job | None:
    """Note that nothing is left of what a job made; ``None`` when there is none that has ended."""
    found = await tx.rows(_CLEAN, id=job_id, account_id=account_id)
    return read(found[0]) if found else None


async def release(tx: Transaction, owner: str) -> None:
    """Give back everything a worker holds, so that others need not wait for its leases."""
    await tx.rows(_RELEASE, owner=owner, now=tx.now)


async def late_ticket(tx: Transaction, job: Job, ticket: str) -> JobState | None:
    """Keep a ticket that came when the job had ended already; the state it is in, ``None`` if it was of no use."""
    found = await tx.rows(_LATE_TICKET, id=job.id, attempt=job.attempt, ticket=ticket, now=tx.now)
    return JobState(found[0][0]) if found else None


async def anyones(sql: Rows, job_id: str) -> tuple[Job, int | None] | None:
    """A job of whichever account, and when it ended: for the operator."""
    found = await sql.rows(_ANYONES, id=job_id)
    return (read(found[0][:-1]), found[0][-1]) if found else None


async def settle(tx: Transaction, job_id: str, cost: Decimal) -> bool:
    """Note what an ended job did cost; ``False`` when that is known."""
    return bool(await tx.rows(_SETTLE, id=job_id, cost=str(cost)))


async def withdrawn(tx: Transaction, job: Job) -> None:
    """Let go of an ended job whose provider was asked to stop.

    Raises:
        LeaseLost: another worker has it.
    """
    if not await tx.rows(_WITHDRAWN, id=job.id, owner=job.owner, attempt=job.attempt):
        raise LeaseLost(f"Job {job.id} is no longer held by this worker.")


async def reported(tx: Transaction, job_id: str, cost: Decimal) -> int | None:
    """Note what an ended job cost, as its provider said; when it ended, ``None`` when its cost was known."""
    found = await tx.rows(_REPORTED, id=job_id, cost=_text(cost))
    return found[0][0] if found else None


async def reopen(tx: Transaction, job_id: str, ticket: str) -> Job | None:
    """Let a failed job go on at its provider; ``None`` when it is in no such state."""
    found = await tx.rows(_REOPEN, id=job_id, ticket=ticket, now=tx.now)
    return read(found[0]) if found else None


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"


def read(row: Row) -> Job:
    """The job of a row of ``COLUMNS``."""
    job_id, account_id, item_id, kind, request, credit, state, created, origin, cost, provider, estimate, *rest = row
    asked = _request(Kind(kind), json.loads(request))
    price, charged, expected = Decimal(credit), _amount(cost), _amount(estimate)
    return Job(
        job_id, account_id, item_id, asked, price, JobState(state), created, origin, charged, provider, expected, *rest
    )


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _request(kind: Kind, asked: dict[str, Any]) -> Request:
    if kind is Kind.IMAGE:
        return ImageRequest(**asked)
    return VideoRequest(**{**asked, "reference_image_urls": tuple(asked["reference_image_urls"])})
