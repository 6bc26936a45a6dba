"""A page of the library under load: 32 connections, 2 processes, the key checked on every request.

``python -m bench.list_page [--rows N] [--seconds S] [--rounds R]``

*Cold* asks for pages at random depths of the whole list, so that each is really read; *hot* for the first page
again and again, as clients that poll do. Everything is asked in turn, several times over; the figures are medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import psycopg

from bench.figure import Figure, table
from bench.peers import nginx, rows
from bench.programs import PYTHON, WORK, Headers, Missing, free_port, get, need, postgres, serving
from bench.seed import seed
from bench.wrk import CONNECTIONS, Load, Target, load, median
from rushes import config
from rushes.model import Account
from rushes.paging import PAGE_SIZE, Cursor, SortKey
from rushes.store import Store, accounts
from rushes.store.library import VIDEOS
from rushes.studio import Studio

ROWS, SECONDS, ROUNDS = 1_000_000, 3, 5
POSTGRES_ROWS = 100_000
PROCESSES = 2
_FEW = 1000
_TOKENS = 4000
_V1 = "/pictoryapis/v1/aistudio/videos"


def run(count: int = ROWS, seconds: int = SECONDS, rounds: int = ROUNDS) -> list[Figure]:
    """Measure; the library and the peers' copy of it are made on the first run and kept for the next."""
    need("nginx", "wrk")
    library = asyncio.run(_library(count))
    with _served(library) as targets:
        for target in targets.values():
            load(target, 1)
        loads: dict[str, list[Load]] = {name: [] for name in targets}
        for number in range(rounds):
            # Up and down: whatever slows the machine for a while slows neighbours alike.
            for name in list(targets)[:: -1 if number % 2 else 1]:
                loads[name].append(load(targets[name], seconds))
    return [*_figures(count, {name: median(found) for name, found in loads.items()}), *run_on_postgres()]


def _figures(count: int, found: dict[str, Load]) -> list[Figure]:
    def against(name: str, ours: str, peer: str, target: str, note: str) -> Figure:
        ratio = found[ours].rate / found[peer].rate
        return Figure(name, _told(found[ours]), f"{peer}: {_told(found[peer])}", ratio, target, note)

    cold, hot = f"list page of {count:,}, cold", f"list page of {count:,}, hot"
    floor = f"wrk, {CONNECTIONS} connections, {PROCESSES} processes each"
    peer = "random cursors on both sides; the peer checks no key"
    return [
        against(cold, "cold", "nginx", "≥ 0.25", f"{floor}; the same bytes as a file"),
        against(cold, "cold", "constant bytes", "≥ 0.4", "the same Python server, one constant answer"),
        against(hot, "hot", "nginx", "≥ 0.5", "the first page, its key and revision read each time"),
        against(cold, "cold", "fastapi-pagination", "≥ 10", peer),
        against(cold, "cold", "Django REST framework", "≥ 10", peer),
        against("last pages, cold", "last pages", "first pages", "0.9 to 1.1", f"the ends of {count:,}, by cursors"),
        against(cold, "cold", f"account of {_FEW:,}", "≥ 0.8", "both by random cursors, in the same database"),
    ]


def run_on_postgres(count: int = POSTGRES_ROWS, seconds: int = SECONDS, rounds: int = ROUNDS) -> list[Figure]:
    """The cold page on PostgreSQL, against the peer on the same server."""
    need("wrk")
    with postgres() as url, tempfile.TemporaryDirectory(dir=WORK) as name:
        data = Path(name)
        cold, few, django = asyncio.run(_on_postgres(url, data, count))
        ports, headers = [free_port(), free_port()], [("Authorization", few)]
        settings = {"RUSHES_DATABASE_URL": url, rows.VARIABLE: _beside(url)}
        ours, peer = (f"http://127.0.0.1:{port}" for port in ports)
        with (
            serving(_rushes(data, ports[0]), ours + _one(cold), "rushes", settings, headers),
            serving(_gunicorn(ports[1]), peer + _one(django), "django", settings),
        ):
            _check(get(ours + _one(cold), headers))
            _check(get(peer + _one(django)))
            both = Target(ours, cold, headers), Target(peer, django)
            loads = [[load(target, seconds) for target in both] for _ in range(rounds)]
    mine, theirs = (median(found) for found in zip(*loads, strict=True))
    note = "random cursors on both sides, the same PostgreSQL with its defaults; the peer checks no key"
    name = f"list page of {count:,}, cold, PostgreSQL"
    return [Figure(name, _told(mine), f"Django REST framework: {_told(theirs)}", mine.rate / theirs.rate, "≥ 3", note)]


async def _on_postgres(url: str, data: Path, count: int) -> tuple[Path, str, Path]:
    """What to ask ours for, and with which key, and what to ask the peer for."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE peer")
    async with Studio.open(config.load(data=data, database_url=url)) as studio:
        account = await _seeded(studio, "default", count, files=False)
        await rows.copy_beside(studio.store, account.id, _beside(url), "http://127.0.0.1:8700")
        keys, cursor = await _random_keys(studio.store, account.id), Cursor(studio.secret, account.id, "videos")
        ours = _written(data / "cold.paths", (f"{_V1}?nextPageKey={cursor.token(key)}" for key in keys))
        theirs = _written(data / "django.paths", (_django_path(account.id, key) for key in keys))
        return ours, await studio.create_key("default", "bench"), theirs


def _beside(url: str) -> str:
    return urlsplit(url)._replace(path="/peer").geturl()


def _told(found: Load) -> str:
    return f"{found.rate:,.0f}/s, p99 {found.p99:.1f} ms"


@dataclass
class _Library:
    """What there is to ask for, and how each server is asked for it."""

    data: Path
    peers: Path
    key: str
    few_key: str
    account_id: str
    paths: dict[str, Path]


async def _library(count: int) -> _Library:
    WORK.mkdir(exist_ok=True)
    data = WORK / f"library-{count}"
    data.mkdir(exist_ok=True)
    async with Studio.open(config.load(data=data)) as studio:
        account = await _seeded(studio, "default", count)
        few = await _seeded(studio, "few", _FEW)
        peers = data / "peers.db"
        if not peers.exists():
            await rows.copy(studio.store, account.id, peers, "http://127.0.0.1:8700")
        return _Library(
            data,
            peers,
            await studio.create_key("default", "bench"),
            await studio.create_key("few", "bench"),
            account.id,
            await _paths(studio, account, few, data),
        )


async def _seeded(studio: Studio, name: str, count: int, *, files: bool = True) -> Account:
    async with studio.store.write() as tx:
        account = await accounts.named(tx, name)
    if account.revision == 0:
        await seed(studio, name, count, files=files)
    return account


async def _paths(studio: Studio, account: Account, few: Account, folder: Path) -> dict[str, Path]:
    anywhere = await _random_keys(studio.store, account.id)
    first, last = await _ends(studio.store, account.id)

    def listing(account: Account) -> Callable[[SortKey], str]:
        cursor = Cursor(studio.secret, account.id, "videos")
        return lambda key: f"{_V1}?nextPageKey={cursor.token(key)}"

    asked: dict[str, Iterable[str]] = {
        "cold": map(listing(account), anywhere),
        "few": map(listing(few), await _random_keys(studio.store, few.id)),
        "first": map(listing(account), first),
        "last": map(listing(account), last),
        "hot": [_V1],
        "page": ["/page.json"],
        "fastapi": [_fastapi_path(account.id, key) for key in anywhere],
        "django": [_django_path(account.id, key) for key in anywhere],
    }
    return {name: _written(folder / f"{name}.paths", paths) for name, paths in asked.items()}


def _written(file: Path, lines: Iterable[str]) -> Path:
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


async def _random_keys(store: Store, account_id: str) -> list[SortKey]:
    """Where pages may begin, evenly over the time the list spans; a whole page follows each."""
    newest, oldest = await _ends(store, account_id)
    chance = random.Random(1)
    moments = (chance.randint(oldest[0].created, newest[-1].created) for _ in range(_TOKENS))
    pages = [await VIDEOS.page(store, account_id, SortKey(moment, "~"), 1) for moment in moments]
    return [page.last for page in pages if page.last]


async def _ends(store: Store, account_id: str) -> tuple[list[SortKey], list[SortKey]]:
    """The first keys and the last ones that a whole page follows: some hundreds of each."""
    [(count,)] = await store.rows("SELECT count(*) FROM videos WHERE account_id = :id", id=account_id)
    some = min(_FEW, count // 3)
    order = (
        "SELECT created, id FROM videos WHERE account_id = :id ORDER BY created {0}, id {0} LIMIT :some OFFSET :skip"
    )
    first = await store.rows(order.format("DESC"), id=account_id, some=some, skip=0)
    last = await store.rows(order.format("ASC"), id=account_id, some=some, skip=PAGE_SIZE)
    return [SortKey(*row) for row in first], [SortKey(*row) for row in last]


def _fastapi_path(account_id: str, key: SortKey) -> str:
    # A bookmark of sqlakeyset, as its CursorPage encodes it.
    bookmark = b64encode(f">i:{key.created}~s:{key.id}".encode()).decode()
    return f"/videos/{account_id}?{urlencode({'size': PAGE_SIZE, 'cursor': quote(bookmark)})}"


def _django_path(account_id: str, key: SortKey) -> str:
    return f"/videos/{account_id}?{urlencode({'cursor': b64encode(f'p={key.created}'.encode()).decode()})}"


@contextmanager
def _served(library: _Library) -> Iterator[dict[str, Target]]:
    """Every server, up; and what to ask each for."""
    key, few_key = ([("Authorization", key)] for key in (library.key, library.few_key))
    paths, peers = library.paths, {rows.VARIABLE: str(library.peers)}
    with ExitStack() as stack:

        def serve(name: str, command: Sequence[str], port: int, path: str, headers: Headers = ()) -> str:
            url = f"http://127.0.0.1:{port}"
            stack.enter_context(serving(command, url + path, name, peers, headers))
            _check(get(url + path, headers))
            return url

        ports = [free_port() for _ in range(5)]
        ours = serve("rushes", _rushes(library.data, ports[0]), ports[0], _one(paths["cold"]), key)
        page = library.data / "page" / "page.json"
        page.parent.mkdir(exist_ok=True)
        page.write_bytes(get(ours + _one(paths["cold"]), key))
        web = serve("nginx", nginx.command(page.parent, ports[1], PROCESSES), ports[1], "/page.json")
        constant = serve("constant", _constant(page, ports[2]), ports[2], "/")
        fastapi = serve("fastapi", _uvicorn(ports[3]), ports[3], _one(paths["fastapi"]))
        django = serve("django", _gunicorn(ports[4]), ports[4], _one(paths["django"]))
        yield {
            "cold": Target(ours, paths["cold"], key),
            "constant bytes": Target(constant, paths["page"]),
            "nginx": Target(web, paths["page"]),
            "hot": Target(ours, paths["hot"], key),
            "first pages": Target(ours, paths["first"], key),
            "last pages": Target(ours, paths["last"], key),
            f"account of {_FEW:,}": Target(ours, paths["few"], few_key),
            "fastapi-pagination": Target(fastapi, paths["fastapi"]),
            "Django REST framework": Target(django, paths["django"]),
        }


def _one(paths: Path) -> str:
    return paths.read_text().split("\n", 1)[0]


def _check(body: bytes) -> None:
    """Nobody is quick by sending less."""
    answer = json.loads(body)
    items = answer.get("items") or answer.get("results")
    assert len(items) == PAGE_SIZE, len(items)
    assert set(items[0]) == set(rows.FIELDS), items[0]


def _rushes(data: Path, port: int) -> list[str]:
    serve = [PYTHON, "-m", "rushes", "serve", "--data", str(data), "--port", str(port)]
    return [*serve, "--processes", str(PROCESSES), "--no-worker"]


def _constant(page: Path, port: int) -> list[str]:
    return [PYTHON, "-m", "bench.peers.constant", str(page), str(port), str(PROCESSES)]


def _uvicorn(port: int) -> list[str]:
    uvicorn = [PYTHON, "-m", "uvicorn", "bench.peers.fastapi_app:app", "--port", str(port)]
    return [*uvicorn, "--workers", str(PROCESSES), "--loop", "uvloop", "--http", "httptools", "--no-access-log"]


def _gunicorn(port: int) -> list[str]:
    gunicorn = [PYTHON, "-m", "gunicorn", "bench.peers.django_app:application", "--bind", f"127.0.0.1:{port}"]
    # Plain workers close the connection after each answer; these keep it.
    return [*gunicorn, "--workers", str(PROCESSES), "--worker-class", "gthread", "--threads", "4", "--keep-alive", "75"]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.list_page", description="A page of the library under load.")
    parser.add_argument("--rows", type=int, default=ROWS, help="videos in the library")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each load")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    told = parser.parse_args()
    try:
        print(table(run(told.rows, told.seconds, told.rounds)))
    except Missing as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
