"""Whose turn it is: the jobs that are due by the clock, and the line of those that were not yet sent.

In a line (of one model, and of one priority in it) accounts take turns. The turn a new job gets is that of the first
in line, or the one after its account's last: so whoever comes with one job stands beside the first of whoever came with
a thousand. (Start-time fair queueing, Goyal, Vin and Cheng, 1996, with every job of the same length.)
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

from rushes.model import Job
from rushes.store import Rows, Transaction, jobs, many

_IN_HAND = "ended IS NULL AND (state <> 'queued' OR owner IS NOT NULL)"
# A second look decides a race where rows cannot be skipped while locked. It is written so that no index offers itself
# for it: without statistics PostgreSQL takes one that holds the whole line.
_FREE = "(owner IS NULL OR run_at <= :now)"
_MOST_BACK = 200
"""Jobs that stand in line again at once: more would keep others waiting for the transaction."""

_ANY = f"""
SELECT 1 WHERE (SELECT min(run_at) FROM jobs WHERE run_at IS NOT NULL) <= $now
    OR EXISTS (SELECT 1 FROM jobs WHERE {jobs.IN_LINE})
"""  # noqa: S608
_BACK = f"""
WITH back AS MATERIALIZED (
    SELECT id FROM jobs WHERE state = 'queued' AND run_at <= :now ORDER BY run_at LIMIT :limit $skip_locked
)
UPDATE jobs SET run_at = NULL, owner = NULL WHERE id IN (SELECT id FROM back) AND {_FREE}
RETURNING created, id, account_id, request, turn
"""  # noqa: S608
_STAND = f"""
UPDATE jobs SET (model, priority, turn) = (
    SELECT CAST(:model AS TEXT), accounts.priority, {jobs.TURN} FROM accounts WHERE accounts.id = :account_id
)
WHERE id = :id
"""  # noqa: S608
_ANY_BACK = """
SELECT 1 WHERE (SELECT min(run_at) FROM jobs WHERE state = 'queued' AND run_at IS NOT NULL) <= $now
"""


def _each_model(where: str, told: str) -> str:
    """Hop from model to model in an index: what waits of one, however much it is, is not read."""
    return f"""
WITH RECURSIVE models (model) AS (
    SELECT min(model) FROM jobs WHERE {where}
    UNION ALL
    SELECT (SELECT min(model) FROM jobs WHERE {where} AND jobs.model > models.model)
    FROM models WHERE models.model IS NOT NULL
)
SELECT model, {told} FROM models WHERE model IS NOT NULL
"""  # noqa: S608


_SENT = "state <> 'queued' AND run_at IS NOT NULL"
_DUE = f"""
SELECT model FROM (
    {_each_model(_SENT, f"(SELECT min(run_at) FROM jobs WHERE {_SENT} AND jobs.model = models.model) AS due")}
) AS waiting WHERE due <= $now ORDER BY due
"""  # noqa: S608
_FIRST = f"(SELECT max(priority) FROM jobs WHERE {jobs.IN_LINE} AND jobs.model = models.model)"  # noqa: S608
_LINES = _each_model(jobs.IN_LINE, _FIRST)
_COUNT_IN_HAND = f"SELECT count(*) FROM jobs WHERE {_IN_HAND} AND model = :model"  # noqa: S608
_TAKE_DUE = f"""
WITH due AS MATERIALIZED (
    SELECT id FROM jobs WHERE {_SENT} AND model = :model AND run_at <= :now ORDER BY run_at LIMIT :limit $skip_locked
)
UPDATE jobs SET owner = :owner, attempt = attempt + 1, run_at = :lease_end
WHERE id IN (SELECT id FROM due) AND {_FREE}
RETURNING {jobs.COLUMNS}
"""  # noqa: S608
_TAKE_NEXT = f"""
WITH next AS MATERIALIZED (
    SELECT id FROM jobs WHERE {jobs.IN_LINE} AND model = :model AND account_id NOT IN ({{}})
    ORDER BY priority DESC, turn, created LIMIT :limit $skip_locked
)
UPDATE jobs SET owner = :owner, attempt = attempt + 1, run_at = :lease_end
WHERE id IN (SELECT id FROM next) AND {_FREE}
RETURNING {jobs.COLUMNS}
"""  # noqa: S608
_SET_PRIORITY = "UPDATE accounts SET priority = :priority WHERE id = :id"
_OF_ACCOUNT = f"""
SELECT id, model FROM jobs WHERE {jobs.IN_LINE} AND account_id = :account_id
ORDER BY model, priority DESC, turn, created
"""  # noqa: S608
_LEAVE = f"UPDATE jobs SET turn = NULL WHERE {jobs.IN_LINE} AND account_id = :account_id"  # noqa: S608


class Line(NamedTuple):
    """The jobs of one model that were not yet sent."""

    model: str
    priority: int
    """Of the first."""


class Hold(NamedTuple):
    """Who takes jobs, and until when."""

    owner: str
    lease_ms: int


async def anything(sql: Rows) -> bool:
    """Whether any job waits for a worker: one short read, so that an idle worker locks nothing."""
    return bool(await sql.rows(_ANY))


async def due(sql: Rows) -> list[str]:
    """The models of jobs that are due by the clock, the longest due first."""
    return [model for (model,) in await sql.rows(_DUE)]


async def lines(sql: Rows) -> list[Line]:
    """Where jobs stand in line."""
    return [Line(*row) for row in await sql.rows(_LINES)]


async def in_hand(sql: Rows, model: str) -> int:
    """How many jobs of a model are in a worker's or in its provider's hands."""
    [(count,)] = await sql.rows(_COUNT_IN_HAND, model=model)
    return int(count)


async def any_back(sql: Rows) -> bool:
    """Whether a job that was put back is to stand in line again."""
    return bool(await sql.rows(_ANY_BACK))


async def back(tx: Transaction) -> None:
    """Let jobs stand in line again whose time has come: where they stood, as they have waited once."""
    for _, job_id, account_id, request, turn in sorted(await tx.rows(_BACK, now=tx.now, limit=_MOST_BACK)):
        if turn is None:  # the release before this one left it
            await tx.rows(_STAND, id=job_id, account_id=account_id, model=json.loads(request)["model"])


async def take_due(tx: Transaction, hold: Hold, model: str, limit: int) -> list[Job]:
    """Take up to ``limit`` jobs of a model that are due, longest due first: polls, and jobs whose worker has let its
    lease lapse.
    """
    bound = {"owner": hold.owner, "now": tx.now, "lease_end": tx.now + hold.lease_ms}
    taken = await tx.rows(_TAKE_DUE, model=model, limit=limit, **bound)
    return [replace(jobs.read(row), claimed=tx.now) for row in taken]


async def take_next(tx: Transaction, hold: Hold, model: str, limit: int, but: Collection[str] = ()) -> list[Job]:
    """Take up to ``limit`` jobs from a model's line, from the front, ``but`` none of these accounts."""
    bound = {"owner": hold.owner, "now": tx.now, "lease_end": tx.now + hold.lease_ms}
    taken = await many.among(tx, _TAKE_NEXT, [*but, ""], model=model, limit=limit, **bound)
    return [replace(jobs.read(row), claimed=tx.now) for row in taken]


async def set_priority(tx: Transaction, account_id: str, priority: int) -> None:
    """Let an account's jobs go before those of lower priority, and after those of higher; also those in line."""
    await tx.rows(_SET_PRIORITY, id=account_id, priority=priority)
    standing = await tx.rows(_OF_ACCOUNT, account_id=account_id)
    await tx.rows(_LEAVE, account_id=account_id)
    for job_id, model in standing:
        await tx.rows(_STAND, id=job_id, account_id=account_id, model=model)
