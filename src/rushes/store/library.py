"""The libraries' rows: what a page reads. Videos and images are kept alike, each kind in a table of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from rushes import wire
from rushes.model import Item, Kind
from rushes.paging import Filters, SortKey
from rushes.store import Rows, Store, Transaction, accounts, many, search


class Page(NamedTuple):
    """Items as stored, newest first; and the key of the last one when more follow it."""

    items: list[bytes]
    last: SortKey | None


class Entry(NamedTuple):
    """What is known of an item without reading its text."""

    id: str
    created: int
    file_id: str
    job_id: str | None


@dataclass(frozen=True, slots=True)
class Library:
    """All items of one kind, of every account."""

    kind: Kind

    @property
    def table(self) -> str:
        """Where they stand."""
        return f"{self.kind}s"

    async def page(
        self, store: Store, account_id: str, after: SortKey | None, size: int, filters: Filters | None = None
    ) -> Page:
        """The ``size`` items that follow ``after``. One row more is read, to know whether there is one."""
        if filters is None:
            items = await self._plain(store, account_id, after, size + 1)
        elif filters.terms is None:
            items = await self._filtered(store, account_id, after, size + 1, filters)
        else:
            items = await search.page(
                store,
                self.kind,
                account_id,
                filters.terms,
                model=filters.model,
                aspect_ratio=filters.aspect_ratio,
                created_after=filters.created_after,
                created_before=filters.created_before,
                parent=filters.parent,
                after=after,
                size=size,
            )
        if len(items) <= size:
            return Page(items, None)
        items.pop()
        return Page(items, wire.sort_key(items[-1]))

    async def _plain(self, store: Store, account_id: str, after: SortKey | None, limit: int) -> list[bytes]:
        if after is None:
            return await store.column(_FIRST_PAGE[self.kind], account_id=account_id, limit=limit)
        text = _PAGE[self.kind]
        return await store.column(text, account_id=account_id, created=after.created, id=after.id, limit=limit)

    async def _filtered(
        self, store: Store, account_id: str, after: SortKey | None, limit: int, filters: Filters
    ) -> list[bytes]:
        bound = filters.columns
        # A walk begins at one place: the token's, or where nothing is too new any more. No id is before the empty one.
        if (before := bound.pop("created_before", None)) is not None:
            after = min(after or _LATEST, SortKey(int(str(before)), ""))
        if after is not None:
            bound |= {"created": after.created, "id": after.id}
        if filters.files is not None:
            text = _these(self.kind, frozenset(bound))
            return [
                row[0]
                for row in await many.among(store, text, filters.files, account_id=account_id, limit=limit, **bound)
            ]
        text = _select(self.kind, frozenset(bound))
        return await store.column(text, account_id=account_id, limit=limit, **bound)

    async def add(self, tx: Transaction, item: Item, parents: frozenset[str] = frozenset()) -> None:
        """Enter an item into its account's library, at a new revision of it; ``parents`` are the uuids in the names
        of our own files that it was made from.
        """
        await tx.rows(
            _add(self.table),
            account_id=item.account_id,
            created=item.created,
            id=item.id,
            file_id=item.file_id,
            job_id=item.job_id,
            item=wire.item(item),
            model=item.request.model,
            aspect_ratio=item.request.aspect_ratio,
            revision=await accounts.changed(tx, item.account_id),
        )
        request = item.request
        place = {"account_id": item.account_id, "kind": self.kind, "created": item.created, "id": item.id}
        filtered = {"model": request.model, "aspect_ratio": request.aspect_ratio}
        for parent in parents:
            await tx.rows(_DESCEND, parent=parent, **place, **filtered)
        await search.add(
            tx,
            self.kind,
            item.account_id,
            item.created,
            item.id,
            prompt=request.prompt,
            model=request.model,
            aspect_ratio=request.aspect_ratio,
            parents=parents,
        )

    async def remove(self, tx: Transaction, account_id: str, item_id: str) -> Entry | None:
        """Take an item out and leave its tombstone; ``None`` when there is no such item (any more)."""
        removed = await tx.rows(_remove(self.table), account_id=account_id, id=item_id)
        if not removed:
            return None
        entry = Entry(*removed[0])
        place = {"account_id": account_id, "kind": self.kind, "created": entry.created}
        revision = await accounts.changed(tx, account_id)
        await tx.rows(_BURY, revision=revision, item_id=entry.id, file_id=entry.file_id, **place)
        await tx.rows(_DISOWN, id=entry.id, **place)
        await search.remove(tx, self.kind, account_id, entry.created, entry.id)
        return entry

    async def get(self, sql: Rows, account_id: str, item_id: str) -> bytes | None:
        """An account's item, as stored."""
        text = f"SELECT item FROM {self.table} WHERE account_id = :account_id AND id = :id"  # noqa: S608
        found = await sql.rows(text, account_id=account_id, id=item_id)
        return found[0][0] if found else None

    async def entry(self, sql: Rows, account_id: str, item_id: str) -> Entry | None:
        """An account's item without its text."""
        text = f"SELECT {_ENTRY} FROM {self.table} WHERE account_id = :account_id AND id = :id"  # noqa: S608
        found = await sql.rows(text, account_id=account_id, id=item_id)
        return Entry(*found[0]) if found else None

    async def of_job(self, sql: Rows, account_id: str, job_id: str) -> bytes | None:
        """The stored item that a job made."""
        text = f"SELECT item FROM {self.table} WHERE job_id = :job_id AND account_id = :account_id"  # noqa: S608
        found = await sql.rows(text, account_id=account_id, job_id=job_id)
        return found[0][0] if found else None

    async def known(self, sql: Rows, account_id: str, item_ids: Sequence[str]) -> tuple[set[str], set[str]]:
        """Which of at most 256 items the library holds, and which it held until they were deleted."""
        held = f"SELECT id FROM {self.table} WHERE account_id = :account_id AND id IN ({{}})"  # noqa: S608
        here = {row[0] for row in await many.among(sql, held, item_ids, account_id=account_id)}
        buried = await many.among(sql, _BURIED, item_ids, account_id=account_id, kind=self.kind)
        return here, {row[0] for row in buried} - here

    async def id_of(self, sql: Rows, account_id: str, file_id: str) -> str | None:
        """The id of the item these files belong to."""
        text = f"SELECT id FROM {self.table} WHERE file_id = :file_id AND account_id = :account_id"  # noqa: S608
        found = await sql.rows(text, account_id=account_id, file_id=file_id)
        return found[0][0] if found else None

    async def has_file(self, sql: Rows, account_id: str, file_id: str) -> bool:
        """Whether the library of that account holds the item these files belong to."""
        text = f"SELECT 1 FROM {self.table} WHERE file_id = :file_id AND account_id = :account_id"  # noqa: S608
        return bool(await sql.rows(text, account_id=account_id, file_id=file_id))


async def file_of(sql: Rows, account_id: str, item_id: str) -> str | None:
    """The uuid in the names of an item's files, of either kind, also when it has been deleted."""
    found = await sql.rows(_FILE, account_id=account_id, id=item_id)
    return found[0][0] if found else None


async def parents_of(sql: Rows, account_id: str, item_id: str) -> tuple[str, ...]:
    """The uuids in the names of our own files that an item of either kind was made from; at most three."""
    return tuple(row[0] for row in await sql.rows(_PARENTS, account_id=account_id, id=item_id))


async def was_deleted(sql: Rows, account_id: str, file_id: str) -> bool:
    """Whether these files belonged to an item that is gone: what is left of them may be swept at any time."""
    return bool(await sql.rows(_FILE_BURIED, account_id=account_id, file_id=file_id))


VIDEOS = Library(Kind.VIDEO)
IMAGES = Library(Kind.IMAGE)
LIBRARIES: Mapping[Kind, Library] = {Kind.VIDEO: VIDEOS, Kind.IMAGE: IMAGES}

_ENTRY = "id, created, file_id, job_id"
_LATEST = SortKey(2**63 - 1, "")
_CONDITIONS: Mapping[str, str] = {
    "parent": "parent = :parent",
    "model": "model = :model",
    "aspect_ratio": "aspect_ratio = :aspect_ratio",
    "created_after": "created > :created_after",
    "created": "(created, id) < (:created, :id)",
}


@cache
def _select(kind: Kind, given: frozenset[str]) -> str:
    # A list is walked by the index over exactly its filters, in the list's own order; what was made from an item, by
    # the index over its parent, which the item is looked up from row by row: a join might be done the other way round.
    if "parent" in given:
        return _LINEAGE.format(kind=kind, table=f"{kind}s", source=_along("lineage", given), walk=_walk(given))
    return f"SELECT item FROM {_along(f'{kind}s', given)} WHERE {_walk(given)}"  # noqa: S608


@cache
def _these(kind: Kind, given: frozenset[str]) -> str:
    """A few known by their files, whatever else they must be."""
    return f"SELECT item FROM {kind}s WHERE file_id IN ({{}}) AND {_walk(given)}"  # noqa: S608


def _along(table: str, given: frozenset[str]) -> str:
    index = "_".join([table, *(["model"] if "model" in given else []), *(["ratio"] if "aspect_ratio" in given else [])])
    return table if index == table else f"{table} $along({index})"


def _walk(given: frozenset[str]) -> str:
    where = ["account_id = :account_id", *(text for name, text in _CONDITIONS.items() if name in given)]
    return f"{' AND '.join(where)} ORDER BY created DESC, id DESC LIMIT :limit"


_LINEAGE = """
SELECT (
    SELECT item FROM {table} AS listed
    WHERE listed.account_id = lineage.account_id AND listed.created = lineage.created AND listed.id = lineage.id
) FROM {source} WHERE kind = '{kind}' AND {walk}
"""
_FIRST_PAGE = {kind: _select(kind, frozenset()) for kind in Kind}
_PAGE = {kind: _select(kind, frozenset({"created"})) for kind in Kind}
_DESCEND = """
INSERT INTO lineage (account_id, parent, kind, created, id, model, aspect_ratio)
VALUES (:account_id, :parent, :kind, :created, :id, :model, :aspect_ratio)
"""
_BURY = """
INSERT INTO tombstones (account_id, revision, kind, item_id, created, file_id)
VALUES (:account_id, :revision, :kind, :item_id, :created, :file_id)
"""
_BURIED = "SELECT item_id FROM tombstones WHERE account_id = :account_id AND kind = :kind AND item_id IN ({})"
_FILE_BURIED = "SELECT 1 FROM tombstones WHERE account_id = :account_id AND file_id = :file_id"
_FILE = """
SELECT file_id FROM videos WHERE account_id = :account_id AND id = :id
UNION ALL SELECT file_id FROM images WHERE account_id = :account_id AND id = :id
UNION ALL SELECT file_id FROM tombstones WHERE account_id = :account_id AND item_id = :id
"""
_PARENTS = """
SELECT parent FROM lineage JOIN (
    SELECT 'video' AS kind, created, id FROM videos WHERE account_id = :account_id AND id = :id
    UNION ALL SELECT 'image', created, id FROM images WHERE account_id = :account_id AND id = :id
) AS child ON child.kind = lineage.kind AND child.created = lineage.created AND child.id = lineage.id
WHERE lineage.account_id = :account_id
"""
_DISOWN = "DELETE FROM lineage WHERE account_id = :account_id AND kind = :kind AND created = :created AND id = :id"


@cache
def _add(table: str) -> str:
    return f"""
        INSERT INTO {table} (account_id, created, id, file_id, job_id, item, model, aspect_ratio, revision)
        VALUES (:account_id, :created, :id, :file_id, :job_id, :item, :model, :aspect_ratio, :revision)
    """  # noqa: S608


@cache
def _remove(table: str) -> str:
    return f"DELETE FROM {table} WHERE account_id = :account_id AND id = :id RETURNING {_ENTRY}"  # noqa: S608
