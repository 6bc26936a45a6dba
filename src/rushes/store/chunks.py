"""Stretches of an account's list, and which of their members hold which terms.

In its chunk an item has a number; every term has one row of bits there: which numbers hold it. A chunk reaches from its
first item to the next chunk's, so that items of chunks read newest first are in the list's order but for those of one
chunk, whose numbers are those in which they came.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from rushes.paging import SortKey
from rushes.store import Row, Rows, Transaction, bits, many

NUMBERS = 2**16
"""Numbers set aside for each chunk."""
GONE = ""
"""The term of members that have been removed."""

_COLUMNS = "chunk, created, id, last_created, last_id, members, in_order"
_OF = "account_id = :account_id AND kind = :kind"
_AT = f"{_OF} AND created = :created AND id = :id"
_NUMBERED = "number >= :low AND number < :high"
_HOME = f"""
SELECT {_COLUMNS} FROM search_chunks WHERE {_OF} AND (created, id) <= (:created, :id)
ORDER BY created DESC, id DESC LIMIT 1
"""  # noqa: S608
_NEXT = f"""
SELECT created, id FROM search_chunks WHERE {_OF} AND (created, id) > (:created, :id) ORDER BY created, id LIMIT 1
"""  # noqa: S608
_WALK = f"""
SELECT {_COLUMNS} FROM search_chunks WHERE {_OF} AND (created, id) < (:created, :id) AND last_created > :above
ORDER BY created DESC, id DESC LIMIT :limit
"""  # noqa: S608
_OPEN = f"""
INSERT INTO search_chunks (account_id, kind, created, id, last_created, last_id, members, in_order)
VALUES (:account_id, :kind, :created, :id, :created, :id, 0, 1) RETURNING {_COLUMNS}
"""  # noqa: S608
_GROW = f"""
UPDATE search_chunks SET members = :members, last_created = :last_created, last_id = :last_id, in_order = :in_order
WHERE {_AT}
"""  # noqa: S608
_DROP = f"DELETE FROM search_chunks WHERE {_AT}"  # noqa: S608
_DROP_MEMBERS = f"DELETE FROM search_members WHERE {_NUMBERED}"  # noqa: S608
_DROP_BITS = "DELETE FROM search_bits WHERE chunk = :chunk"
_ADD_MEMBERS = "INSERT INTO search_members (number, created, id) VALUES {}"
_SET_BITS = """
INSERT INTO search_bits (chunk, term, bits) VALUES {} ON CONFLICT (chunk, term) DO UPDATE SET bits = excluded.bits
"""
_REMOVE = f"DELETE FROM search_members WHERE {_NUMBERED} AND created = :created AND id = :id RETURNING number"  # noqa: S608
_MEMBERS = f"SELECT number, created, id FROM search_members WHERE {_NUMBERED}"  # noqa: S608
_ALL_BITS = "SELECT term, bits FROM search_bits WHERE chunk = :chunk"
_BITS = "SELECT chunk, term, bits FROM search_bits WHERE chunk IN ({}) AND term IN ({})"


class Grain(NamedTuple):
    """How finely the index is cut."""

    pending: int = 256
    """So many new items enter their chunks together."""
    members: int = 4096
    """Items of a chunk. One that items must enter in its middle takes twice as many, then it is made anew."""


GRAIN = Grain()


class Library(NamedTuple):
    """Whose items, and which."""

    account_id: str
    kind: str

    def at(self, key: SortKey) -> dict[str, object]:
        """The parameters that name a place in it."""
        return {**self._asdict(), **key._asdict()}


class Entry(NamedTuple):
    """An item to be indexed."""

    key: SortKey
    terms: Collection[str]


class Chunk(NamedTuple):
    """A stretch of a list, from ``first`` up to the next chunk's."""

    number: int
    first: SortKey
    last: SortKey
    members: int
    in_order: bool
    """Whether a higher number is always a later item."""

    @classmethod
    def of(cls, row: Row) -> Chunk:
        """As it is stored."""
        number, created, item_id, last_created, last_id, members, in_order = row
        return cls(number, SortKey(created, item_id), SortKey(last_created, last_id), members, bool(in_order))

    @property
    def low(self) -> int:
        """Its members' first number among those of all chunks."""
        return self.number * NUMBERS

    @property
    def range(self) -> dict[str, object]:
        """Its members' numbers, as parameters."""
        return {"low": self.low, "high": self.low + NUMBERS}

    def ends_before(self, key: SortKey) -> bool:
        """Whether an item there would be its last."""
        return key > self.last or not self.members

    def room(self, key: SortKey, grain: Grain) -> int:
        """How many more it takes, from ``key`` on."""
        return grain.members * (1 if self.ends_before(key) else 2) - self.members


async def newest(sql: Rows, library: Library, below: SortKey, above: int, limit: int) -> list[Chunk]:
    """The chunks that begin before ``below`` and end after the millisecond ``above``."""
    return [Chunk.of(row) for row in await sql.rows(_WALK, above=above, limit=limit, **library.at(below))]


async def stored(sql: Rows, chunks: Sequence[int], terms: Sequence[str]) -> list[Row]:
    """Chunk, term and stored bits wherever a chunk has a member with the term; :data:`GONE` is one, too."""
    return await many.among(sql, _BITS, chunks, [*terms, GONE])


async def enter(tx: Transaction, library: Library, entries: Iterable[Entry], grain: Grain) -> None:
    """Enter items into their chunks. Nobody else may be entering items of that account."""
    waiting = sorted(entries)
    while waiting:
        waiting = await _enter_oldest(tx, library, waiting, grain)


async def _enter_oldest(tx: Transaction, library: Library, waiting: list[Entry], grain: Grain) -> list[Entry]:
    """Enter as many as belong into the oldest one's chunk; return what is left to be entered."""
    key = waiting[0].key
    chunk = await _home(tx, library, key)
    if chunk is None or (chunk.room(key, grain) <= 0 and chunk.ends_before(key)):
        [row] = await tx.rows(_OPEN, **library.at(key))
        chunk = Chunk.of(row)
    if chunk.room(key, grain) <= 0:
        return sorted([*waiting, *await _dissolved(tx, library, chunk)])
    following = await tx.rows(_NEXT, **library.at(chunk.first))
    belonging = [entry for entry in waiting if not following or entry.key < SortKey(*following[0])]
    entering = belonging[: chunk.room(key, grain)]
    await _put(tx, library, chunk, entering)
    return waiting[len(entering) :]


async def _home(sql: Rows, library: Library, key: SortKey) -> Chunk | None:
    found = await sql.rows(_HOME, **library.at(key))
    return Chunk.of(found[0]) if found else None


async def _put(tx: Transaction, library: Library, chunk: Chunk, entries: Sequence[Entry]) -> None:
    numbers = range(chunk.members, chunk.members + len(entries))
    members = [(chunk.low + number, *entry.key) for number, entry in zip(numbers, entries, strict=True)]
    await many.insert(tx, _ADD_MEMBERS, members)
    await _set_bits(tx, chunk, _held(numbers, entries))
    last = max(chunk.last, entries[-1].key)
    await tx.rows(
        _GROW,
        members=numbers.stop,
        last_created=last.created,
        last_id=last.id,
        in_order=int(chunk.in_order and chunk.ends_before(entries[0].key)),
        **library.at(chunk.first),
    )


def _held(numbers: Iterable[int], entries: Iterable[Entry]) -> dict[str, int]:
    held: dict[str, int] = defaultdict(int)
    for number, entry in zip(numbers, entries, strict=True):
        for term in entry.terms:
            held[term] |= 1 << number
    return held


async def _set_bits(tx: Transaction, chunk: Chunk, held: Mapping[str, int]) -> None:
    before: dict[str, int] = {}
    for some in many.batches(sorted(held)):
        before |= {term: bits.read(kept) for _, term, kept in await many.among(tx, _BITS, [chunk.number], some)}
    rows = [(chunk.number, term, bits.stored(before.get(term, 0) | new)) for term, new in sorted(held.items())]
    await many.insert(tx, _SET_BITS, rows)


async def _dissolved(tx: Transaction, library: Library, chunk: Chunk) -> list[Entry]:
    """Take a chunk away; return what was in it."""
    held: dict[int, list[str]] = defaultdict(list)
    for term, kept in await tx.rows(_ALL_BITS, chunk=chunk.number):
        for number in bits.numbers(bits.read(kept)):
            held[chunk.low + number].append(term)
    members = await tx.rows(_MEMBERS, **chunk.range)
    await _drop(tx, library, chunk)
    return [Entry(SortKey(*key), held[number]) for number, *key in members]


async def _drop(tx: Transaction, library: Library, chunk: Chunk) -> None:
    await tx.rows(_DROP_BITS, chunk=chunk.number)
    await tx.rows(_DROP_MEMBERS, **chunk.range)
    await tx.rows(_DROP, **library.at(chunk.first))


async def take_out(tx: Transaction, library: Library, key: SortKey) -> None:
    """Take an item out of its chunk, if it stands in one."""
    chunk = await _home(tx, library, key)
    removed = chunk and await tx.rows(_REMOVE, **chunk.range, **key._asdict())
    if chunk and removed:
        await _note_gone(tx, library, chunk, removed[0][0] - chunk.low)


async def _note_gone(tx: Transaction, library: Library, chunk: Chunk, number: int) -> None:
    rows = await stored(tx, [chunk.number], [])
    gone = 1 << number | (bits.read(rows[0][-1]) if rows else 0)
    if gone.bit_count() == chunk.members:
        await _drop(tx, library, chunk)
    else:
        await many.insert(tx, _SET_BITS, [(chunk.number, GONE, bits.stored(gone))])
