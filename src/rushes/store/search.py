"""Finding items by the words of their prompts, newest first, on both engines alike.

An account's items stand in *chunks* of some thousands, each a stretch of its list, and every term has one row in each
chunk that says which members have it (``chunks.py``). A page walks the chunks newest first and ANDs the rows of its
terms, so that it costs a few rows a chunk whatever the words are, common words that never meet included: at the most
one row for each term and every 4,096 items an account has ever had, and much less where matches are found soon.

Rewriting a row for each word of each new item would be dear. New items wait, with their terms as text, and are looked
through one by one; when some hundreds of them wait they enter their chunks together.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple
from urllib.parse import quote

from rushes.model import Kind
from rushes.paging import SortKey
from rushes.search import terms as terms_of
from rushes.store import Row, Rows, Store, Transaction, bits, chunks, many
from rushes.store.chunks import GRAIN, Chunk, Entry, Grain, Library

_FIRST_CHUNKS, _CHUNKS = 4, 128
_TERMS = 3
"""Terms asked for at a time: a rare one saves asking for those after it."""

_OF = "account_id = :account_id AND kind = :kind"
_AT = f"{_OF} AND created = :created AND id = :id"
_LOCK = "UPDATE accounts SET revision = revision WHERE id = :account_id"
_WAIT = """
INSERT INTO search_pending (account_id, kind, created, id, terms) VALUES (:account_id, :kind, :created, :id, :terms)
"""
# Some hundreds at the most.
_WAITING = f"SELECT count(*) FROM search_pending WHERE {_OF}"  # noqa: S608
_PENDING = f"SELECT created, id, terms FROM search_pending WHERE {_OF}"  # noqa: S608
_TAKE_PENDING = f"DELETE FROM search_pending WHERE {_OF} RETURNING created, id, terms"  # noqa: S608
_NOT_PENDING = f"DELETE FROM search_pending WHERE {_AT} RETURNING id"  # noqa: S608
_NOT_BACKLOG = f"DELETE FROM search_backlog WHERE {_AT} RETURNING id"  # noqa: S608
_WITHIN = """
SELECT number FROM search_members
WHERE number >= :low AND number < :high AND created > :above AND (created, id) < (:created, :id)
"""
_KEYS = "SELECT created, id, number FROM search_members WHERE number IN ({})"
# From the left to the right: a planner that began with the items would walk the whole list.
_ITEM_OF = """
LEFT JOIN {} AS items
ON items.account_id = :account_id AND items.created = found.created AND items.id = found.id
"""
_FOUND_ITEMS = f"""
SELECT items.created, items.id, items.item FROM search_members AS found {_ITEM_OF} WHERE found.number IN ({{}})
"""  # noqa: S608
_PENDING_ITEMS = f"""
SELECT items.created, items.id, items.item FROM search_pending AS found {_ITEM_OF}
WHERE found.account_id = :account_id AND found.kind = :kind AND found.id IN ({{}})
"""  # noqa: S608
_OLDEST_BACKLOG = "SELECT account_id, kind FROM search_backlog ORDER BY account_id, kind LIMIT 1"
_BACKLOG = """
SELECT waiting.created, waiting.id, items.item FROM search_backlog AS waiting LEFT JOIN {} AS items
ON items.account_id = waiting.account_id AND items.created = waiting.created AND items.id = waiting.id
WHERE waiting.account_id = :account_id AND waiting.kind = :kind ORDER BY waiting.created, waiting.id LIMIT :limit
"""
# Every key of a batch lies between its first and its last.
_PARENTS = f"""
SELECT created, id, parent FROM lineage
WHERE {_OF} AND (created, id) >= (:first, :first_id) AND (created, id) <= (:created, :id)
"""  # noqa: S608
_CAUGHT_UP = f"DELETE FROM search_backlog WHERE {_OF} AND (created, id) <= (:created, :id)"  # noqa: S608

_TABLES = {Kind.VIDEO: "videos", Kind.IMAGE: "images"}


async def add(
    tx: Transaction,
    kind: Kind,
    account_id: str,
    created: int,
    id: str,
    prompt: str,
    model: str,
    aspect_ratio: str,
    parents: Collection[str] = (),
    *,
    grain: Grain = GRAIN,
) -> None:
    """Index an item that enters its library in this transaction."""
    library = Library(account_id, kind)
    held = "\n".join(("", *_held(prompt, model, aspect_ratio, parents), ""))
    await tx.rows(_WAIT, terms=held, **library.at(SortKey(created, id)))
    [(waiting,)] = await tx.rows(_WAITING, **library._asdict())
    if waiting >= grain.pending:
        await tx.rows(_LOCK, account_id=account_id)
        taken = await tx.rows(_TAKE_PENDING, **library._asdict())
        await chunks.enter(tx, library, (Entry(SortKey(*key), held.split()) for *key, held in taken), grain)


async def catch_up(tx: Transaction, limit: int, *, grain: Grain = GRAIN) -> int:
    """Index up to ``limit`` items that are older than the index; return how many, 0 when none are left."""
    while oldest := await tx.rows(_OLDEST_BACKLOG):
        library = Library(*oldest[0])
        await tx.rows(_LOCK, account_id=library.account_id)
        text = _BACKLOG.format(_TABLES[Kind(library.kind)])
        if waiting := await tx.rows(text, limit=limit, **library._asdict()):
            first, last = SortKey(*waiting[0][:2]), SortKey(*waiting[-1][:2])
            parents = await _parents(tx, library, first, last)
            entries = [_read(*row, parents=parents[SortKey(*row[:2])]) for row in waiting if row[-1] is not None]
            await chunks.enter(tx, library, entries, grain)
            await tx.rows(_CAUGHT_UP, **library.at(last))
            return len(waiting)
    return 0


async def _parents(tx: Transaction, library: Library, first: SortKey, last: SortKey) -> dict[SortKey, list[str]]:
    parents: dict[SortKey, list[str]] = defaultdict(list)
    for *key, parent in await tx.rows(_PARENTS, first=first.created, first_id=first.id, **library.at(last)):
        parents[SortKey(*key)].append(parent)
    return parents


def _read(created: int, item_id: str, item: bytes, *, parents: Collection[str]) -> Entry:
    # The placeholder of our own links is no JSON in the strict sense.
    told = json.loads(item, strict=False)
    return Entry(SortKey(created, item_id), _held(told["prompt"], told["model"], told["aspectRatio"], parents))


def _held(prompt: str, model: str, aspect_ratio: str, parents: Collection[str] = ()) -> list[str]:
    return sorted(terms_of(prompt)) + _filters(model, aspect_ratio, parents)


def _filters(model: str | None, aspect_ratio: str | None, parents: Collection[str]) -> list[str]:
    # No word has "=" in it, so that no word is taken for one of these.
    told = [("model", model), ("ratio", aspect_ratio), *(("from", parent) for parent in parents)]
    return [f"{name}={quote(value)}" for name, value in told if value is not None]


async def remove(tx: Transaction, kind: Kind, account_id: str, created: int, id: str) -> None:
    """Forget an item that leaves its library in this transaction."""
    library, key = Library(account_id, kind), SortKey(created, id)
    await tx.rows(_LOCK, account_id=account_id)
    for text in (_NOT_PENDING, _NOT_BACKLOG):
        if await tx.rows(text, **library.at(key)):
            return
    await chunks.take_out(tx, library, key)


class _Hit(NamedTuple):
    """An item found."""

    key: SortKey
    number: int | None
    """Among the members of all chunks; ``None`` while it waits to be one."""


class _Window(NamedTuple):
    """The part of the list that is asked for."""

    above: int
    """Only what was created after this millisecond."""
    below: SortKey

    def holds(self, chunk: Chunk) -> bool:
        """Whether the whole chunk lies in it."""
        return chunk.first.created > self.above and chunk.last < self.below


async def page(
    store: Store,
    kind: Kind,
    account_id: str,
    terms: Collection[str],
    *,
    model: str | None,
    aspect_ratio: str | None,
    created_after: int | None,
    created_before: int | None,
    parent: str | None = None,
    after: SortKey | None,
    size: int,
) -> list[bytes]:
    """The ``size`` items that follow ``after`` and hold all of the terms, and one more where there is one; as stored,
    newest first. No terms are held by nothing. ``created_after`` and ``created_before``, in milliseconds, are
    themselves left out.

    All of it is read at one moment. It costs what the module says, and never more than there is to walk for one page:
    a page that comes back short is the last.
    """
    if not terms:
        return []
    library, limit = Library(account_id, kind), size + 1
    window = _window(created_after, created_before, after)
    # Long words tend to be rare.
    asked = sorted(terms, key=len, reverse=True) + _filters(model, aspect_ratio, () if parent is None else (parent,))
    async with store.snapshot() as sql:
        hits = await _pending(sql, library, asked, window) + await _walk(sql, library, asked, window, limit)
        return await _items(sql, library, sorted(hits, reverse=True)[:limit])


def _window(created_after: int | None, created_before: int | None, after: SortKey | None) -> _Window:
    ends = [SortKey(2**63 - 1, "")]
    ends += [after] if after is not None else []
    ends += [SortKey(created_before, "")] if created_before is not None else []
    return _Window(-(2**63) if created_after is None else created_after, min(ends))


async def _pending(sql: Rows, library: Library, asked: Sequence[str], window: _Window) -> list[_Hit]:
    rows = await sql.rows(_PENDING, **library._asdict())
    found = (SortKey(*key) for *key, held in rows if all(f"\n{term}\n" in held for term in asked))
    return [_Hit(key, None) for key in found if key.created > window.above and key < window.below]


async def _walk(sql: Rows, library: Library, asked: Sequence[str], window: _Window, limit: int) -> list[_Hit]:
    """The newest ``limit`` of the items in chunks."""
    hits: list[_Hit] = []
    below, count = window.below, _FIRST_CHUNKS
    while len(hits) < limit:
        walked = await chunks.newest(sql, library, below, window.above, count)
        found = await _matching(sql, walked, asked)
        hits += await _newest(sql, walked, found, window, limit - len(hits))
        if len(walked) < count:
            break
        below, count = walked[-1].first, _CHUNKS
    return hits


async def _matching(sql: Rows, walked: Sequence[Chunk], asked: Sequence[str]) -> dict[int, int]:
    """For each chunk that has any: which of its members hold all the terms."""
    found = {chunk.number: -1 for chunk in walked}
    for terms in many.batches(asked, _TERMS):
        if found:
            rows = await chunks.stored(sql, list(found), terms)
            found = await asyncio.to_thread(_met, found, terms, rows)
    return found


def _met(found: Mapping[int, int], terms: Sequence[str], rows: Iterable[Row]) -> dict[int, int]:
    stored: dict[int, dict[str, bytes]] = defaultdict(dict)
    for chunk, term, some in rows:
        stored[chunk][term] = some
    met = {chunk: _and(before, terms, stored[chunk]) for chunk, before in found.items() if chunk in stored}
    return {chunk: left for chunk, left in met.items() if left}


def _and(left: int, terms: Sequence[str], stored: Mapping[str, bytes]) -> int:
    if not all(term in stored for term in terms):
        return 0
    for term in terms:
        left &= bits.read(stored[term])
    return left & ~bits.read(stored[chunks.GONE]) if chunks.GONE in stored else left


async def _newest(
    sql: Rows, walked: Sequence[Chunk], found: Mapping[int, int], window: _Window, limit: int
) -> list[_Hit]:
    """The newest ``limit`` of the members found."""
    numbers: list[int] = []
    for chunk in (chunk for chunk in walked if chunk.number in found):
        left = found[chunk.number]
        if not window.holds(chunk):
            left &= await _inside(sql, chunk, window)
        # Where numbers are not in the list's order, all must be looked at to know the newest.
        numbers += (chunk.low + number for number in islice(bits.numbers(left), limit if chunk.in_order else None))
        if len(numbers) >= limit:
            break
    rows = [row for some in many.batches(numbers) for row in await many.among(sql, _KEYS, some)]
    return sorted((_Hit(SortKey(*key), number) for *key, number in rows), reverse=True)[:limit]


async def _inside(sql: Rows, chunk: Chunk, window: _Window) -> int:
    rows = await sql.rows(_WITHIN, above=window.above, **chunk.range, **window.below._asdict())
    return bits.of([number - chunk.low for (number,) in rows])


async def _items(sql: Rows, library: Library, hits: Sequence[_Hit]) -> list[bytes]:
    table = _TABLES[Kind(library.kind)]
    waiting = [hit.key.id for hit in hits if hit.number is None]
    rows = await many.among(sql, _PENDING_ITEMS.format(table, "{}"), waiting, **library._asdict())
    for some in many.batches([hit.number for hit in hits if hit.number is not None]):
        rows += await many.among(sql, _FOUND_ITEMS.format(table, "{}"), some, account_id=library.account_id)
    return [item for *_, item in sorted(rows, reverse=True)]
