"""``rushes rebuild``: the files alone give the library back."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rushes import ids, store, wire
from rushes.blobs import Blobs
from rushes.errors import StartError
from rushes.model import Kind, VideoFiles
from rushes.paging import Filters
from rushes.store import Store, changes, tables
from rushes.store.library import VIDEOS
from rushes.transfer.rebuild import Counts, Outcome, restore
from tests.cli.running import failed, rushes
from tests.conftest import serving
from tests.transfer.worked import Made, faults, film

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("rebuild")]  # one library made for all of them

LEDGER = """
SELECT account_id, type, amount, source, description, job_id FROM ledger
WHERE job_id IN (SELECT id FROM jobs WHERE state = 'completed') ORDER BY job_id
"""
LINEAGE = "SELECT * FROM lineage ORDER BY parent, id"
JOBS = """
SELECT id, account_id, item_id, kind, request, credits, state, created, origin, cost, provider, estimate, cost_source,
    model FROM jobs WHERE state = 'completed' ORDER BY id
"""
ITEMS = "SELECT account_id, created, id, file_id, job_id, item, model, aspect_ratio FROM {}s ORDER BY created, id"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return asyncio.run(film(tmp_path_factory.mktemp("original")))


@pytest.fixture
def lost(original: Made, tmp_path: Path, engine: str, request: pytest.FixtureRequest) -> Made:
    """Its files, and the database that it shall be rebuilt in."""
    copied = original.copy(tmp_path / "data")
    for file in copied.data.glob("rushes.db*"):
        file.unlink()
    url = request.getfixturevalue("new_database")() if engine == "postgres" else None
    return replace(copied, database_url=url)


async def rebuilt(made: Made) -> tuple[Counts, list[Outcome]]:
    outcomes: list[Outcome] = []
    rows = await store.open(made.data, made.database_url)
    try:
        counts = await restore(rows, Blobs(made.media), outcomes.append)
    finally:
        await rows.close()
    return counts, outcomes


async def known(rows: Store) -> dict[str, list[Any]]:
    items = {str(kind): ITEMS.format(kind) for kind in Kind}
    texts = {"ledger": LEDGER, "lineage": LINEAGE, "jobs": JOBS, **items}
    return {name: await rows.rows(text) for name, text in texts.items()}


async def test_everything_that_the_files_tell_comes_back(original: Made, lost: Made) -> None:
    counts, outcomes = await rebuilt(lost)
    assert (counts.items, counts.uploads, counts.accounts) == (4, 1, ("default",))
    assert {each.outcome for each in outcomes} == {"restored"}
    async with original.studio() as before, lost.studio() as after:
        assert await known(after.store) == await known(before.store)
        assert [len(each) for each in (await known(after.store)).values()] == [3, 1, 3, 3, 1]
        assert await faults(after) == []
        # What was deleted was charged too, and nothing but the database knew of it.
        spent = "SELECT id, name, month, spent FROM accounts"
        [(*account, month, amount)] = await before.store.rows(spent)
        assert await after.store.rows(spent) == [(*account, month, amount - 8_000_000)]
        budgets = "SELECT scope, month, spent FROM budgets WHERE spent > 0 ORDER BY scope"
        less = [(scope, month, amount - 500_000) for scope, month, amount in await before.store.rows(budgets)]
        assert await after.store.rows(budgets) == less
        assert len(less) == 2
        told = "SELECT account_id, name, content_type, size FROM uploads"
        assert await after.store.rows(told) == await before.store.rows(told)


async def test_lists_search_and_feed_work(lost: Made) -> None:
    await rebuilt(lost)
    async with lost.studio() as studio:
        feed = await changes.after(studio.store, lost.account, 0, 100)
        assert [change.revision for change in feed] == [1, 2, 3, 4]
        assert [change.created for change in feed] == sorted(change.created for change in feed)
        found = await VIDEOS.page(studio.store, lost.account, None, 10, Filters(terms=("brought",)))
        assert len(found.items) == 1
        made_from = Filters(parent=lost.first.file_id)
        assert len((await VIDEOS.page(studio.store, lost.account, None, 10, made_from)).items) == 1
        both = Filters(parent=lost.first.file_id, terms=("fox",))
        assert len((await VIDEOS.page(studio.store, lost.account, None, 10, both)).items) == 1
        assert await studio.delete_item(lost.account, Kind.VIDEO, wire.sort_key(found.items[0]).id)
        assert await faults(studio) == []


async def test_what_cannot_come_back_is_told_and_left(lost: Made) -> None:
    lost.path(lost.first.video).unlink()
    lost.path(lost.second.sidecar).write_text('{"item":')
    alone = VideoFiles(lost.account, ids.uuid())
    lost.path(alone.video).write_bytes(b"a film")
    counts, outcomes = await rebuilt(lost)
    assert counts.items == 2
    told = {each.name: each.outcome for each in outcomes if each.outcome != "restored"}
    assert told == {lost.first.sidecar: "missing", lost.second.sidecar: "unreadable", alone.video: "alone"}
    assert lost.path(lost.second.video).exists()


@pytest.mark.parametrize("item", [{}, {"id": "20260501120000000aaaaaaaaaaaaaaaa"}], ids=["item", "job"])
async def test_two_files_of_one_item_or_job_make_one_item(lost: Made, item: dict[str, str]) -> None:
    """As an attempt that lost its job to another may have left them."""
    told = json.loads(lost.path(lost.first.sidecar).read_text())
    twin = VideoFiles(lost.account, ids.uuid())
    spoilt = {**told, "fileId": twin.file_id, "item": {**told["item"], **item}}
    lost.path(twin.sidecar).write_text(wire.dumps(spoilt))
    shutil.copy(lost.path(lost.first.video), lost.path(twin.video))
    counts, outcomes = await rebuilt(lost)
    assert counts.items == 4
    assert [each.outcome for each in outcomes if each.outcome != "restored"] == ["twice"]


async def test_sidecars_from_before_they_told_all(lost: Made) -> None:
    for path in (lost.media / "sidecars").rglob("*.json"):
        told = json.loads(path.read_text())
        kept = {name: value for name, value in told.items() if name not in ("account", "parents", "bytes", "sha256")}
        for name in ("cost", "estimate", "costSource", "provider"):
            kept.get("job", {}).pop(name, None)
        path.write_text(wire.dumps(kept))
    counts, _ = await rebuilt(lost)
    assert counts.accounts == (f"account {lost.account[:8]}",)
    async with lost.studio() as studio:
        assert len(await studio.store.rows(LINEAGE)) == 1
        assert await faults(studio) == []


async def test_a_database_with_a_library_is_left_alone(lost: Made) -> None:
    await rebuilt(lost)
    with pytest.raises(StartError, match="There is a library in the database"):
        await rebuilt(lost)


async def test_a_rebuild_that_breaks_off_has_done_nothing(lost: Made) -> None:
    def stop(outcome: Outcome) -> None:
        raise RuntimeError

    rows = await store.open(lost.data, lost.database_url)
    with pytest.raises(RuntimeError):
        await restore(rows, Blobs(lost.media), stop)
    assert await tables.is_empty(rows)
    assert await rows.rows("SELECT 1 FROM jobs") == []
    await rows.close()
    assert (await rebuilt(lost))[0].items == 4


# --- the command ---


def test_a_library_goes_on_after_its_database_was_lost(original: Made, tmp_path: Path) -> None:
    made = original.copy(tmp_path / "data")
    assert "There is a library in the database" in failed(rushes("rebuild", "--data", "data", cwd=tmp_path))
    for file in made.data.glob("rushes.db*"):
        file.unlink()
    done = rushes("rebuild", "--data", "data", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 4
    assert "the accounts default" in done.stderr
    assert "Keys cannot be restored; make new ones: rushes keys create" in done.stderr
    with serving(made.data) as server, server.client(server.key("default")) as api:
        items = api.get("/aistudio/videos").json()["items"]
        assert len(items) == 3
        for link in [items[0]["url"], f"{server.url}/{made.upload}"]:
            assert httpx2.get(link, trust_env=False).status_code == 200


@pytest.mark.xdist_group("ceph")
def test_a_bucket_alone_gives_it_back(original: Made, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    bucket = f"{request.getfixturevalue('ceph').bucket()}/of/rushes"
    original.copy(tmp_path / "data")
    moved = rushes("move", "--data", "data", "--to", bucket, cwd=tmp_path)
    assert moved.returncode == 0, moved.stderr
    settings = {"RUSHES_STORAGE_URL": bucket}
    done = rushes("rebuild", "--data", "new", cwd=tmp_path, **settings)
    assert done.returncode == 0, done.stderr
    assert "4 restored" in done.stderr
    checked = rushes("verify", "--data", "new", cwd=tmp_path, **settings)
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stderr


def test_nothing_to_rebuild_from_is_told(tmp_path: Path) -> None:
    assert "There are no files in" in failed(rushes("rebuild", "--data", "nowhere", cwd=tmp_path))
    assert not (tmp_path / "nowhere").exists()
