"""Rows made anew from what sidecars tell: many at a time into an empty database, in one transaction.

What depends on all of them (revisions, balances, the index) is made at the end, by the database itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import NamedTuple

from rushes import wire
from rushes.model import Item, Job, Kind
from rushes.store import Row, Transaction, credits, many, search

_ACCOUNTS = "INSERT INTO accounts (id, name, created, revision) VALUES {}"
_TAKEN = "SELECT 1 FROM accounts WHERE name = :name"
_JOBS = """
INSERT INTO jobs (id, account_id, item_id, kind, request, credits, state, created, origin, provider, estimate, cost,
    cost_source, model, ended, attempt, tries) VALUES {}
"""
_ITEMS = """
INSERT INTO {table} (account_id, created, id, file_id, job_id, item, model, aspect_ratio, revision) VALUES {{}}
"""
_LINEAGE = "INSERT INTO lineage (account_id, parent, kind, created, id, model, aspect_ratio) VALUES {}"
_LEDGER = "INSERT INTO ledger (account_id, created, id, type, amount, source, description, job_id) VALUES {}"
_UPLOADS = "INSERT INTO uploads (id, account_id, name, content_type, created, expires, size) VALUES {}"
_BACKLOG = "INSERT INTO search_backlog (account_id, kind, created, id) VALUES {}"
# First negative: no number is given twice on the way, which the index over them would not take.
_NUMBER = """
UPDATE {table} SET revision = numbered.number FROM (
    SELECT kind, account_id AS account, created AS moment, id AS name,
        row_number() OVER (PARTITION BY account_id ORDER BY created, id) AS number
    FROM (SELECT 'video' AS kind, account_id, created, id FROM videos
        UNION ALL SELECT 'image', account_id, created, id FROM images) AS items
) AS numbered
WHERE numbered.kind = '{kind}' AND {table}.account_id = numbered.account AND {table}.created = numbered.moment
    AND {table}.id = numbered.name
"""
_REVISIONS = """
UPDATE accounts SET revision = (SELECT count(*) FROM videos WHERE account_id = accounts.id)
    + (SELECT count(*) FROM images WHERE account_id = accounts.id), month = CAST(:month AS BIGINT),
    spent = (SELECT coalesce(sum(amount), 0) FROM ledger
        WHERE account_id = accounts.id AND created >= CAST(:start AS BIGINT))
"""
_BUDGETS = """
INSERT INTO budgets (scope, month, spent) VALUES (:scope, :month, :spent)
ON CONFLICT (scope) DO UPDATE SET spent = budgets.spent + excluded.spent
"""
_MILLIONTHS = 1_000_000
_CAUGHT_UP_AT_ONCE = 4096


class Restored(NamedTuple):
    """An item that comes back, with what its sidecar tells beside it."""

    item: Item
    job: Job | None
    parents: Sequence[str]


class Upload(NamedTuple):
    """An upload whose file is there."""

    id: str
    account_id: str
    name: str
    content_type: str
    size: int


async def add_account(tx: Transaction, account_id: str, name: str) -> str:
    """Make an account with the id it had; its name, which is another where that one is taken."""
    if not name or await tx.rows(_TAKEN, name=name):
        name = f"account {account_id[:8]}"
    if await tx.rows(_TAKEN, name=name):
        name = f"account {account_id}"
    await many.insert(tx, _ACCOUNTS, [(account_id, name, tx.now, 0)])
    return name


async def add(tx: Transaction, some: Sequence[Restored], number: int) -> None:
    """Enter items whose accounts are there; ``number``: how many entered before."""
    made = [each.job for each in some if each.job]
    await many.insert(tx, _JOBS, [_job(each.item, each.job) for each in some if each.job])
    for kind in Kind:
        numbered = [(number + at, each) for at, each in enumerate(some, 1) if each.item.request.kind is kind]
        await many.insert(tx, _ITEMS.format(table=f"{kind}s"), [_item(each.item, -at) for at, each in numbered])
    lines = (credits.line(each.job, each.item.created) for each in some if each.job)
    await many.insert(tx, _LEDGER, [tuple(line.values()) for line in lines])
    await many.insert(tx, _LINEAGE, [row for each in some for row in _lines(each)])
    await many.insert(tx, _BACKLOG, [_place(each.item) for each in some if not each.parents])
    for each in some:
        if each.parents:
            await _index(tx, each)
    await _spend(tx, made, {each.job.id: each.item.created for each in some if each.job})


async def is_there(tx: Transaction, item: Item) -> bool:
    """Whether an item of its id, or one of its job, has come back already."""
    text = f"SELECT 1 FROM {item.request.kind}s WHERE account_id = :account_id AND id = :id"  # noqa: S608
    if await tx.rows(text, account_id=item.account_id, id=item.id):
        return True
    return bool(item.job_id and await tx.rows("SELECT 1 FROM jobs WHERE id = :id", id=item.job_id))


async def add_uploads(tx: Transaction, some: Sequence[Upload]) -> None:
    """Enter uploads whose accounts are there: their links take nothing any more."""
    rows = [(each.id, each.account_id, each.name, each.content_type, tx.now, tx.now, each.size) for each in some]
    await many.insert(tx, _UPLOADS, rows)


async def finish(tx: Transaction) -> None:
    """Number the changes as the items were made, sum up the month, index the words."""
    for kind in Kind:
        await tx.rows(_NUMBER.format(kind=kind, table=f"{kind}s"))
    month = credits.month(tx.now)
    await tx.rows(_REVISIONS, month=month, start=credits.start(month))
    while await search.catch_up(tx, _CAUGHT_UP_AT_ONCE):
        pass


def _job(item: Item, job: Job) -> Row:
    told = json.dumps(asdict(job.request), ensure_ascii=False)
    amounts = (None if amount is None else f"{amount:f}" for amount in (job.estimate, job.cost))
    return (
        *(job.id, job.account_id, job.item_id, job.kind, told, str(job.credits), job.state, job.created, job.origin),
        *(job.provider, *amounts, job.cost_source, job.request.model, item.created, 1, 0),
    )


def _item(item: Item, revision: int) -> Row:
    request = item.request
    place = item.account_id, item.created, item.id, item.file_id, item.job_id
    return (*place, wire.item(item), request.model, request.aspect_ratio, revision)


def _lines(each: Restored) -> Iterable[Row]:
    item = each.item
    request = item.request
    child = request.kind, item.created, item.id, request.model, request.aspect_ratio
    return ((item.account_id, parent, *child) for parent in dict.fromkeys(each.parents))


def _place(item: Item) -> Row:
    return item.account_id, item.request.kind, item.created, item.id


async def _index(tx: Transaction, each: Restored) -> None:
    item, request = each.item, each.item.request
    await search.add(
        tx,
        request.kind,
        item.account_id,
        item.created,
        item.id,
        prompt=request.prompt,
        model=request.model,
        aspect_ratio=request.aspect_ratio,
        parents=frozenset(each.parents),
    )


async def _spend(tx: Transaction, made: Sequence[Job], ended: Mapping[str, int]) -> None:
    """Count what this month's orders cost at their providers."""
    month, spent = credits.month(tx.now), dict[str, int]()
    for job in made:
        cost = job.estimate if job.cost is None else job.cost
        if job.cost_source is None or not cost or credits.month(ended[job.id]) != month:
            continue
        for scope in (f"provider {job.provider}", f"account {job.account_id}"):
            spent[scope] = spent.get(scope, 0) + int((cost or Decimal(0)) * _MILLIONTHS)
    for scope, amount in spent.items():
        await tx.rows(_BUDGETS, scope=scope, month=month, spent=amount)
