"""What a check of the whole library reads, a page at a time along the keys, and the rows that it sets right.

No read here takes longer than its page or its account: a server goes on writing meanwhile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from rushes.model import ENDED, Job, JobState, Kind
from rushes.store import Row, Rows, Transaction, accounts, credits, jobs, many

_PAGE = 500
_MILLIONTHS = 1_000_000
_ITEM = "account_id, file_id, created, id, job_id, item, model, aspect_ratio"
_STANDING = """
SELECT 'item' FROM videos WHERE account_id = :account_id AND file_id = :file_id
UNION ALL SELECT 'item' FROM images WHERE account_id = :account_id AND file_id = :file_id
UNION ALL SELECT 'draft' FROM drafts WHERE account_id = :account_id AND file_id = :file_id
UNION ALL SELECT 'trash' FROM trash WHERE account_id = :account_id AND file_id = :file_id
UNION ALL SELECT 'deleted' FROM tombstones WHERE account_id = :account_id AND file_id = :file_id
UNION ALL SELECT 'account' FROM accounts WHERE id = :account_id
"""
_PARENT = "SELECT 1 FROM lineage WHERE account_id = :account_id AND parent = :file_id LIMIT 1"
_CHARGE = "SELECT id, account_id, credits, state, ended, error_code FROM jobs"
_MADE = "SELECT job_id FROM videos WHERE job_id IN ({0}) UNION ALL SELECT job_id FROM images WHERE job_id IN ({0})"
_LINES = "SELECT created, id, job_id, amount FROM ledger WHERE account_id = :account_id AND created IN ({})"
_UNDER_WAY = ", ".join(f"'{state}'" for state in JobState if state not in ENDED)
_HELD = f"SELECT credits, count(*) FROM jobs WHERE account_id = :id AND state IN ({_UNDER_WAY}) GROUP BY credits"  # noqa: S608
_SPENT = """
SELECT sum(amount) FROM ledger WHERE account_id = :id AND created >= :start AND created < :end AND type = 'debit'
"""
_ESTIMATES = """
SELECT provider, account_id, estimate, count(*) FROM jobs
WHERE ended IS NULL AND estimate IS NOT NULL GROUP BY provider, account_id, estimate
"""
_SUMMED = """
SELECT revision, (SELECT count(*) FROM videos WHERE account_id = accounts.id)
    + (SELECT count(*) FROM images WHERE account_id = accounts.id)
    + 2 * (SELECT count(*) FROM tombstones WHERE account_id = accounts.id),
    (SELECT value FROM server WHERE name = 'corrections ' || accounts.id)
FROM accounts WHERE id = :id
"""
_CORRECTED = """
INSERT INTO server (name, value) VALUES (:name, '1')
ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(server.value AS BIGINT) + 1 AS TEXT)
"""
_COUNTED = "SELECT held, under_way, month, spent FROM accounts WHERE id = :id"


class ItemRow(NamedTuple):
    """An item's row, whatever stands in it."""

    account_id: str
    file_id: str
    created: int
    id: str
    job_id: str | None
    item: bytes
    model: str
    aspect_ratio: str


class Charge(NamedTuple):
    """What a job's row says of its charge."""

    job_id: str
    account_id: str
    credits: str
    state: str
    ended: int | None
    error_code: str | None

    @property
    def is_due(self) -> bool:
        """Whether the ledger must have a line for it: also after what it made has been deleted."""
        return self.state in (JobState.COMPLETED, JobState.CLEANED) and self.error_code is None

    @property
    def amount(self) -> int:
        """In millionths of a credit."""
        return int(Decimal(self.credits) * _MILLIONTHS)


class Line(NamedTuple):
    """A line of the ledger."""

    account_id: str
    created: int
    id: str
    job_id: str | None
    amount: int


class Counters(NamedTuple):
    """An account's counters: millionths of a credit, and how many jobs are under way."""

    held: int
    under_way: int
    month: int
    spent: int


class FeedSum(NamedTuple):
    """The revisions an account has given out, and those that its rows account for."""

    revision: int
    told: int


async def items(sql: Rows, kind: Kind) -> AsyncIterator[ItemRow]:
    """Every item of a kind, along account and file."""
    select, order = f"SELECT {_ITEM} FROM {kind}s", "ORDER BY account_id, file_id LIMIT :limit"  # noqa: S608
    async for row in _walk(sql, select, order, ("account_id", "file_id")):
        yield ItemRow(*row)


async def item(sql: Rows, kind: Kind, account_id: str, file_id: str) -> ItemRow | None:
    """The item of these files as it is now."""
    text = f"SELECT {_ITEM} FROM {kind}s WHERE account_id = :account_id AND file_id = :file_id"  # noqa: S608
    found = await sql.rows(text, account_id=account_id, file_id=file_id)
    return ItemRow(*found[0]) if found else None


async def standing(sql: Rows, account_id: str, file_id: str) -> set[str]:
    """What files of that uuid belong to: ``item``, ``draft``, ``trash``, ``deleted``; and ``account``, if that is."""
    return {row[0] for row in await sql.rows(_STANDING, account_id=account_id, file_id=file_id)}


async def is_parent(sql: Rows, account_id: str, file_id: str) -> bool:
    """Whether an item was made from the file of that uuid."""
    return bool(await sql.rows(_PARENT, account_id=account_id, file_id=file_id))


async def account_ids(sql: Rows) -> AsyncIterator[str]:
    """Every account."""
    async for row in _walk(sql, "SELECT id FROM accounts", "ORDER BY id LIMIT :limit", ("id",)):
        yield row[0]


async def uploads(sql: Rows) -> AsyncIterator[Row]:
    """Account, name and bytes of every upload whose file has come."""
    async for account_id, name, size in _walk(
        sql, "SELECT id, account_id, name, size FROM uploads", "ORDER BY id LIMIT :limit", ("id",), skip=1
    ):
        if size is not None:
            yield account_id, name, size


async def has_upload(sql: Rows, upload_id: str) -> bool:
    """Whether a file of that uuid was announced."""
    return bool(await sql.rows("SELECT 1 FROM uploads WHERE id = :id", id=upload_id))


async def charges(sql: Rows) -> AsyncIterator[list[Charge]]:
    """Every job, some hundreds at a time."""
    async for rows in _pages(sql, _CHARGE, "ORDER BY id LIMIT :limit", ("id",)):
        yield [Charge(*row) for row in rows]


async def charge(sql: Rows, job_id: str) -> Charge | None:
    """A job as it is now."""
    found = await sql.rows(f"{_CHARGE} WHERE id = :id", id=job_id)
    return Charge(*found[0]) if found else None


async def charges_of(sql: Rows, job_ids: Sequence[str]) -> dict[str, Charge]:
    """At most 256 jobs, by their ids."""
    return {row[0]: Charge(*row) for row in await many.among(sql, f"{_CHARGE} WHERE id IN ({{}})", job_ids)}


async def with_items(sql: Rows, job_ids: Sequence[str]) -> set[str]:
    """Which of these jobs have an item in a library."""
    found = [await many.among(sql, _MADE, some) for some in many.batches(job_ids)]
    return {row[0] for rows in found for row in rows}


async def lines_of(sql: Rows, some: Sequence[Charge]) -> dict[str, list[int]]:
    """The amounts of the ledger's lines for these jobs, written when they ended."""
    ends: dict[str, list[int]] = defaultdict(list)
    for each in some:
        ends[each.account_id].append(each.ended or 0)
    found: dict[str, list[int]] = defaultdict(list)
    for account_id, moments in ends.items():
        for times in many.batches(sorted(set(moments))):
            for _, _, job_id, amount in await many.among(sql, _LINES, times, account_id=account_id):
                found[job_id].append(amount)
    return found


async def ledger(sql: Rows) -> AsyncIterator[list[Line]]:
    """Every line of the ledger, some hundreds at a time."""
    select = "SELECT account_id, created, id, job_id, amount FROM ledger"
    order = "ORDER BY account_id, created, id LIMIT :limit"
    async for rows in _pages(sql, select, order, ("account_id", "created", "id")):
        yield [Line(*row) for row in rows]


async def counted(sql: Rows, account_id: str) -> Counters | None:
    """An account's counters as they stand."""
    found = await sql.rows(_COUNTED, id=account_id)
    return Counters(*found[0]) if found else None


async def summed(sql: Rows, account_id: str, month: int) -> Counters:
    """The same counters as the rows have it."""
    rows = await sql.rows(_HELD, id=account_id)
    held = sum(int(Decimal(credit) * _MILLIONTHS) * count for credit, count in rows)
    [(spent,)] = await sql.rows(_SPENT, id=account_id, start=credits.start(month), end=credits.start(_next(month)))
    return Counters(held, sum(count for _, count in rows), month, int(spent or 0))


async def set_counters(tx: Transaction, account_id: str, *, also_spent: bool) -> None:
    """Make the counters of an account what its rows come to."""
    # Whoever holds or releases changes this row: from here on nobody does until the commit.
    await tx.rows("UPDATE accounts SET held = held WHERE id = :id", id=account_id)
    before = await counted(tx, account_id)
    if before is None:
        return
    right = await summed(tx, account_id, before.month)
    spent = right.spent if also_spent else before.spent
    text = "UPDATE accounts SET held = :held, under_way = :under_way, spent = :spent WHERE id = :id"
    await tx.rows(text, id=account_id, held=right.held, under_way=right.under_way, spent=spent)


async def budgets_held(sql: Rows) -> dict[str, int]:
    """What every budget says is held of it, in millionths of a dollar."""
    return {scope: int(held) for scope, held in await sql.rows("SELECT scope, held FROM budgets ORDER BY scope")}


async def budgets_summed(sql: Rows) -> dict[str, int]:
    """What the jobs under way hold of every budget."""
    held: dict[str, int] = defaultdict(int)
    for provider, account_id, estimate, count in await sql.rows(_ESTIMATES):
        amount = int((Decimal(estimate) * _MILLIONTHS).to_integral_value(ROUND_CEILING)) * count
        held[f"provider {provider}"] += amount
        held[f"account {account_id}"] += amount
    return held


async def set_budget(tx: Transaction, scope: str) -> None:
    """Make what is held of a budget what its jobs under way come to."""
    await tx.rows("UPDATE budgets SET held = held WHERE scope = :scope", scope=scope)
    right = (await budgets_summed(tx)).get(scope, 0)
    await tx.rows("UPDATE budgets SET held = :held WHERE scope = :scope", scope=scope, held=right)


async def feed_sum(sql: Rows, account_id: str) -> FeedSum:
    """Each item that is there took one revision, each deleted one two, each text that was corrected one."""
    found = await sql.rows(_SUMMED, id=account_id)
    return FeedSum(found[0][0], found[0][1] + int(found[0][2] or 0)) if found else FeedSum(0, 0)


async def correct(tx: Transaction, kind: Kind, row: ItemRow, text: bytes) -> bool:
    """Give an item another text, at a new revision, so that everybody hears of it; ``False``: it has gone."""
    revision = await accounts.changed(tx, row.account_id)
    change = f"""
        UPDATE {kind}s SET item = :item, revision = :revision WHERE account_id = :account_id AND created = :created
        AND id = :id RETURNING id
    """  # noqa: S608
    at = {"account_id": row.account_id, "created": row.created, "id": row.id}
    changed = await tx.rows(change, item=text, revision=revision, **at)
    await tx.rows(_CORRECTED, name=f"corrections {row.account_id}")
    return bool(changed)


async def lineage(sql: Rows) -> AsyncIterator[list[Row]]:
    """Account, parent, kind, created and id of every line, some hundreds at a time."""
    key = ("account_id", "parent", "kind", "created", "id")
    select, order = f"SELECT {', '.join(key)} FROM lineage", f"ORDER BY {', '.join(key)} LIMIT :limit"  # noqa: S608
    async for rows in _pages(sql, select, order, key):
        yield rows


async def child(sql: Rows, account_id: str, kind: str, created: int, id: str) -> bytes | None:
    """The item that a line of the lineage names."""
    text = f"SELECT item FROM {Kind(kind)}s WHERE account_id = :account_id AND created = :created AND id = :id"  # noqa: S608
    found = await sql.rows(text, account_id=account_id, created=created, id=id)
    return found[0][0] if found else None


async def has_line(sql: Rows, account_id: str, parent: str, kind: str, created: int, id: str) -> bool:
    """Whether a line of the lineage is there."""
    text = """
        SELECT 1 FROM lineage
        WHERE account_id = :account_id AND parent = :parent AND kind = :kind AND created = :created AND id = :id
    """
    return bool(await sql.rows(text, account_id=account_id, parent=parent, kind=kind, created=created, id=id))


async def disown(tx: Transaction, account_id: str, parent: str, kind: str, created: int, id: str) -> None:
    """Take out a line of the lineage whose child is not there."""
    text = """
        DELETE FROM lineage
        WHERE account_id = :account_id AND parent = :parent AND kind = :kind AND created = :created AND id = :id
    """
    await tx.rows(text, account_id=account_id, parent=parent, kind=kind, created=created, id=id)


async def job(sql: Rows, job_id: str) -> Job | None:
    """A job, whosever it is."""
    found = await jobs.anyones(sql, job_id)
    return found[0] if found else None


async def _walk(sql: Rows, select: str, order: str, key: Sequence[str], *, skip: int = 0) -> AsyncIterator[Row]:
    async for rows in _pages(sql, select, order, key):
        for row in rows:
            yield row[skip:]


async def _pages(sql: Rows, select: str, order: str, key: Sequence[str]) -> AsyncIterator[list[Row]]:
    """Along a key, whose columns are the first that are selected."""
    after = f"WHERE ({', '.join(key)}) > ({', '.join(f':{column}' for column in key)})"
    rows = await sql.rows(f"{select} {order}", limit=_PAGE)
    while rows:
        yield rows
        last: Mapping[str, object] = dict(zip(key, rows[-1], strict=False))
        rows = await sql.rows(f"{select} {after} {order}", limit=_PAGE, **last) if len(rows) == _PAGE else []


def _next(month: int) -> int:
    month = month or 197001
    return month + 1 if month % 100 < 12 else (month // 100 + 1) * 100 + 1
