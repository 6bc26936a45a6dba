"""Statements over many values: in a few lengths only, because each text is prepared once and kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from string import ascii_lowercase
from typing import TypeVar

from rushes.store import Row, Rows, Transaction

T = TypeVar("T")

MOST = 256
"""Values a list may hold."""
_ROWS = (MOST, 16, 1)


async def among(sql: Rows, text: str, *lists: Sequence[object], **params: object) -> list[Row]:
    """Run a read whose ``IN ({})`` hold these, in turn; no rows where one of them is empty."""
    if not all(lists):
        return []
    names = [_names(letter, len(values)) for letter, values in zip("xyz", lists, strict=False)]
    for some, values in zip(names, lists, strict=True):
        # What is there twice is found once.
        params |= dict(zip(some, [*values, *[values[-1]] * (len(some) - len(values))], strict=True))
    return await sql.rows(text.format(*(", ".join(f":{name}" for name in some) for some in names)), **params)


@cache
def _names(letter: str, count: int) -> tuple[str, ...]:
    return tuple(f"{letter}{number}" for number in range(1 << (count - 1).bit_length()))


async def insert(tx: Transaction, text: str, rows: Sequence[Row]) -> None:
    """Run an ``INSERT … VALUES {}`` of all these rows."""
    for size in _ROWS:
        whole = len(rows) - len(rows) % size
        for some in batches(rows[:whole], size):
            values, names = _places(size, len(rows[0]))
            told = (value for row in some for value in row)
            await tx.rows(text.format(values), **dict(zip(names, told, strict=True)))
        rows = rows[whole:]


@cache
def _places(rows: int, columns: int) -> tuple[str, list[str]]:
    """``(:a0, :b0), (:a1, :b1)`` and the names in it."""
    names = [[f"{_column(number)}{row}" for number in range(columns)] for row in range(rows)]
    values = ", ".join(f"({', '.join(f':{name}' for name in some)})" for some in names)
    return values, [name for some in names for name in some]


def _column(number: int) -> str:
    """``a`` … ``z``, ``aa`` …: a parameter's name begins with letters."""
    return ascii_lowercase[number % 26] * (1 + number // 26)


def batches(values: Sequence[T], size: int = MOST) -> Iterator[Sequence[T]]:
    """Them all, so many at a time."""
    return (values[start : start + size] for start in range(0, len(values), size))
