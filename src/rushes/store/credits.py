"""AI credits: what an account may spend in a month, what its jobs under way hold of it, and the ledger.

The account's row counts: a hold is one conditional update of it, so that no two requests at once can both take the
last credits. Amounts are millionths in the rows and decimals everywhere else.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

from rushes.errors import InsufficientCredits, TooMany
from rushes.model import Balance, Job, Kind, LedgerEntry, VideoRequest
from rushes.store import Rows, Transaction

_MILLIONTHS = 1_000_000
_RETRY_SECONDS = 10
# A change has the time of its beginning: begun before midnight, it may come to the row after one of the next month,
# whose count it must neither overlook nor begin anew.
_SPENT = "CASE WHEN month < :month THEN 0 ELSE spent END"
_HOLD = f"""
UPDATE accounts SET held = held + :amount, under_way = under_way + 1
WHERE id = :id AND under_way < :most AND {_SPENT} + held + :amount <= coalesce(credit_limit, :limit)
RETURNING id
"""  # noqa: S608
_STATE = f"SELECT {_SPENT}, held, coalesce(credit_limit, :limit), under_way FROM accounts WHERE id = :id"  # noqa: S608
_STATES = f"SELECT name, {_SPENT}, held, coalesce(credit_limit, :limit) FROM accounts ORDER BY name"  # noqa: S608
_RELEASE = "UPDATE accounts SET held = held - :amount, under_way = under_way - 1 WHERE id = :id"
_CHARGE = f"""
UPDATE accounts SET held = held - :amount, under_way = under_way - 1,
    spent = CASE WHEN month > :month THEN spent ELSE {_SPENT} + :amount END,
    month = CASE WHEN month > :month THEN month ELSE :month END
WHERE id = :id
"""  # noqa: S608
_NOTE = """
INSERT INTO ledger (account_id, created, id, type, amount, source, description, job_id)
VALUES (:account_id, :created, :id, :type, :amount, :source, :description, :job_id)
"""
_ENTRIES = """
SELECT id, type, amount, source, description, created FROM ledger
WHERE account_id = :account_id AND created >= :start AND (created, id) < (:created, :id)
ORDER BY created DESC, id DESC LIMIT :some
"""
_STRETCH = 1000
_SET_LIMIT = "UPDATE accounts SET credit_limit = :amount WHERE name = :name RETURNING id"
_SOURCES = {Kind.VIDEO: "Text-to-Video", Kind.IMAGE: "Text-to-Image"}


async def hold(tx: Transaction, job: Job, default_limit: Decimal, most_jobs: int) -> None:
    """Set aside what a job will cost.

    Raises:
        InsufficientCredits: the month has no room for it; TooMany: the account has too many jobs under way.
    """
    bound = {"id": job.account_id, "month": month(tx.now), "limit": _millionths(default_limit)}
    if not await tx.rows(_HOLD, amount=_millionths(job.credits), most=most_jobs, **bound):
        [(spent, held, limit, under_way)] = await tx.rows(_STATE, **bound)
        if under_way >= most_jobs:
            raise TooMany(f"{under_way} jobs of this account are under way; wait for some to end.", _RETRY_SECONDS)
        raise InsufficientCredits(
            f"This needs {job.credits.normalize():f} AI credits and {_told(limit - spent - held)} of "
            f"{_told(limit)} are left this month; wait for the next month or have the limit raised."
        )


async def release(tx: Transaction, job: Job) -> None:
    """Give back what a job held: it ended without a result."""
    await tx.rows(_RELEASE, id=job.account_id, amount=_millionths(job.credits))


async def charge(tx: Transaction, job: Job) -> None:
    """Turn what a job held into a line of the ledger, now."""
    amount = _millionths(job.credits)
    await tx.rows(_CHARGE, id=job.account_id, amount=amount, month=month(tx.now))
    await tx.rows(_NOTE, **line(job, tx.now))


def line(job: Job, created: int) -> dict[str, object]:
    """The line of the ledger for a job that was charged then, by its columns."""
    moment = datetime.fromtimestamp(created / 1000, UTC)
    return {
        "account_id": job.account_id,
        "created": created,
        "id": f"{moment:%Y%m%d%H%M%S}{created % 1000:03d}{secrets.token_hex(16)}",
        "type": "debit",
        "amount": _millionths(job.credits),
        "source": _SOURCES[job.kind],
        "description": _description(job),
        "job_id": job.id,
    }


async def balance(sql: Rows, account_id: str, default_limit: Decimal, now: int) -> Balance:
    """How an account's month stands."""
    bound = {"id": account_id, "month": month(now), "limit": _millionths(default_limit)}
    [(spent, held, limit, _)] = await sql.rows(_STATE, **bound)
    return Balance(_decimal(spent), _decimal(held), _decimal(limit))


async def balances(sql: Rows, default_limit: Decimal, now: int) -> list[tuple[str, Balance]]:
    """How every account's month stands, by its name."""
    rows = await sql.rows(_STATES, month=month(now), limit=_millionths(default_limit))
    return [(name, Balance(_decimal(spent), _decimal(held), _decimal(limit))) for name, spent, held, limit in rows]


async def entries(sql: Rows, account_id: str, start: int, end: int) -> AsyncIterator[list[LedgerEntry]]:
    """The ledger's lines from ``start`` to before ``end``, newest first, some at a time: a month may have many."""
    created, name = end, ""
    while rows := await sql.rows(_ENTRIES, account_id=account_id, start=start, created=created, id=name, some=_STRETCH):
        yield [LedgerEntry(name, kind, _decimal(amount), *rest) for name, kind, amount, *rest in rows]
        name, *_, created = rows[-1]


async def set_limit(tx: Transaction, account: str, amount: Decimal | None) -> bool:
    """What the account of that name may spend in a month; ``None``: the server's default. ``False``: no such one."""
    millionths = None if amount is None else _millionths(amount)
    return bool(await tx.rows(_SET_LIMIT, name=account, amount=millionths))


def _description(job: Job) -> str:
    if isinstance(job.request, VideoRequest):
        return f"{job.request.seconds}s video by {job.request.model}"
    return f"Image by {job.request.model}"


def month(milliseconds: int) -> int:
    """The calendar month of a time, UTC, as year * 100 + month."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.year * 100 + moment.month


def start(month: int) -> int:
    """The first millisecond of a month; of 1970 for the 0 of an account that was never charged."""
    return round(datetime(month // 100 or 1970, month % 100 or 1, 1, tzinfo=UTC).timestamp() * 1000)


def _millionths(amount: Decimal) -> int:
    return int(amount * _MILLIONTHS)


def _decimal(millionths: int) -> Decimal:
    return Decimal(millionths) / _MILLIONTHS


def _told(millionths: int) -> str:
    return f"{_decimal(max(millionths, 0)).normalize():f}"
