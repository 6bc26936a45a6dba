"""What providers cost, in US dollars: what a month may cost of an account and of a provider, and what is spent of it.

One row a scope counts; a hold is one conditional update of it, so that no two requests at once can both take the last
dollar. What is not known to have cost nothing counts as its estimate until a person settles it. Free jobs leave no
mark. Amounts are millionths in the rows and decimals everywhere else.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from rushes.errors import BudgetExceeded
from rushes.model import Job
from rushes.store import Rows, Transaction
from rushes.store.credits import month

_MILLIONTHS = 1_000_000
# As for credits: a change begun before midnight may come to the row after one of the next month.
_SPENT = "CASE WHEN month < :month THEN 0 ELSE spent END"
_MOST = "coalesce(most, CAST(:most AS BIGINT))"
_MAKE = "INSERT INTO budgets (scope) VALUES (:scope) ON CONFLICT (scope) DO NOTHING"
_HOLD = f"""
UPDATE budgets SET held = held + :amount
WHERE scope = :scope AND ({_MOST} IS NULL OR {_SPENT} + held + :amount <= {_MOST}) RETURNING scope
"""  # noqa: S608
_HELD = "UPDATE budgets SET held = held + :amount WHERE scope = :scope"
_SPEND = f"""
UPDATE budgets SET held = held - :held,
    spent = CASE WHEN month > :month THEN spent ELSE {_SPENT} + :amount END,
    month = CASE WHEN month > :month THEN month ELSE :month END
WHERE scope = :scope
"""  # noqa: S608
_CORRECT = "UPDATE budgets SET spent = spent + :amount WHERE scope = :scope AND month = :month"
_LIMITED = f"SELECT 1 FROM budgets WHERE scope = :scope AND {_MOST} IS NOT NULL"  # noqa: S608
_SET = """
INSERT INTO budgets (scope, most) SELECT 'account ' || id, CAST(:amount AS BIGINT) FROM accounts WHERE name = :name
ON CONFLICT (scope) DO UPDATE SET most = excluded.most RETURNING scope
"""
_ALL = f"""
SELECT scope, (SELECT name FROM accounts WHERE budgets.scope = 'account ' || accounts.id), {_SPENT}, held, most
FROM budgets ORDER BY scope
"""  # noqa: S608


class Limits(NamedTuple):
    """What a month may cost, in dollars, as the settings say; ``None``: no limit."""

    provider: Decimal | None
    account: Decimal | None


class Purse(NamedTuple):
    """How one scope's month stands, in dollars."""

    scope: str
    """``account`` or ``provider``, and its name."""
    spent: Decimal
    held: Decimal
    most: Decimal | None
    """Of its own; the settings may say more."""


async def hold(tx: Transaction, job: Job, limits: Limits) -> None:
    """Set aside what a job is expected to cost.

    Raises:
        BudgetExceeded: the month has no room for it, or its price is not known and there is a budget.
    """
    if job.estimate == 0:
        return
    amount = 0 if job.estimate is None else _millionths(job.estimate)
    for scope, limit in zip(_scopes(job), limits, strict=True):
        bound = {"scope": scope, "month": month(tx.now), "most": None if limit is None else _millionths(limit)}
        if job.estimate is None and (limit is not None or await tx.rows(_LIMITED, scope=scope, most=None)):
            raise BudgetExceeded(_unknown(job))
        if not await tx.rows(_HOLD, amount=amount, **bound):
            await tx.rows(_MAKE, scope=scope)
            if not await tx.rows(_HOLD, amount=amount, **bound):
                raise BudgetExceeded(_sentence(job, scope))


async def move(tx: Transaction, before: Job, after: Job, limits: Limits) -> None:
    """Hold for another provider, or at another price, what was held: a job is sent elsewhere than it was queued for.

    Raises:
        BudgetExceeded: as for ``hold``.
    """
    for scope in _scopes(before) if before.estimate else ():
        await tx.rows(_HELD, scope=scope, amount=-_millionths(before.estimate or Decimal(0)))
    await hold(tx, after, limits)


async def end(tx: Transaction, job: Job) -> None:
    """What a job held becomes what it cost; nothing, when nothing was accepted of it."""
    held, spent = job.estimate or Decimal(0), _counted(job)
    for scope in _scopes(job) if held or spent else ():
        await tx.rows(_MAKE, scope=scope)
        bound = {"scope": scope, "month": month(tx.now)}
        await tx.rows(_SPEND, held=_millionths(held), amount=_millionths(spent), **bound)


async def correct(tx: Transaction, job: Job, ended: int, cost: Decimal) -> None:
    """Count what an ended job did cost in place of what it was taken to, if the month of its end is still counted."""
    for scope in _scopes(job):
        amount = _millionths(cost) - _millionths(_counted(job))
        await tx.rows(_CORRECT, scope=scope, amount=amount, month=month(ended))


async def reopen(tx: Transaction, job: Job, ended: int) -> None:
    """Hold again what an ended job was counted with: it goes on."""
    await correct(tx, job, ended, Decimal(0))
    for scope in _scopes(job) if job.estimate else ():
        await tx.rows(_HELD, scope=scope, amount=_millionths(job.estimate or Decimal(0)))


async def set_limit(tx: Transaction, account: str, amount: Decimal | None) -> bool:
    """What the account of that name may cost in a month; ``None``: what the settings say. ``False``: no such one."""
    return bool(await tx.rows(_SET, name=account, amount=None if amount is None else _millionths(amount)))


async def purses(sql: Rows, now: int) -> list[Purse]:
    """How every scope's month stands."""
    rows = await sql.rows(_ALL, month=month(now))
    return [
        Purse(f"account {name}" if name else scope, _decimal(spent), _decimal(held), most and _decimal(most))
        for scope, name, spent, held, most in rows
    ]


def _counted(job: Job) -> Decimal:
    """What a job is taken to have cost."""
    if job.cost_source is None:
        return Decimal(0)
    return (job.estimate or Decimal(0)) if job.cost is None else job.cost


def _scopes(job: Job) -> tuple[str, str]:
    # Always in this order: two changes that lock in the same order cannot wait for each other.
    return f"provider {job.provider}", f"account {job.account_id}"


def _sentence(job: Job, scope: str) -> str:
    whose = f"for {job.provider}" if scope.startswith("provider") else "of this account"
    return (
        f"The operator's budget {whose} has no room for this in this month (about ${job.estimate:f}); wait for the "
        "next month or have it raised."
    )


def _unknown(job: Job) -> str:
    return (
        f"There is a budget here and the price of {job.request.model} is not known; its route in rushes.toml needs a "
        "dollars_per_second (or dollars, an item)."
    )


def _millionths(amount: Decimal) -> int:
    return int((amount * _MILLIONTHS).to_integral_value(ROUND_CEILING))


def _decimal(millionths: int) -> Decimal:
    return Decimal(millionths) / _MILLIONTHS
